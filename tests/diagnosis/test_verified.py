"""The verified fixes of faulty functions are as recorded; ``diagnosis.verified`` records them."""

from pathlib import Path

import pytest
from diagnosis.faulty import FAULTY, Faulty
from diagnosis.verified import recorded

from harness.diagnosis.candidates import candidates
from harness.diagnosis.fix import difference


def test_at_least_five_of_six_functions_have_a_fix() -> None:
    """Every function is in the file."""
    found = list(recorded())
    assert [name for name, _, _ in found] == [one.name for one in FAULTY]
    assert len(found) >= 30
    assert sum(sentence.startswith("verified: ") for _, _, sentence in found) >= 5 * len(found) / 6


@pytest.mark.parametrize("one", FAULTY, ids=lambda one: one.name)
def test_the_recorded_diff_is_a_candidate(one: Faulty) -> None:
    """The rules still propose the diff, and only with the option if it changes ordinary results."""
    (diff,) = (diff for name, diff, _ in recorded() if name == one.name)
    file = Path(f"{one.name}.py")
    tried = {
        unsafe: {
            "\n".join(difference(file, one.text, candidate.text)): candidate.is_safe
            for candidate in candidates(one.text, one.name, one.mistakes, unsafe=unsafe)
        }
        for unsafe in (False, True)
    }
    shown = "\n".join(diff)
    assert tried[True][shown] is not one.unsafe
    assert (shown in tried[False]) is not one.unsafe
