"""Where in an implementation something happened: the innermost frame of a stack that is its author's."""

import sysconfig
from collections.abc import Iterable
from pathlib import Path

_OTHERS = (
    "<",
    str(Path(__file__).parents[1]),
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
)
"""How the files begin that are Python's, ours or installed."""


def place(frames: Iterable[tuple[str, int | None]]) -> str:
    """Return ``(file, line)`` for the first frame whose file the author wrote; nothing where there is none.

    Parameters
    ----------
    frames
        File and line of each frame, the innermost first.
    """
    own = ((file, line) for file, line in frames if not file.startswith(_OTHERS))
    for file, line in own:
        return f" ({Path(file).name}, line {line})"
    return ""
