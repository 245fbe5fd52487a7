"""The description of the code that a process loads."""

from typing import Any

from harness.calling.discovery import project_path, root_of
from harness.calling.target import ENTRY_POINTS
from harness.isolation.limits import GIBIBYTE, Limits


def setup(target: str, call: str | None, limits: Limits, root: str | None = None) -> dict[str, Any]:
    """Return the description of the code to load, without importing it."""
    from importlib.metadata import entry_points

    path, colon, name = target.partition(":")
    own_root = root_of(target)
    points = [] if colon else [point.value for point in entry_points(group=ENTRY_POINTS) if point.name == path]
    return {
        "target": f"{points[0] if points else path}{colon}{name}",
        "call": call,
        "path": [*filter(None, [root if own_root is None else str(own_root)]), *project_path()],
        "objects": False,
        "loaders": False,
        "memory": None if limits.memory_gib is None else int(limits.memory_gib * GIBIBYTE),
    }
