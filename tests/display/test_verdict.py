"""The terminal shows a defect in few lines, even if many laws break."""

import io
from collections.abc import Callable, Sequence

import pytest
from rich.console import Console
from torch import Tensor

import harness
from harness.display.verdict import print_properties, print_verdicts
from harness.record import Status
from harness.wording.verdict import property_sentences


def naive_softmax(x: Tensor) -> Tensor:
    """Softmax as defined."""
    return x.exp() / x.exp().sum(-1, keepdim=True)


def stable_softmax(x: Tensor) -> Tensor:
    """Softmax with a shift by the maximum."""
    e = (x - x.max(-1, keepdim=True).values).exp()
    return e / e.sum(-1, keepdim=True)


def layer_norm(x: Tensor, eps: float = 1e-5) -> Tensor:
    """Layer norm by hand, in the dtype of its input."""
    mean = x.mean(-1, keepdim=True)
    var = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / (var + eps).sqrt()


WIDTH = 80


def spread(x: Tensor) -> Tensor:
    """The variance divided by n - 1."""
    return x.var(-1)


def test_a_property_fits_the_columns() -> None:
    """Lines break between words, and nothing is omitted."""
    found = harness.check(spread, "variance", laws=["value"], dtypes=["float32"], examples=2)
    said = io.StringIO()
    print_properties(Console(file=said, width=WIDTH), found.properties)
    lines = said.getvalue().splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) <= WIDTH
    (sentence,) = property_sentences(found.properties)
    assert " ".join(line.strip() for line in lines) == f"property: {sentence}"


AROUND = 3
"""Lines around the findings: the contract, the number of laws, and the verdict."""


@pytest.mark.parametrize(
    ("function", "contract", "laws", "defects", "most"),
    [
        (naive_softmax, "softmax", ("value", "infinite_logit", "value_on_long_rows", "gradient"), 2, 15),
        (stable_softmax, "softmax", ("value_on_long_rows",), 1, 10),
        (layer_norm, "layer_norm", ("value", "gradient", "drowned_rows_stay_bounded", "rows_have_mean_zero"), 1, 15),
    ],
)
def test_the_defects_in_float16_fit_one_screen(
    function: Callable[..., Tensor], contract: str, laws: Sequence[str], defects: int, most: int
) -> None:
    """The wrapped output, with the lines around the findings, has at most the given number of lines."""
    found = harness.check(function, contract, laws=laws, dtypes=["float16"])
    said = io.StringIO()
    print_verdicts(Console(file=said, width=WIDTH), found, single=True)
    assert sum(finding.status is Status.BROKEN for finding in found.findings) == defects
    rows = [max(1, -(-len(line) // WIDTH)) for line in said.getvalue().splitlines()]
    assert AROUND + sum(rows) <= most, said.getvalue()
