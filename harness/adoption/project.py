"""The layout of a project, and its functions with known contracts. The code is read, never imported."""

import ast
import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from keyword import iskeyword
from pathlib import Path
from typing import Any, NamedTuple

from harness.adoption.notebook import SUFFIX, read_definitions
from harness.calling.target import entry
from harness.case import Case
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


class LeftOut(NamedTuple):
    """A public function or module that is not checked.

    Parameters
    ----------
    target
        As ``harness check`` takes it.
    reason
        Why a check could not call it.
    file, line
        Place of its definition.
    """

    target: str
    reason: str
    file: Path
    line: int


class FoundFunction(NamedTuple):
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
        Name under which an import statement imports its module; empty if none can, as for a notebook or ``class.py``.
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


def find_layout(root: Path) -> Layout:
    """Return the layout of a project."""
    if any((root / "src").rglob("*.py")):
        return Layout.SRC
    if any(_find_files(root, ".py")):
        return Layout.FLAT
    return Layout.NOTEBOOKS if any(_find_files(root, SUFFIX)) else Layout.EMPTY


def find_functions(root: Path) -> tuple[list[FoundFunction], list[LeftOut]]:
    """Return the functions with known contracts, and the other public ones, in order of file and line."""
    layout = find_layout(root)
    if layout is Layout.NOTEBOOKS:
        definitions = [node for file in _find_files(root, SUFFIX) for node in _find_in_notebook(file, root)]
    else:
        base = root / "src" if layout is Layout.SRC else root
        definitions = [node for file in _find_files(base, ".py") for node in _find_in_module(file, root, base)]
    recognized = [definition for definition in definitions if isinstance(definition, FoundFunction)]
    return recognized, [definition for definition in definitions if isinstance(definition, LeftOut)]


def _find_files(folder: Path, suffix: str) -> Iterator[Path]:
    for path, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in SKIPPED and not name.startswith("."))
        files = (Path(path, name) for name in sorted(names) if name.endswith(suffix) and not _is_test(name))
        yield from (file for file in files if file.as_posix().isprintable())


def _is_test(name: str) -> bool:
    return name.startswith("test_") or name in {"conftest.py", "setup.py", "noxfile.py"} or name.endswith("_test.py")


def _find_in_module(file: Path, root: Path, base: Path) -> Iterator[FoundFunction | LeftOut]:
    try:
        source = file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return
    parts = file.relative_to(base).with_suffix("").parts
    packaged = all((base.joinpath(*parts[:depth]) / "__init__.py").is_file() for depth in range(1, len(parts)))
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    in_package = packaged and (len(parts) > 1 or base != root)
    path = module if in_package else file.relative_to(root).as_posix()
    is_importable = packaged and all(part.isidentifier() and not iskeyword(part) for part in module.split("."))
    yield from _find_definitions(source, file, path, module if is_importable else "")


def _find_in_notebook(file: Path, root: Path) -> Iterator[FoundFunction | LeftOut]:
    try:
        source = read_definitions(file)
    except UsageError:
        return
    yield from _find_definitions(source, file, file.relative_to(root).as_posix(), "")


def _find_definitions(source: str, file: Path, path: str, module: str) -> Iterator[FoundFunction | LeftOut]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    adapter = _find_array_library(tree)
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if isinstance(node, ast.ClassDef) and not any(ast.unparse(base).endswith("Module") for base in node.bases):
            continue
        target = f"{path}:{node.name}"
        try:
            contract, call = _infer_claim(_read_signature(node), node, file, target)
        except UsageError as error:
            yield LeftOut(target, str(error), file, node.lineno)
        else:
            yield FoundFunction(target, contract, call or adapter, file, node.lineno, module, not (call or adapter))


