"""Examples as text, and the command that reproduces an example bit for bit."""

import json
import math
import shlex
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from harness.case import Case
from harness.error import UsageError
from harness.floats.format import Format
from harness.laws.contract import Contract
from harness.laws.law import Example
from harness.record import TensorText


def hexadecimal(value: float) -> str:
    """``float.hex`` without the trailing zeros of the significand: ``0x1.62e43p+6``; ``0.0`` for zero."""
    if value == 0.0 or not math.isfinite(value):
        return str(value)
    significand, exponent = value.hex().split("p")
    return f"{significand.rstrip('0').rstrip('.')}p{exponent}"


def from_text(example: Mapping[str, Any], contract: Contract | None = None) -> Example:
    """Invert :func:`to_text`."""
    read = {name: _tensor(value) if isinstance(value, TensorText) else value for name, value in example.items()}
    return read if contract is None else _grouped(read, contract)


def spelled_out(example: Mapping[str, Any], contract: Contract) -> list[Example]:
    """Return the example again if its values are recorded; no example otherwise."""
    tensors = (value for value in example.values() if isinstance(value, TensorText))
    whole = all(len(text.values) == math.prod(text.shape) for text in tensors)
    return [from_text(example, contract)] if whole else []


def as_called(example: Example, contract: Contract) -> Example:
    """Return the inputs of the call for an example with a single group, in the shapes of the signature."""
    if not is_one_group(example, contract):
        return example
    grouped = _with_groups(contract, example)
    return {name: value.squeeze(0) if name in grouped else value for name, value in example.items()}


def is_one_group(example: Example, contract: Contract) -> bool:
    """Whether an example has an axis of groups with one group only."""
    inputs = [(example[name], contract.axes[name]) for name in _with_groups(contract, example)]
    return bool(inputs) and all(value.ndim == len(axes.names) and len(value) == 1 for value, axes in inputs)


def _with_groups(contract: Contract, example: Mapping[str, Any]) -> list[str]:
    """Return the names of the tensors that have a leading axis of groups."""
    axes = contract.axes if contract.grouped else {}
    return [name for name in example if name in axes and axes[name].names[:1] == ("g",)]


def _grouped(example: Example, contract: Contract) -> Example:
    """Invert :func:`as_called`; an example that still has its axis of groups is returned unchanged."""
    grouped = _with_groups(contract, example)
    called = [name for name in grouped if example[name].ndim == len(contract.axes[name].names) - 1]
    return {name: value.unsqueeze(0) if name in called else value for name, value in example.items()}


def _tensor(text: TensorText) -> Tensor:
    dtype = getattr(torch, text.dtype)
    if dtype.is_floating_point:
        values = torch.tensor([float.fromhex(value) for value in text.values], dtype=torch.float64).to(dtype)
    else:
        values = torch.tensor([value == "True" if dtype is torch.bool else int(value) for value in text.values])
    return values.to(dtype).reshape(text.shape)


MAX_ELEMENTS = 1024
"""Tensors with more elements are recorded by dtype and shape, and replayed from the seed that drew them."""


def to_text(example: Example, contract: Contract | None = None) -> dict[str, Any]:
    """Return every input of a call in the form of the record: tensors as :class:`~harness.record.TensorText`."""
    called = example if contract is None else as_called(example, contract)
    return {name: _tensor_text(value) if isinstance(value, Tensor) else value for name, value in called.items()}


def _tensor_text(tensor: Tensor) -> TensorText:
    plain = tensor.detach().cpu()
    values: tuple[str, ...] = ()
    if plain.numel() <= MAX_ELEMENTS:
        spell = hexadecimal if plain.dtype.is_floating_point else str
        values = tuple(spell(value) for value in plain.flatten().tolist())
    return TensorText(dtype=str(plain.dtype).removeprefix("torch."), shape=tuple(plain.shape), values=values)


