"""Functions of libraries that the harness can call, each with the contract or formula that it claims.

The tables are data: a contract or formula, and an adapter in the syntax of ``--call``. These modules import no library,
so that a target can be looked up before its code is loaded.
"""

import ast
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.calling.known import arrays, functional, tensor
from harness.calling.known.book import BOOK
from harness.calling.known.entry import Known, Table

__all__ = ["TABLES", "Known", "completed", "entry", "place_of"]

TABLES: Mapping[str, Table] = {
    "torch.nn.functional": functional.FUNCTIONAL,
    "torch": tensor.TORCH,
    "torch.linalg": tensor.LINALG,
    "torch.special": tensor.TORCH_SPECIAL,
    "numpy": arrays.NUMPY,
    "scipy.special": arrays.SCIPY_SPECIAL,
    "jax.nn": arrays.JAX_NN,
    "jax.numpy": arrays.JAX_NUMPY,
    "jax.scipy.special": arrays.JAX_SPECIAL,
    "optax": arrays.OPTAX,
    "keras.activations": arrays.KERAS,
}
"""The tables by module."""


def entry(target: str) -> Known | None:
    """Return the entry of a target, ``module:function`` or a wrapper ``file.py:function``."""
    module, _, name = target.partition(":")
    if module.endswith(".py"):
        return _wrapper(name, *_parsed_signature(Path(module), name))
    return TABLES.get(module, {}).get(name)


def place_of(function: Any) -> str | None:
    """Return the target that names a known function, also if it is compiled and knows neither module nor name."""
    for module, table in TABLES.items():
        loaded = sys.modules.get(module)
        for name in table if loaded is not None else ():
            if _attribute(loaded, name) is function:
                return f"{module}:{name}"
    return None


def of_function(function: Any) -> Known | None:
    """Return the entry of a library's function, or of a wrapper with the same name and parameters."""
    place = place_of(function)
    if place is not None:
        return entry(place)
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    names = code.co_varnames[: code.co_argcount]
    required = names[: len(names) - len(function.__defaults__ or ())]
    return _wrapper(function.__name__, required, frozenset(code.co_names))


def completed(known: Known | None, contract: str | None, call: Any) -> tuple[str | None, Any]:
    """Return the contract and the adapter of a function: the user's choice, or the known ones.

    An adapter is known for its own contract only.
    """
    if known is None or (contract is not None and contract != known.claim):
        return contract, call
    return known.claim, (known.call or None) if call is None else call


def _attribute(module: Any, name: str) -> Any:
    value = module
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


def _wrapper(name: str, required: tuple[str, ...], used: frozenset[str]) -> Known | None:
    """Return the entry of a function in a file, from its name, its required parameters and the names in its code."""
    known = functional.FUNCTIONAL.get(name)
    if known is not None and known.required and known.required[1:] == required[1:]:
        return known
    known = BOOK.get(name)
    return known if known is not None and known.required == required and used.issuperset(known.uses) else None


def _parsed_signature(file: Path, name: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the parameters without a default of a function in a file, which is read and not run, and its names."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return (), frozenset()
    for one in tree.body:
        if isinstance(one, ast.FunctionDef) and one.name == name:
            given = [argument.arg for argument in (*one.args.posonlyargs, *one.args.args)]
            required = tuple(given[: len(given) - len(one.args.defaults)])
            names = (getattr(node, "id", None) or getattr(node, "attr", None) for node in ast.walk(one))
            return required, frozenset(filter(None, names))
    return (), frozenset()
