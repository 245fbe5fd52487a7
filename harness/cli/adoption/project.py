"""The layout of a project, and its functions with known contracts. The code is read, never imported."""

import ast
import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from harness.calling.target import entry
from harness.case import Case
from harness.cli.adoption.notebook import SUFFIX, definitions
from harness.error import UsageError

SKIPPED = frozenset(
    {"test", "tests", "doc", "docs", "build", "dist", "examples", "node_modules", "venv", "env", "laws"}
)
"""Folders without the project's library code; so are hidden ones."""

_ARRAYS = ("tensor", "array", "float[", "num[", "real[", "shaped")
"""Parts of the annotations of tensors and arrays."""


class Layout(StrEnum):
    """The place of a project's code."""

    SRC = "src layout"
    FLAT = "flat layout"
    NOTEBOOKS = "notebooks only"
    EMPTY = "no Python code"


class Found(NamedTuple):
    """A function with a known contract.

    Parameters
    ----------
    target
        As ``harness check`` takes it.
    contract
        Name of its contract, or a formula.
    call
        Adapter; empty if the function takes the inputs of its contract.
    file, line
        Place of its definition.
    module
        Name under which Python imports its module; empty for a notebook.
    by_name
        Whether a check infers contract and adapter itself.
    """

    target: str
    contract: str
    call: str
    file: Path
    line: int
    module: str
    by_name: bool

    @property
    def name(self) -> str:
        """Name of the function."""
        return self.target.rpartition(":")[2]


def layout_of(root: Path) -> Layout:
    """Return the layout of a project."""
    if any((root / "src").rglob("*.py")):
        return Layout.SRC
    if any(_files(root, ".py")):
        return Layout.FLAT
    return Layout.NOTEBOOKS if any(_files(root, SUFFIX)) else Layout.EMPTY


def functions(root: Path) -> list[Found]:
    """Return the functions with known contracts, in order of file and line."""
    layout = layout_of(root)
    if layout is Layout.NOTEBOOKS:
        return [one for file in _files(root, SUFFIX) for one in _in_notebook(file, root)]
    base = root / "src" if layout is Layout.SRC else root
    return [one for file in _files(base, ".py") for one in _in_module(file, root, base)]


def _files(folder: Path, suffix: str) -> Iterator[Path]:
    for path, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith("."))
        yield from (Path(path, name) for name in sorted(names) if name.endswith(suffix) and not _is_test(name))


def _is_test(name: str) -> bool:
    return name.startswith("test_") or name in {"conftest.py", "setup.py", "noxfile.py"} or name.endswith("_test.py")


def _in_module(file: Path, root: Path, base: Path) -> Iterator[Found]:
    try:
        source = file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return
    parts = file.relative_to(base).with_suffix("").parts
    packaged = all((base.joinpath(*parts[:depth]) / "__init__.py").is_file() for depth in range(1, len(parts)))
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    in_package = packaged and (len(parts) > 1 or base != root)
    path = module if in_package else file.relative_to(root).as_posix()
    yield from _known(source, file, path, module if packaged else "")


def _in_notebook(file: Path, root: Path) -> Iterator[Found]:
    try:
        source = definitions(file)
    except UsageError:
        return
    yield from _known(source, file, file.relative_to(root).as_posix(), "")


def _known(source: str, file: Path, path: str, module: str) -> Iterator[Found]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    adapter = _array_library(tree)
    for node in tree.body:
        signature = _signature(node)
        if signature is None:
            continue
        contract, call = _claim(signature, node, file, f"{path}:{node.name}")  # type: ignore[attr-defined]
        if contract:
            target = f"{path}:{node.name}"  # type: ignore[attr-defined]
            yield Found(target, contract, call or adapter, file, node.lineno, module, not (call or adapter))


def _signature(node: ast.stmt) -> inspect.Signature | None:
    """Return the signature of a public function, or of the forward pass of a module that needs no arguments."""
    if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Module") for base in node.bases):
        methods = {one.name: one for one in node.body if isinstance(one, ast.FunctionDef)}
        if "forward" not in methods or _required(methods.get("__init__")) > 1:
            return None
        return None if node.name.startswith("_") else _parameters(methods["forward"].args, skipped=1)
    if not isinstance(node, ast.FunctionDef) or node.name.startswith("_") or not _takes_tensors(node.args):
        return None
    return _parameters(node.args)


def _required(method: ast.FunctionDef | None) -> int:
    return 0 if method is None else len(method.args.posonlyargs + method.args.args) - len(method.args.defaults)


def _takes_tensors(arguments: ast.arguments) -> bool:
    """Whether the first parameter may be a tensor, by its annotation."""
    first = next(iter(arguments.posonlyargs + arguments.args), None)
    if first is None:
        return False
    return first.annotation is None or any(part in ast.unparse(first.annotation).lower() for part in _ARRAYS)


def _parameters(arguments: ast.arguments, skipped: int = 0) -> inspect.Signature:
    ordered = arguments.posonlyargs + arguments.args
    required = len(ordered) - len(arguments.defaults)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    read = [
        inspect.Parameter(one.arg, kind, default=inspect.Parameter.empty if at < required else None)
        for at, one in enumerate(ordered)
    ]
    if arguments.vararg is not None:
        read.append(inspect.Parameter(arguments.vararg.arg, inspect.Parameter.VAR_POSITIONAL))
    for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        value = inspect.Parameter.empty if default is None else None
        read.append(inspect.Parameter(one.arg, inspect.Parameter.KEYWORD_ONLY, default=value))
    return inspect.Signature(read[skipped:])


def _claim(signature: inspect.Signature, node: Any, file: Path, target: str) -> tuple[str, str]:
    """Return the contract and the adapter that a check would infer; empty texts if it would refuse."""
    from harness.contracts import claimed, contract_named
    from harness.verdict.job import reject_misfit

    known = entry(f"{file}:{node.name}")
    if known is not None:
        return known.claim, known.call
    case = Case(_stand_in(signature), "", name=node.name, target=target, style="foreign")
    try:
        contract = contract_named(claimed(case).contract)
        if contract.form != "function":
            return "", ""
        reject_misfit(claimed(case), contract)
    except UsageError:
        return "", ""
    return contract.name, ""


def _stand_in(signature: inspect.Signature) -> Callable[..., Any]:
    """Return a function with a signature. It is never called."""

    def stand_in() -> None: ...

    stand_in.__signature__ = signature  # type: ignore[attr-defined]
    return stand_in


def _array_library(tree: ast.Module) -> str:
    """Return the adapter of the array library that a file imports if it does not import torch; else nothing."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {one.name.partition(".")[0] for one in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    if "torch" in names:
        return ""
    return "jax" if "jax" in names else "numpy" if "numpy" in names else ""


def described(found: Sequence[Found], root: Path) -> list[str]:
    """Return a line for each function: its target, contract and place."""
    width = max((len(one.target) for one in found), default=0)
    return [
        f"  {one.target:<{width}}  {one.contract}  ({one.file.relative_to(root).as_posix()}:{one.line})"
        for one in found
    ]
