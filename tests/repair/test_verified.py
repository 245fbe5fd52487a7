"""The verified fixes of faulty functions are as recorded; ``repair.verified`` records them."""

from pathlib import Path

import pytest
from repair.faulty import FAULTY, Faulty
from repair.verified import recorded

from harness.repair.candidates import list_candidates
from harness.wording.fix import make_diff

NOTHING_TO_FIX = {"unbiased_variance"}
"""Functions that a check no longer calls wrong: the contract recognizes their convention."""


def test_at_least_five_of_six_functions_have_a_fix() -> None:
    """Every function is in the file."""
    found = list(recorded())
    assert [name for name, _, _ in found] == [one.name for one in FAULTY]
    assert len(found) >= 30
    assert sum(sentence.startswith("verified: ") for _, _, sentence in found) >= 5 * len(found) / 6


def test_only_a_convention_has_no_fix() -> None:
    """Its check has no defect."""
    assert {name for name, diff, _ in recorded() if not diff} == NOTHING_TO_FIX


@pytest.mark.parametrize("one", [one for one in FAULTY if one.name not in NOTHING_TO_FIX], ids=lambda one: one.name)
def test_the_recorded_diff_is_a_candidate(one: Faulty) -> None:
    """The rules still propose the diff, and only with the option if it changes ordinary results."""
    (diff,) = (diff for name, diff, _ in recorded() if name == one.name)
    file = Path(f"{one.name}.py")
    tried = {
        unsafe: {
            "\n".join(make_diff(file, one.text, candidate.text)): candidate.is_safe
            for candidate in list_candidates(one.text, one.name, one.mistakes, unsafe=unsafe)
        }
        for unsafe in (False, True)
    }
    shown = "\n".join(diff)
    assert tried[True][shown] is not one.unsafe
    assert (shown in tried[False]) is not one.unsafe
