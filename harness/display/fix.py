"""A fix on the terminal, with the colors of a diff."""

from rich.console import Console

from harness.error import printable
from harness.record import Fix
from harness.wording.fix import ADDED, PLACE, REMOVED, fix_lines, line_kind

_STYLES = {REMOVED: "red", ADDED: "green", PLACE: "cyan"}


def print_fix(console: Console, fix: Fix) -> None:
    """Print the rewrites, the diff, and the result of the verification."""
    diff = set(fix.diff)
    for line in fix_lines(fix):
        style = _STYLES.get(line_kind(line), "") if line in diff else ""
        console.print(printable(line), style=style, markup=False, soft_wrap=True)
