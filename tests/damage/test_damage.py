"""Damaged inputs: what stands in a file that somebody else may have written is refused in a sentence, or whole."""

import os
from pathlib import Path

import pytest
from damage.campaign import campaign
from damage.commands import kill as kill_commands
from damage.kills import kill

pytestmark = pytest.mark.judged

MUTATIONS = int(os.environ.get("HARNESS_MUTATIONS", "440"))
"""How many; 20,000 are ``HARNESS_MUTATIONS=20000``, or ``python -m damage``."""

KILLS = int(os.environ.get("HARNESS_KILLS", "6"))
"""How many kills."""


def test_damage_is_refused_in_one_sentence_in_bounded_time(tmp_path: Path) -> None:
    """Whatever was damaged, and however: no traceback, no waiting, and no record that is lost without a word."""
    tally = campaign(MUTATIONS, 1, tmp_path)
    assert not tally.bad, tally


def test_a_killed_command_leaves_a_run_that_can_be_read_and_goes_on(tmp_path: Path) -> None:
    """By SIGKILL, SIGTERM or SIGINT, at any moment; nothing that was there before is lost."""
    killed = kill(KILLS, 1, tmp_path / "it")
    assert not killed.wrong
    assert killed.whole + killed.part == KILLS


def test_a_real_command_that_is_killed_leaves_nobody_and_nothing(tmp_path: Path) -> None:
    """A foreign check, whose code runs in processes of its own; ``python -m damage kills`` has the other commands."""
    killed = kill_commands(1, 1, tmp_path, ["foreign check"])
    assert not killed.wrong, killed
    assert killed.reruns == 1
