"""Damaged inputs: a file from another author is refused with a sentence, or read completely."""

import os
from pathlib import Path

import pytest
from damage.campaign import campaign
from damage.commands import kill

pytestmark = pytest.mark.judged

MUTATIONS = int(os.environ.get("HARNESS_MUTATIONS", "440"))
"""Number of mutations; ``HARNESS_MUTATIONS=20000`` or ``python -m damage`` makes more."""

KILLS = int(os.environ.get("HARNESS_KILLS", "1"))
"""Number of kills; ``python -m damage kills`` makes more."""


def test_damage_is_refused_in_one_sentence_in_bounded_time(tmp_path: Path) -> None:
    """No damage causes a traceback, a hang, or a record that is silently lost."""
    tally = campaign(MUTATIONS, 1, tmp_path)
    assert not tally.bad, tally


def test_a_killed_command_leaves_a_run_that_goes_on_and_no_process(tmp_path: Path) -> None:
    """The command checks foreign code in separate processes, and its complete run after that is as without a kill."""
    killed = kill(KILLS, 1, tmp_path, ["foreign check"])
    assert not killed.wrong, killed
    assert killed.reruns >= 1
