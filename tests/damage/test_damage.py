"""Damaged inputs: a file from another author is refused with a sentence, or read completely."""

import os
from pathlib import Path

import pytest
from damage.campaign import campaign
from damage.commands import kill as kill_commands
from damage.kills import kill

pytestmark = pytest.mark.judged

MUTATIONS = int(os.environ.get("HARNESS_MUTATIONS", "440"))
"""Number of mutations; ``HARNESS_MUTATIONS=20000`` or ``python -m damage`` makes more."""

KILLS = int(os.environ.get("HARNESS_KILLS", "6"))
"""Number of kills."""


def test_damage_is_refused_in_one_sentence_in_bounded_time(tmp_path: Path) -> None:
    """No damage causes a traceback, a hang, or a record that is silently lost."""
    tally = campaign(MUTATIONS, 1, tmp_path)
    assert not tally.bad, tally


def test_a_killed_command_leaves_a_run_that_can_be_read_and_goes_on(tmp_path: Path) -> None:
    """The signal is SIGKILL, SIGTERM or SIGINT at any moment, and earlier results remain."""
    killed = kill(KILLS, 1, tmp_path / "it")
    assert not killed.wrong
    assert killed.whole + killed.part == KILLS


def test_a_killed_real_command_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    """The command checks foreign code in separate processes; ``python -m damage kills`` has the other commands."""
    killed = kill_commands(1, 1, tmp_path, ["foreign check"])
    assert not killed.wrong, killed
    assert killed.reruns == 1
