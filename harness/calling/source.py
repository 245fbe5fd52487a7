"""Find the source of a target without importing it: the path of its file or package, and a checksum of the source.

Two functions with the same name in two files are different subjects, and so is a function after an edit.
"""

import ast
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from harness.calling.discovery import package_of
from harness.record import Subject


def subject_of(target: str) -> Subject | None:
    """Return the source of a target; ``None`` if it is unknown."""
    name, _, function = target.partition(":")
    path = Path(name) if name.endswith(".py") else package_of(target)
    if path is None:
        return None
    path = path.resolve()
    if function and path.is_dir():
        path = _find_module_file(path, name.split(".")[1:])
    if not path.exists():
        return None
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
        with suppress(OSError):  # not for us to say: whoever imports it does
            digest.update(f"{file.relative_to(path)}\n".encode() + file.read_bytes())
    return Subject(place=str(path), source=digest.hexdigest()[:16], target=target)


def _find_module_file(folder: Path, parts: Sequence[str]) -> Path:
    """Return the file of the deepest module of a dotted path that has one, without importing it."""
    for part in parts:
        file = folder / f"{part}.py"
        if file.is_file():
            return file
        folder /= part
    return folder / "__init__.py"


def qualify_name(case: str, subject: Subject) -> str:
    """Return a name for a case that distinguishes it from cases with the same name: ``b/m.f`` for ``m.f``."""
    path = Path(subject.place)
    near = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    if path.suffix == ".py" and case.startswith(f"{path.stem}."):
        return f"{near.with_suffix('')}{case.removeprefix(path.stem)}"
    return f"{near}/{case}"


Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definition(tree: ast.AST, name: str) -> Definition | None:
    """Return the last definition of a qualified name; functions inside functions count, too."""
    node: ast.AST = tree
    for part in (part for part in name.split(".") if part != "<locals>"):
        matches = [child for child in ast.walk(node) if isinstance(child, Definition) and child.name == part]
        if not matches:
            return None
        node = matches[-1]
    return node if isinstance(node, Definition) else None
