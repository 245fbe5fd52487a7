"""The harness finds the known defects of torch's functions on machines that show them."""

import pytest
from formula import torch_breaks
from formula.catalogued import CATALOGUED
from formula.judging import decided
from formula.torch_breaks import LAWS, NAN, TORCH_BREAKS, declared
from torch.nn import functional as F

from harness.case import Case
from harness.record import Status
from harness.verdict.job import list_jobs

pytestmark = pytest.mark.judged


@pytest.mark.parametrize("name", TORCH_BREAKS)
def test_a_break_of_torch_is_found_where_it_is(name: str) -> None:
    """Law and status are as listed in the table, with the default number of examples."""
    one = TORCH_BREAKS[name]
    (found,) = decided(
        list_jobs([Case(one.function, one.contract, name=name)], laws=[one.law], dtypes=[one.dtype]), examples=None
    )
    assert found.status is (one.status if one.shows() else Status.HOLDS), one.why


def test_declared_breaks_belong_to_the_catalog() -> None:
    """Each declared law has a reason, and it is a law of the formula."""
    assert {name for name, _, _ in declared()} <= set(CATALOGUED)
    assert {law for _, _, law in declared()} == {*LAWS, NAN}
    assert all(declared().values())
    assert {job.law.name for job in list_jobs([Case(CATALOGUED["exp"].torch, "exp")])} >= set(LAWS)


def test_an_undeclared_break_fails_next_to_declared_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``normalize`` of zeros is declared in float16, which excuses neither its gradient nor another dtype."""
    wrong = CATALOGUED["normalize"]._replace(torch=lambda x: 2.0 * F.normalize(x))
    monkeypatch.setattr(torch_breaks, "CATALOGUED", {"normalize": wrong})
    assert torch_breaks.main("float16") == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("normalize gradient [float16] broken") for line in lines)
    assert not [line for line in lines if line.startswith("normalize finite [float16]")]


def test_declared_breaks_do_not_fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Declared breaks are not printed."""
    monkeypatch.setattr(torch_breaks, "CATALOGUED", {"normalize": CATALOGUED["normalize"]})
    assert torch_breaks.main("float16") == 0
    assert not [line for line in capsys.readouterr().out.splitlines() if line.startswith("normalize")]
