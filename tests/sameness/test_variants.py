"""``harness same --under`` decides the settled functions and steps as a person would."""

import inspect
import re
from pathlib import Path

import pytest
import sameness.variants as variants
from sameness.test_same import folder  # noqa: F401 - a fixture

from harness.execution.processor import emulate_processors
from harness.record import Judgment
from harness.sameness.comparison import compare_pair
from harness.sameness.pair import make_pair

FILE = Path(variants.__file__)
LINES = FILE.read_text(encoding="utf-8").splitlines()
NAMES = [name for name in vars(variants) if re.match(r"(rounding|different|nothing)_", name)]

UNNAMED = {
    "different_compile_branch", "different_compile_step",
}  # fmt: skip
"""Compiled code has no operations that could be compared."""


def judge_variant(name: str) -> Judgment:
    """Judge a function or a step with and without its change; functions get two batches of 32 rows."""
    under = variants.UNDER.get(name, name.split("_")[1])
    parameters = inspect.signature(getattr(variants, name)).parameters.values()
    required = sum(parameter.default is parameter.empty for parameter in parameters)
    return compare_pair(make_pair(f"{FILE}:{name}", under=under, shapes=["32,64"] * required))


@pytest.mark.parametrize("name", NAMES)
def test_a_settled_variant_gets_its_answer(name: str) -> None:
    """A difference has a place on a line at which a person would say that the runs differ."""
    if "_processor_" in name and "AVX2" not in emulate_processors():
        pytest.skip("this processor has no AVX512")
    decided = judge_variant(name)
    answers = {"different": {"different"}, "nothing": {"nothing trained"}, "rounding": {"rounding", "same bits"}}
    assert decided.answer in answers[name.split("_")[0]], decided
    if decided.answer == "different":
        places = [int(line) for line in re.findall(r"variants\.py:(\d+)", decided.sentence)]
        assert any("# here" in LINES[line - 1] for line in places) == (name not in UNNAMED), decided
