"""What options of ``check`` say of a function, read: known failures, and names in a list."""

from harness.case import FLOATS, Break
from harness.error import UsageError


def declared_breaks(declared: list[str]) -> dict[str, Break]:
    """Read ``LAW[:DTYPE,...][=REASON]``.

    Raises
    ------
    UsageError
        If a dtype is none.
    """
    read = {}
    for text in declared:
        claim, _, reason = text.partition("=")
        law, _, dtypes = claim.partition(":")
        broken_in = names(dtypes) or FLOATS
        for name in broken_in:
            if name not in FLOATS:
                raise UsageError(
                    rule=f"`--breaks` takes LAW[:DTYPE,...][=REASON], a dtype being {', '.join(FLOATS)}",
                    value=f"`{text}`",
                )
        read[law] = Break(reason or "declared on the command line", broken_in)
    return read


def names(text: str | None) -> tuple[str, ...]:
    """Read names separated by commas."""
    return tuple(name.strip() for name in text.split(",")) if text else ()
