"""Records of a fix: the changed lines of a file, and the result of its verification."""

from typing import Literal

from harness.record.schema import Count, Record


class Edit(Record):
    """Whole lines of a file, and the text that replaces them; lines and columns count from 1."""

    line: Count
    """The first line."""
    end: Count
    """The line after the last one; the last one if it has no line break. Equal to ``line`` for an insertion."""
    end_column: Count = 1
    """Column in that line at which the replaced text ends."""
    text: str
    """The new lines, each with a line feed where it has a line break; empty for a removal."""
    is_crlf: bool = False
    """Whether the line breaks of the file are a carriage return and a line feed."""

    @property
    def content(self) -> str:
        """The new lines with the line breaks of the file."""
        return self.text.replace("\n", "\r\n") if self.is_crlf else self.text


class Fix(Record):
    """A rewrite of a file that was verified."""

    kind: Literal["fix"] = "fix"
    case: str
    """The function that was checked, or the step that was audited."""
    repairs: str
    """The sentence of the finding that it repairs."""
    file: str
    """Path of the file, relative to the working directory where it is below it."""
    titles: tuple[str, ...]
    """The rewrites, in the imperative."""
    sentence: str
    """The result of the verification."""
    is_safe: bool
    """Whether the new code is equal to the old one over the real numbers."""
    diff: tuple[str, ...]
    """Lines of a unified diff."""
    edits: tuple[Edit, ...]

    @property
    def key(self) -> str:
        """The key of the fix within a run."""
        return self.case
