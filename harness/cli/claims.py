"""What options of ``check`` say of a function, read: known failures, dtypes, devices."""

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
        names = dtype_names(dtypes) or FLOATS
        for name in names:
            if name not in FLOATS:
                raise UsageError(
                    rule=f"`--breaks` takes LAW[:DTYPE,...][=REASON], a dtype being {', '.join(FLOATS)}",
                    value=f"`{text}`",
                )
        read[law] = Break(reason or "declared on the command line", names)
    return read


def dtype_names(text: str | None) -> tuple[str, ...]:
    """Read names separated by commas."""
    return tuple(name.strip() for name in text.split(",")) if text else ()


def devices_known(text: str) -> None:
    """Refuse a device that laws are not checked on.

    Raises
    ------
    UsageError
        If there is any but the CPU.
    """
    for name in dtype_names(text):
        if name != "cpu":
            raise UsageError(
                rule="laws are checked on `cpu`, and on no accelerator yet", value=f"`{name}`", place="`--devices`"
            )
