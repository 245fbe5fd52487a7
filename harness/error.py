"""The one error that is the user's: a plain message and exit code 2, never a traceback."""

from collections.abc import Iterable


class UsageError(Exception):
    """A question that cannot be answered as asked.

    Parameters
    ----------
    rule
        The rule that was not met; names the user can type stand in backquotes.
    value
        What was found instead.
    place
        File, line, option or argument it was found in.
    remedy
        The way out.
    """

    def __init__(self, *, rule: str, value: str, place: str | None = None, remedy: str | None = None) -> None:
        self.rule = rule
        self.value = value
        self.place = place
        self.remedy = remedy
        super().__init__(rule, value, place, remedy)

    @property
    def parts(self) -> dict[str, str | None]:
        """What it was made of, by the names of the parameters: for making it anew in another process."""
        return {"rule": self.rule, "value": self.value, "place": self.place, "remedy": self.remedy}

    def __str__(self) -> str:
        """Return the message: rule, value, place and way out on one line."""
        where = f" in {self.place}" if self.place else ""
        way_out = f"; {self.remedy}" if self.remedy else ""
        return f"{self.rule}, got {self.value}{where}{way_out}"


def listed(names: Iterable[object]) -> str:
    """Return names the user can type as a message lists them: in backquotes, with commas between.

    Parameters
    ----------
    names
        In the order in which they are listed.
    """
    return ", ".join(f"`{name}`" for name in names)