def to_json(example: Example, contract: Contract, format_: Format) -> str:
    """Return the example in the format of ``--example``.

    Tensors are nested lists in the shapes of a call, floats in hexadecimal. A dtype that does not follow from the
    contract and the format precedes the list: ``{"int64": [0, 1]}``.
    """
    return json.dumps(
        {
            name: _nested(value, _implied(name, contract, format_)) if isinstance(value, Tensor) else value
            for name, value in as_called(example, contract).items()
        }
    )


def _implied(name: str, contract: Contract, format_: Format) -> torch.dtype | None:
    """Return the dtype of a list that names none; ``None`` if an input is a tensor only with a dtype."""
    axes = contract.axes.get(name)
    if axes is None:
        return None
    return torch.int64 if axes.index_of is not None else format_.dtype


def _nested(tensor: Tensor, implied: torch.dtype | None) -> Any:
    values = _spelled(tensor.detach().cpu().tolist())
    return values if tensor.dtype == implied else {str(tensor.dtype).removeprefix("torch."): values}


def _spelled(nested: Any) -> Any:
    if isinstance(nested, list):
        return [_spelled(item) for item in nested]
    return hexadecimal(nested) if isinstance(nested, float) else nested


def from_json(text: str, contract: Contract, format_: Format) -> Example:
    """Read the output of :func:`to_json`.

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
        read = {name: _value(value, _implied(name, contract, format_)) for name, value in document.items()}
        example = _grouped(read, contract)
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            "cannot read `--example`",
            rule='it must be JSON such as `{"logits": [["0x1.8p+1", 0.5]]}`',
            value=f"{text!r:.60} ({error})",
        ) from error
    for name, value in example.items():
        names = contract.axes[name].names if name in contract.axes else ()
        if isinstance(value, Tensor) and value.ndim < len(names):
            raise UsageError(
                f"cannot use `--example`: `{name}` has too few axes",
                rule=f"the contract takes {name}[{','.join(names)}]",
                value=str(list(value.shape)),
                remedy="write one more pair of brackets around its numbers",
            )
    return example


def _value(value: Any, implied: torch.dtype | None) -> Any:
    if isinstance(value, dict):
        ((name, value),) = value.items()
        implied = getattr(torch, name)
    if implied is None:
        return value
    if implied.is_floating_point:
        return torch.tensor(_parsed(value), dtype=torch.float64).to(implied)
    return torch.tensor(value, dtype=implied)


def _parsed(nested: Any) -> Any:
    if isinstance(nested, list):
        return [_parsed(item) for item in nested]
    return float.fromhex(nested) if isinstance(nested, str) else float(nested)


def replay_command(
    case: Case, contract: Contract, law: str, format_: Format, example: Example, draws: str, *, device: str = "cpu"
) -> str:
    """Return the command that measures a law of a case on an example.

    No command can import a function that a notebook or a program defines. The text is then the Python call that checks
    the law again with the same seed. ``draws`` has the options that draw the example again if it is too large to be
    spelled out.
    """
    home, _, function = case.target.partition(":")
    if home == "__main__":
        arguments = {"laws": [law], "dtypes": [format_.name]} | (
            {"declares": dict(case.declares)} if case.declares else {}
        )
        options = "".join(f", {name}={value!r}" for name, value in arguments.items())
        return f"harness.check({function}, {contract.name!r}{options})"
    words = ["harness", "check", case.target, "--contract", contract.name, "--law", law]
    if contract.form != "delivery":
        words += ["--dtypes", format_.name]
    if device != "cpu":
        words += ["--devices", device]
    if isinstance(case.call, str):
        words += ["--call", case.call]
    for name, value in case.declares.items():
        words += ["--declare", f"{name}={value}"]
    small = all(value.numel() <= MAX_ELEMENTS for value in example.values() if isinstance(value, Tensor))
    if small:
        return shlex.join([*words, "--example", to_json(example, contract, format_)])
    return f"{shlex.join(words)} {draws}"
