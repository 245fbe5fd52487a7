"""The file with the student's progress."""

from pathlib import Path

import pytest

from harness.course.progress import FILE, Entry, State, read_progress, update
from harness.error import UsageError


@pytest.mark.usefixtures("workplace")
def test_the_progress_is_a_plain_file() -> None:
    """Each change keeps the rest."""
    assert read_progress() == {}
    update("softmax", state=State.STARTED)
    update("softmax", hints=2)
    update("noise", state=State.DONE)
    assert read_progress() == {"softmax": Entry(State.STARTED, 2), "noise": Entry(State.DONE, 0)}
    assert '"state": "started"' in FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"softmax": 3}', '{"softmax": {"state": "lost", "hints": 0}}', '{"a": {}}']
)
def test_a_damaged_file_is_reported(workplace: Path, text: str) -> None:
    """The message says how to make a new one."""
    (workplace / FILE).parent.mkdir()
    (workplace / FILE).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="delete it, then run `harness learn --verify`"):
        read_progress()