def _read_signature(node: ast.FunctionDef | ast.ClassDef) -> inspect.Signature:
    """Return the signature of a function, or of the forward pass of a module that needs no arguments.

    Raises
    ------
    UsageError
        If a check cannot call it with tensors.
    """
    if isinstance(node, ast.FunctionDef):
        first = next(iter(node.args.posonlyargs + node.args.args), None)
        if first is None and node.args.vararg is None:
            raise UsageError("it takes no tensors")
        if first is not None and not _may_be_tensor(first):
            raise UsageError(f"its parameter `{first.arg}` is no tensor")
        return _read_parameters(node.args)
    methods = {method.name: method for method in node.body if isinstance(method, ast.FunctionDef)}
    if "forward" not in methods:
        raise UsageError("it defines no `forward`")
    if _count_required(methods.get("__init__")) > 1:
        raise UsageError("its constructor needs arguments")
    return _read_parameters(methods["forward"].args, skipped=1)


def _count_required(method: ast.FunctionDef | None) -> int:
    return 0 if method is None else len(method.args.posonlyargs + method.args.args) - len(method.args.defaults)


def _may_be_tensor(parameter: ast.arg) -> bool:
    """Whether a parameter may be a tensor, by its annotation."""
    annotation = parameter.annotation
    return annotation is None or any(part in ast.unparse(annotation).lower() for part in _ARRAYS)


def _read_parameters(arguments: ast.arguments, skipped: int = 0) -> inspect.Signature:
    ordered = arguments.posonlyargs + arguments.args
    required = len(ordered) - len(arguments.defaults)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    read = [
        inspect.Parameter(argument.arg, kind, default=inspect.Parameter.empty if position < required else None)
        for position, argument in enumerate(ordered)
    ]
    if arguments.vararg is not None:
        read.append(inspect.Parameter(arguments.vararg.arg, inspect.Parameter.VAR_POSITIONAL))
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        value = inspect.Parameter.empty if default is None else None
        read.append(inspect.Parameter(argument.arg, inspect.Parameter.KEYWORD_ONLY, default=value))
    return inspect.Signature(read[skipped:])


def _infer_claim(signature: inspect.Signature, node: Any, file: Path, target: str) -> tuple[str, str]:
    """Return the contract and the adapter that a check would infer.

    Raises
    ------
    UsageError
        If it would refuse.
    """
    from harness.contracts import claimed, contract_named
    from harness.verdict.job import reject_misfit

    library_entry = entry(f"{file}:{node.name}")
    if library_entry is not None:
        return library_entry.claim, library_entry.call
    case = Case(_make_stand_in(signature), "", name=node.name, target=target, style="foreign")
    contract = contract_named(claimed(case).contract)
    if contract.form != "function":
        raise UsageError(f"`{contract.name}` is no contract of a function")
    reject_misfit(claimed(case), contract)
    return contract.name, ""


def _make_stand_in(signature: inspect.Signature) -> Callable[..., Any]:
    """Return a function with a signature. It is never called."""

    def stand_in() -> None: ...

    stand_in.__signature__ = signature  # type: ignore[attr-defined]
    return stand_in


def _find_array_library(tree: ast.Module) -> str:
    """Return the adapter of the array library that a file imports if it does not import torch; else nothing."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    if "torch" in names:
        return ""
    return "jax" if "jax" in names else "numpy" if "numpy" in names else ""


def describe_functions(found: Sequence[FoundFunction], left_out: Sequence[LeftOut], root: Path) -> list[str]:
    """Return a line for each function: its target, its contract or the reason for the omission, and its place."""
    functions: list[FoundFunction | LeftOut] = [*found, *left_out]
    width = max((len(function.target) for function in functions), default=0)
    place = {
        function.target: f"({function.file.relative_to(root).as_posix()}:{function.line})" for function in functions
    }
    lines = [f"  {function.target:<{width}}  {function.contract}  {place[function.target]}" for function in found]
    others = [f"  {function.target:<{width}}  {function.reason}  {place[function.target]}" for function in left_out]
    return [*lines, *(["left out:", *others] if others else [])]
