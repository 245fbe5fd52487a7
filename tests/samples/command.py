"""A command that runs in this process, and its result."""

from typing import NamedTuple, Protocol


class Done(NamedTuple):
    """Exit code and output."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def refusal(self) -> str:
        """The one line of a command that could not answer: exit code 2, and no traceback."""
        assert self.returncode == 2, self
        (line,) = self.stderr.splitlines()
        return line


class Command(Protocol):
    """Runs ``harness`` with a line and further words, and checks the exit code if one is given."""

    def __call__(self, line: str, *words: str, code: int | None = None) -> Done:
        """Return the exit code and the output."""
