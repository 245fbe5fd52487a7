"""Find the line of user code at which something happened: its innermost frame on the stack."""

import sys
import sysconfig
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from ..error import cell

_OURS = str(Path(__file__).parents[1])
_SHIPPED = str(Path(__file__).parents[1] / "shipped")
"""The folder of the shipped cases in the wheel; they are implementations like any others."""

_ASKING = str(Path(__file__).parent)
"""Folder of the files that record operations; all other files of the harness call the function."""

_OTHERS = (
    "<",
    _OURS,
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
)
"""Path prefixes of files that belong to Python, the harness or an installed package."""

_PYTHON = str(sysconfig.get_path("stdlib"))
_INSTALLED = tuple({str(sysconfig.get_path(name)) for name in ("purelib", "platlib")})


def place(frames: Iterable[tuple[str, int | None]]) -> str:
    """Return ``(file, line)`` for the first frame whose file the author wrote; nothing where there is none."""
    author_frames = ((file, line) for file, line in frames if not file.startswith(_OTHERS))
    for file, line in author_frames:
        return f" ({Path(cell(file)).name}, line {line})"
    return ""


class Line(NamedTuple):
    """A line of an implementation.

    Parameters
    ----------
    text
        ``file:line``.
    instruction
        Which instruction of its function is carried out: a loop comes back to the same.
    """

    text: str
    instruction: int


def calling_line() -> Line | None:
    """Return the implementation's line that is being carried out; ``None`` where it has none.

    The innermost frame above the call that is neither torch's nor Python's: an installed library has lines, too.
    """
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(_ASKING) and frame.f_back is not None:
        frame = frame.f_back
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_OURS) and not file.startswith(_SHIPPED):
            return None
        if _has_lines_of_its_own(file):
            return Line(f"{Path(cell(file)).name}:{frame.f_lineno}", frame.f_lasti)
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _has_lines_of_its_own(file: str) -> bool:
    if file.startswith(("<", _torch())):
        return False
    return file.startswith(_INSTALLED) or not file.startswith(_PYTHON)


@cache
def _torch() -> str:
    """Return the folder of torch, which is already imported."""
    return str(Path(str(sys.modules["torch"].__file__)).parent)
