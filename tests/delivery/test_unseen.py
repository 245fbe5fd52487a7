"""The loaders that were written before the laws were changed are what their set says, without the harness."""

from typing import Any

import numpy as np
import pytest
from delivery import blind
from delivery.unseen_truth import TRUTH, Check

BLIND = [(wrong, sound, check) for wrong, sound, check, _ in blind.TRUTH]


@pytest.mark.judged
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("wrong", "sound", "check"), [*TRUTH, *BLIND], ids=lambda part: getattr(part, "__name__", ""))
def test_plain_execution_shows_what_is_wrong(wrong: Any, sound: Any, check: Check) -> None:
    """The check is true for the wrong loader, and false for its sound counterpart."""
    np.random.seed(None)
    assert check(wrong)
    assert sound is None or not check(sound)
