"""Location of the baseline of a target: next to the source of its cases."""

import importlib.util
import os
from importlib.metadata import entry_points
from pathlib import Path

from harness.calling.discovery import make_importable
from harness.error import UsageError
from harness.gate.arm import installed

NAME = "baseline.jsonl"
REMEDY = "name a file of your project with `--baseline`"


def baseline_of(target: str, root: Path) -> Path:
    """Return the default file of the baseline of a target.

    Raises
    ------
    UsageError
        If a module has no folder, for example in a zip file.
    """
    place = target.partition(":")[0]
    if place.endswith(".py"):
        return (Path.cwd() if Path(place).is_file() else root) / Path(place).parent / NAME
    value = next((point.value for point in entry_points(group="harness.cases") if point.name == place), place)
    module = value.partition(":")[0]
    return (_in_project(module, root) or _imported_from(module)) / NAME


def _in_project(module: str, root: Path) -> Path | None:
    """The folder with a module's source, if the module is at the root of the project."""
    path = root.joinpath(*module.split("."))
    if (path / "__init__.py").is_file():
        return path
    return path.parent if path.with_name(f"{path.name}.py").is_file() else None


def _imported_from(module: str) -> Path:
    """The folder from which a module is imported: its own folder if it is a package."""
    make_importable(module)
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    folders = [Path(name) for name in (spec.submodule_search_locations or () if spec else ())]
    if spec is not None and spec.origin is not None and Path(spec.origin).is_file():
        folders.insert(0, Path(spec.origin).parent)
    # A namespace package has several folders, and some may hold no source.
    with_source = [folder for folder in folders if folder.is_dir() and any(folder.rglob("*.py"))]
    if not with_source:
        raise UsageError(f"cannot place the baseline: `{module}` has no folder of source files", remedy=REMEDY)
    return with_source[0]


def refuse_foreign(file: Path) -> None:
    """Refuse to write a baseline into a package that is installed, or that may not be written to.

    Raises
    ------
    UsageError
        If a new installation would remove the file, or it cannot be written at all.
    """
    if any(map(file.resolve().is_relative_to, installed())):
        raise UsageError("cannot write the baseline into an installed package", value=f"`{file.parent}`", remedy=REMEDY)
    if not os.access(file.parent, os.W_OK):
        raise UsageError("cannot write the baseline", value=f"a read-only folder, `{file.parent}`", remedy=REMEDY)
