"""Examples as text: what a violation shows, and the command that reproduces it alone, bit for bit."""

import json
import shlex
from typing import Any

import torch
from torch import Tensor

from harness.case import Case
from harness.error import UsageError
from harness.law import Contract, Example
from harness.precision import Format
from harness.record import TensorText


def to_text(example: Example) -> dict[str, Any]:
    """Spell every input out: tensors as :class:`~harness.record.TensorText`, numbers as they are."""
    return {name: _tensor_text(value) if isinstance(value, Tensor) else value for name, value in example.items()}


def _tensor_text(tensor: Tensor) -> TensorText:
    plain = tensor.detach().cpu()
    if plain.dtype.is_floating_point:
        values = tuple(float(value).hex() for value in plain.double().flatten().tolist())
    else:
        values = tuple(str(value) for value in plain.flatten().tolist())
    return TensorText(dtype=str(plain.dtype).removeprefix("torch."), shape=tuple(plain.shape), values=values)


def to_json(example: Example) -> str:
    """Return the example as ``--example`` takes it: nested lists, floats in hexadecimal."""
    return json.dumps({name: _nested(value) for name, value in example.items()})


def _nested(value: Any) -> Any:
    if isinstance(value, Tensor):
        nested = value.detach().cpu().double().tolist() if value.dtype.is_floating_point else value.tolist()
        return _hexadecimal(nested)
    return value


def _hexadecimal(nested: Any) -> Any:
    if isinstance(nested, list):
        return [_hexadecimal(item) for item in nested]
    return nested.hex() if isinstance(nested, float) else nested


def from_json(text: str, contract: Contract, format_: Format) -> Example:
    """Read what :func:`to_json` wrote.

    Floating-point inputs may be hexadecimal strings or plain JSON numbers; they are rounded to the format.

    Raises
    ------
    UsageError
        If the text is not such an example.
    """
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            raise TypeError("not an object")
        return {name: _from_nested(value, name, contract, format_) for name, value in document.items()}
    except (ValueError, TypeError) as error:
        raise UsageError(
            rule='`--example` is JSON such as `{"logits": [["0x1.8p+1", 0.5]]}`', value=f"{text!r:.60} ({error})"
        ) from error


def _from_nested(value: Any, name: str, contract: Contract, format_: Format) -> Any:
    if not isinstance(value, list):
        return value
    axes = contract.axes.get(name)
    if axes is not None and axes.index_of is not None:
        return torch.tensor(value, dtype=torch.int64)
    return torch.tensor(_from_hexadecimal(value), dtype=torch.float64).to(format_.dtype)


def _from_hexadecimal(nested: Any) -> Any:
    if isinstance(nested, list):
        return [_from_hexadecimal(item) for item in nested]
    return float.fromhex(nested) if isinstance(nested, str) else float(nested)


def replay_command(case: Case, contract: str, law: str, dtype: str, example: Example) -> str:
    """Return the command that measures one law of one case on one example."""
    words = ["harness", "check", case.target, "--contract", contract, "--law", law, "--dtypes", dtype]
    for name, value in case.declares.items():
        words += ["--declare", f"{name}={value}"]
    return shlex.join([*words, "--example", to_json(example)])
