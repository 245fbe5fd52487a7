"""Functions of ``blind.toml``, which is data: a line for each, with its code and its exact value as text."""

import linecache
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import mpmath as mp
import numpy as np
import torch
from torch.nn import functional as F
from unseen.specimen import Unseen

import harness.formula.catalogue

USUAL = ((0.5, -1.25, 2.0), (1.5, 0.75, -0.375), (0.25, 2.5, 1.125), (0.875, 0.625, -1.75))
"""Numbers for the inputs in order, unless a line has others."""


def _each(function: Any) -> Any:
    return np.frompyfunc(function, 1, 1)


def _extreme(name: str) -> Any:
    return lambda x, *rest: getattr(np, f"{name}imum")(x, *rest) if rest else getattr(np, name)(x)


def _exactly(text: str) -> Any:
    *statements, value = text.split(";")

    def truth(**inputs: Any) -> Any:
        scope = {**MPMATH, **inputs}
        exec(";".join(part.strip() for part in statements), scope)  # noqa: S102 - text of this folder
        return eval(value.strip(), scope)  # noqa: S307 - text of this folder

    return truth


MPMATH: Mapping[str, Any] = MappingProxyType({
    **{word: _each(getattr(mp, word)) for word in ("exp", "log", "sqrt", "tanh", "erf", "cos", "sin", "atan")},
    "abs": np.abs, "sum": np.sum, "mean": np.mean, "count": len, "where": np.where, "pi": mp.mp.pi, "mpf": mp.mpf,
    "max": _extreme("max"), "min": _extreme("min"), "norm": lambda x: mp.sqrt(np.sum(x * x)),
    "softplus": _each(lambda x: mp.log1p(mp.exp(x))), "sigmoid": _each(lambda x: 1 / (1 + mp.exp(-x))),
    "softmax": lambda x: _each(mp.exp)(x) / np.sum(_each(mp.exp)(x)),
    "log_softmax": lambda x: x - mp.log(np.sum(_each(mp.exp)(x))),
})  # fmt: skip


def _inputs(line: Mapping[str, Any]) -> list[str]:
    """Return the names of the inputs in order."""
    entry = harness.formula.catalogue.CATALOGUE.get(line.get("of", ""))
    if "in" in line:
        return list(line["in"])
    return list(entry.inputs) if entry else [name for name in "rgbxy" if re.search(rf"\b{name}\b", line["code"])]


def _compile(name: str, inputs: list[str], code: str) -> Any:
    """Return the function, whose source can be read."""
    file, source = f"<{name}>", f"def {name}({', '.join(inputs)}):\n    return {code}\n"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    scope: dict[str, Any] = {"torch": torch, "F": F, "__name__": "unseen.blind"}
    exec(compile(source, file, "exec"), scope)  # noqa: S102 - text of this folder
    return scope[name]


def read(file: str, kind: str) -> list[Unseen]:
    """Return the functions of a kind, ``wrong`` or ``sound``."""
    return [_specimen(line) for line in tomllib.loads((Path(__file__).parent / file).read_text())[kind]]


def _specimen(line: Mapping[str, Any]) -> Unseen:
    inputs = _inputs(line)
    row = line.get("row", [list(numbers) for numbers in USUAL[: len(inputs)]])
    exact = line.get("truth", line.get("formula", ""))
    return Unseen(
        _compile(line["name"], inputs, line["code"]),
        contract=line.get("of", ""),
        formula=line.get("formula", ""),
        kinds=line.get("in", {}),
        says=line.get("says", ""),
        mode=line.get("mode", ""),
        loses=line.get("loses", ""),
        row=tuple(row),
        truth=_by_position(inputs, exact) if exact else None,
    )


def _by_position(inputs: list[str], exact: str) -> Any:
    """Return the exact value as a list."""

    def truth(*row: Any) -> Any:
        given = {name: _mp(x) for name, x in zip(inputs, row, strict=True)}
        return list(np.atleast_1d(_exactly(exact)(**given)))

    return truth


def _mp(x: Any) -> Any:
    if isinstance(x, list):
        return np.array([_mp(number) for number in x], dtype=object)
    return x if isinstance(x, int) else mp.mpf(x)
