"""Damaged inputs: what stands in a file that somebody else may have written is refused in a sentence, or whole."""

import os
from pathlib import Path

from damage.campaign import campaign

MUTATIONS = int(os.environ.get("HARNESS_MUTATIONS", "440"))
"""How many; 20,000 are ``HARNESS_MUTATIONS=20000``, or ``python -m damage``."""


def test_damage_is_refused_in_one_sentence_in_bounded_time(tmp_path: Path) -> None:
    """Whatever was damaged, and however: no traceback, no waiting, and no record that is lost without a word."""
    tally = campaign(MUTATIONS, 1, tmp_path)
    assert not tally.bad, tally
