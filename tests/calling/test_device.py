"""Implementations on another device: a law sees the same call as on the CPU.

The mechanism is the same for all devices. The tests transfer between the CPU and itself.
"""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from corpus.catalogue import MUTANTS
from corpus.specimen import Specimen
from torch import Tensor, nn

import harness
from harness.calling.adapter import NotApplicable, call_case
from harness.calling.device import MisplacedError, call_on, refuse_absent
from harness.case import Case
from harness.contracts import contract_named
from harness.error import UsageError
from harness.floats.format import FORMATS, format_of
from harness.laws import subject
from harness.record import Fault, Status
from harness.verdict.decide import decide
from harness.verdict.job import Job, list_jobs
from harness.wording.verdict import violation_block

GENERIC = [mutant for mutant in MUTANTS if mutant.generic and mutant.contract in {"softmax", "squared_error", "linear"}]


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that the CPU differs from the device of the laws."""
    monkeypatch.setattr(subject, "CPU", "here")


def _seen(call: Callable[..., Any], *inputs: Tensor) -> Any:
    return call_on("cpu", call, inputs)


def test_a_call_gets_copies_and_its_output_is_one() -> None:
    """Memory is shared only if the implementation shares it."""
    x = torch.arange(6.0).reshape(2, 3)
    given: list[Tensor] = []
    output = _seen(lambda there: given.append(there) or there * 2, x)
    assert given[0].data_ptr() != x.data_ptr()
    assert torch.equal(output, x * 2)


@pytest.mark.parametrize("view", [lambda x: x[:, ::2], lambda x: x.T, lambda x: x[1:, 1:]], ids=["step", "T", "slice"])
def test_strides_are_kept(view: Callable[[Tensor], Tensor]) -> None:
    """The layout decides which kernel runs."""
    x = view(torch.arange(12.0).reshape(3, 4))
    given: list[Tensor] = []
    output = _seen(lambda there: given.append(there) or there + 0, x)
    assert given[0].stride() == x.stride()
    assert torch.equal(output, x)


def test_what_is_written_to_there_is_changed_here() -> None:
    """An unchanged NaN is no change."""
    x = torch.tensor([1.0, torch.nan, 3.0])
    _seen(lambda there: there.clone(), x)
    version = x._version
    _seen(lambda there: there.mul_(2).clone(), x)
    assert x.tolist()[::2] == [2.0, 6.0]
    assert version == 0


def test_what_shares_memory_there_shares_it_here() -> None:
    """A view of the input has its shape."""
    x = torch.arange(6.0).reshape(2, 3)
    output = _seen(lambda there: there.view(-1)[1:3], x)
    assert output.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    assert output.tolist() == [1.0, 2.0]


def test_the_gradient_goes_there_and_back() -> None:
    """Both copies are differentiable."""
    x = torch.tensor([2.0, 3.0], requires_grad=True)
    (found,) = torch.autograd.grad(_seen(lambda there: there**2, x).sum(), x)
    assert found.tolist() == [4.0, 6.0]


def test_an_output_elsewhere_is_misplaced() -> None:
    """It may be the only output or one among several."""
    with pytest.raises(MisplacedError, match="on meta for inputs on cpu"):
        _seen(lambda there: (there, there.to("meta")), torch.ones(2))


def test_a_dtype_that_the_device_lacks_is_nothing_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apple's accelerator raises a `TypeError`."""

    def refuse(*_: Any, **__: Any) -> Tensor:
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    monkeypatch.setattr(Tensor, "to", refuse)
    with pytest.raises(NotApplicable, match="cpu has no float64"):
        _seen(lambda there: there, torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("mutant", GENERIC, ids=lambda it: f"{it.contract}-{it.law}")
def test_the_laws_of_implementations_see_as_much_from_here(mutant: Specimen, elsewhere: None) -> None:
    """Mutants that write to an input, share memory or ignore strides are killed on another device too."""
    contract = contract_named(mutant.contract)
    (law,) = [law for law in contract.laws if law.name == mutant.law]
    case = Case(mutant.function, mutant.contract, declares=mutant.declares, name="mutant")
    assert decide(Job(case, contract, law, format_of(mutant.dtype), strict=True)).status is mutant.status


def test_a_sound_softmax_keeps_every_law_elsewhere(elsewhere: None) -> None:
    """The copies cause no false alarm."""
    verdicts = harness.check(lambda x: torch.softmax(x, -1), "softmax", dtypes=["float32", "bfloat16"])
    assert verdicts.failing == []


def test_an_output_left_elsewhere_is_a_fault_of_the_device(elsewhere: None) -> None:
    """It has a separate message."""
    (job,) = list_jobs([Case(lambda x: x.softmax(-1).to("meta"), "softmax")], laws=["value"], dtypes=["float32"])
    verdict = decide(job)
    assert (verdict.status, verdict.fault) == (Status.ERROR, Fault.DEVICE)
    assert "returns a tensor on meta" in str(verdict.reason)


def test_a_module_follows_its_inputs() -> None:
    """A copy of the module has their dtype and device."""
    own = nn.Linear(3, 2)
    output = call_case(Case(own, "linear"), (torch.ones(1, 3, device="meta", dtype=torch.float64),))
    assert (output.device.type, output.dtype) == ("meta", torch.float64)
    assert own.weight.device.type == "cpu"


def _accelerator(monkeypatch: pytest.MonkeyPatch, found: str | None) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: found is not None)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: SimpleNamespace(type=found))


@pytest.mark.parametrize(
    ("found", "name", "text"),
    [(None, "cuda", "there is no accelerator here"), ("mps", "cuda", "the accelerator here is `mps`")],
)
def test_a_device_that_is_not_there_is_refused(
    found: str | None, name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message lists the available devices."""
    _accelerator(monkeypatch, found)
    with pytest.raises(UsageError, match=text):
        refuse_absent(name)


def test_each_device_has_its_verdicts_and_its_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainers and loaders move data themselves, and are omitted on an accelerator."""
    _accelerator(monkeypatch, "cuda")
    case = Case(lambda x: x.exp(), "softmax", name="mine.f", target="mine:f")
    listed = list_jobs([case], laws=["value"], dtypes=["float32"], devices=["cpu", "cuda"])
    assert [job.identity["device"] for job in listed] == ["cpu", "cuda"]
    monkeypatch.setattr("harness.calling.host.call_on", lambda _, call, inputs: call(*inputs))
    verdict = decide(listed[1], corpora=())
    assert verdict.device == "cuda"
    assert verdict.violation is not None
    assert "--devices cuda" in verdict.violation.replay
    assert violation_block(verdict).startswith("mine.f breaks value [float32 on cuda]")
    trainer = Case(lambda *_: None, "linear_regression")
    assert {job.device for job in list_jobs([trainer], devices=["cpu", "cuda"])} == {"cpu"}


@pytest.mark.skipif(not torch.accelerator.is_available(), reason="there is no accelerator on this machine")
@pytest.mark.parametrize("dtype", FORMATS)
def test_torchs_softmax_keeps_its_laws_on_the_accelerator(dtype: str) -> None:
    """The test needs a real accelerator."""
    found = torch.accelerator.current_accelerator()
    assert found is not None
    verdicts = harness.check(lambda x: torch.softmax(x, -1), "softmax", dtypes=[dtype], devices=[found.type])
    assert verdicts.failing == []
