"""Record every operation that torch dispatches in a call, forward and backward.

A step is one operation, with its inputs, its results and the calling line: the innermost frame of user code. The
properties of its operator are read from the operator's schema in torch.
"""

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from harness.compat.installed import package_folders, python_folders
from harness.compat.torch import (
    TorchDispatchMode,
    current_autograd_node,
    is_functorch_wrapped_tensor,
    next_sequence_number,
    schema_of,
    sequence_number,
    storage_address,
    tree_leaves,
    tree_map,
)
from harness.error import cell

# Operators

FLOATING = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
"""The dtypes that have a shadow."""

UNIT = {dtype: torch.finfo(dtype).eps / 2 for dtype in FLOATING}
"""Unit roundoff."""

LARGEST = {dtype: torch.finfo(dtype).max for dtype in FLOATING}
SMALLEST_NORMAL = {dtype: torch.finfo(dtype).smallest_normal for dtype in FLOATING}
SMALLEST = {dtype: torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps for dtype in FLOATING}
"""Smallest positive subnormal number."""

NARROW = (torch.bfloat16, torch.float16)
INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32)
"""Integer dtypes that overflow in practice."""

_CONSTANTS = (
    "empty", "zeros", "ones", "full", "new_", "arange", "scalar_tensor", "lift_fresh", "rand", "eye", "linspace",
    "tril_indices", "triu_indices",
)  # fmt: skip
_NOT_NUMBERS = ("_local_scalar_dense", "sym_size", "record_stream", "set_", "resize_", "is_same_size")
_SEQUENCES = (list, tuple)  # a tuple is faster than a union here
_OVERWRITES = ("copy_", "fill_", "zero_")


class Operator:
    """One overload of an operator."""

    def __init__(self, overload: Any) -> None:
        schema = schema_of(overload)
        self.overload = overload
        self.name: str = schema.name.split("::")[1]
        self.base = self.name.rstrip("_") if not self.name.startswith("_") else self.name
        self.writes = [
            (index, argument.name)
            for index, argument in enumerate(schema.arguments)
            if argument.alias_info is not None and argument.alias_info.is_write
        ]
        returns_views = any(result.alias_info is not None for result in schema.returns)
        self.is_view = torch.Tag.inplace_view in overload.tags or (not self.writes and returns_views)
        self.draws = torch.Tag.nondeterministic_seeded in overload.tags
        self.is_ignored = schema.name.startswith(("profiler::", "prim::")) or self.name in _NOT_NUMBERS
        self.is_constant = self.name.startswith(_CONSTANTS)
        self.overwrites = self.name in _OVERWRITES

    def find_changed(self, args: Any, kwargs: Any) -> list[Any]:
        """Return the arguments that a call changes."""
        return [args[index] if index < len(args) else kwargs.get(name) for index, name in self.writes]

    def written(self, args: Any, kwargs: Any) -> list[Tensor]:
        """Return the floating-point tensors that a call changes."""
        return [tensor for tensor in tensors(self.find_changed(args, kwargs)) if is_followed(tensor)]


OPERATORS: dict[int, Operator] = {}
"""Known operators, by the identity of their overload."""


def operator_of(overload: Any) -> Operator:
    """Return the cached properties of an overload."""
    operator = OPERATORS.get(id(overload))
    if operator is None:
        operator = OPERATORS[id(overload)] = Operator(overload)
    return operator


def tensors(value: Any) -> list[Tensor]:
    """Return every tensor in an argument or a result."""
    if isinstance(value, Tensor):
        return [value]
    collected: list[Tensor] = []
    if isinstance(value, _SEQUENCES):
        # Inlined, because a call for each argument would take longer.
        for inner in value:
            if isinstance(inner, Tensor):
                collected.append(inner)
            elif isinstance(inner, _SEQUENCES):
                collected += tensors(inner)
    return collected


def is_followed(tensor: Tensor) -> bool:
    """Whether a tensor has a shadow: it is dense, floating-point, and has data."""
    return tensor.dtype in UNIT and tensor.layout is torch.strided and not tensor.is_meta and not tensor.is_nested


def is_wrapped(tensor: Tensor) -> bool:
    """Whether a tensor is a wrapper without a storage, as in ``torch.func``."""
    return bool(is_functorch_wrapped_tensor(tensor))


def key_of(tensor: Tensor) -> int:
    """Return the key of a tensor's storage; it is unique while the storage exists."""
    return int(storage_address(tensor.untyped_storage()))


def length_of(tensor: Tensor) -> int:
    """Return the number of elements of a tensor's storage."""
    return tensor.untyped_storage().nbytes() // tensor.element_size()


def whole(tensor: Tensor) -> Tensor:
    """Return all elements of a tensor's storage as a row."""
    return torch.as_strided(tensor, (length_of(tensor),), (1,), 0)


def dtype_name(dtype: torch.dtype) -> str:
    """Return ``float32`` for ``torch.float32``."""
    return str(dtype).removeprefix("torch.")


FAILURES = (RuntimeError, NotImplementedError, TypeError, IndexError, ValueError)
"""Errors that torch raises if an operator does not exist in wider arithmetic or rejects mixed dtypes."""

# The line of user code at which something happened

_OURS = str(Path(__file__).parents[1])
_SHIPPED = str(Path(__file__).parents[1] / "shipped")
"""The folder of the shipped cases in the wheel; they are implementations like any others."""

_ASKING = str(Path(__file__).parent)
"""Folder of the files that record operations; all other files of the harness call the function."""

_PYTHON, _INSTALLED = python_folders(), package_folders()

_OTHERS = ("<", _OURS, *_PYTHON, *_INSTALLED)
"""Path prefixes of files that belong to Python, the harness or an installed package."""


def place(frames: Iterable[tuple[str, int | None]]) -> str:
    """Return ``(file, line)`` for the first frame whose file the author wrote; nothing where there is none."""
    author_frames = (
        f" ({Path(cell(file)).name}, line {line})" for file, line in frames if not file.startswith(_OTHERS)
    )
    return next(author_frames, "")


class Line(NamedTuple):
    """A line of an implementation."""

    text: str
    """``file:line``."""
    instruction: int
    """The instruction of its function that is carried out: a loop returns to the same one."""


def calling_line() -> Line | None:
    """Return the implementation's line that is being carried out; ``None`` where it has none.

    The innermost frame above the call that is neither torch's nor Python's: an installed library has lines, too.
    """
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(_ASKING) and frame.f_back is not None:
        frame = frame.f_back
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(_OURS) and not file.startswith(_SHIPPED):
            return None
        if _has_lines_of_its_own(file):
            return Line(f"{Path(cell(file)).name}:{frame.f_lineno}", frame.f_lasti)
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _has_lines_of_its_own(file: str) -> bool:
    if file.startswith(("<", _find_torch())):
        return False
    return file.startswith(_INSTALLED) or not file.startswith(_PYTHON)


@cache
def _find_torch() -> str:
    """Return the folder of torch, which is already imported."""
    return str(Path(str(sys.modules["torch"].__file__)).parent)


# The tape


@dataclass(frozen=True)
class View:
    """A tensor as a part of a storage that the tape knows by its number."""

    storage: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int
    dtype: torch.dtype


@dataclass(frozen=True)
class Step:
    """One operation."""

    operator: Any
    """The overload that torch dispatched."""
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    """Positional and keyword arguments, with a :class:`View` for each floating-point tensor."""
    given: tuple[Tensor, ...]
    """Values of those views before the operation, in order."""
    results: tuple[View, ...]
    """Views of its results: new tensors that it returned, and tensors that it changed."""
    values: tuple[Tensor, ...]
    """Values of those views after the operation."""
    returned: Any
    """Its return value, with views."""
    line: Line | None
    """The line that called it."""
    node: str | None
    """Name of the running backward node; ``None`` in the forward pass."""

    @property
    def inputs(self) -> tuple[View, ...]:
        """Views of the floating-point inputs."""
        return views_in(self.arguments)

    @property
    def schema(self) -> Operator:
        """Properties of the operator."""
        return operator_of(self.operator)

    @property
    def changed(self) -> tuple[View, ...]:
        """Views of the arguments that the operation changed."""
        return views_in(self.schema.find_changed(*self.arguments))

    @cached_property
    def rounded(self) -> Any:
        """Positional arguments with the values before the operation."""
        values = iter(self.given)
        return tree_map(lambda leaf: next(values) if is_view(leaf) else leaf, self.arguments[0], is_leaf=is_view)

    @property
    def place(self) -> str | None:
        """File and line of the call."""
        return None if self.line is None else self.line.text

    @property
    def name(self) -> str:
        """Public name of the operation."""
        return format_name(self.operator.overloadpacket.__name__)

    @property
    def operation(self) -> str:
        """Name of the operation for messages: in the backward pass, the forward operation if torch names it."""
        match = _NODE.fullmatch(self.node or "")
        return self.name if match is None else format_name(_UPPER.sub("_", match[1]).lower().removesuffix("_backward"))


_NODE = re.compile(r"(\w+?)Backward\d+")
_UPPER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_SPOKEN = {
    "rsub": "sub",
    "to_copy": "to",
    "log1_p": "log1p",  # from the node Log1PBackward0
    "log_sigmoid_forward": "logsigmoid",
    "log_sigmoid": "logsigmoid",
    "native_layer_norm": "layer_norm",
    "linalg_vector_norm": "norm",
    "addmm": "mm",
    "bmm": "mm",
    "baddbmm": "mm",
    "true_divide": "div",
}
"""Operations that their users know by another name."""


def format_name(name: str) -> str:
    """Return an operator's name without the marks of its variants."""
    plain = name.strip("_")
    return _SPOKEN.get(plain, plain)


def is_view(leaf: Any) -> bool:
    """Whether a value is a view."""
    return isinstance(leaf, View)


def views_in(value: Any) -> tuple[View, ...]:
    """Return the views in arguments or results, in order."""
    return tuple(leaf for leaf in tree_leaves(value, is_leaf=is_view) if is_view(leaf))


def is_floating(leaf: Any) -> bool:
    """Whether it is a plain tensor of floats on the CPU, which can be followed."""
    return (
        isinstance(leaf, Tensor)
        and leaf.layout is torch.strided
        and leaf.dtype.is_floating_point
        and leaf.device.type == "cpu"
    )


MAX_STEPS = 1024
"""Maximum number of operations of a recorded call."""

MAX_ELEMENTS = 4_000_000
"""Maximum total number of elements of the results on one tape."""


class TooLongError(Exception):
    """A call is too long, or too large, to be recorded."""


@dataclass
class Tape:
    """The operations of a call in order, and its initial numbers."""

    steps: list[Step] = field(default_factory=list)
    started: dict[int, Tensor] = field(default_factory=dict)
    """Storages that no recorded operation created, with their values at the first read."""
    length: list[int] = field(default_factory=list)
    """Number of elements of the storages."""
    answers: list[View] = field(default_factory=list)
    """Return values of the calls."""


class Recorder(TorchDispatchMode):
    """Writes dispatched operations of its body to a tape, which may hold several calls, and changes nothing."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tape = tape
        self._number_of: dict[int, int] = {}
        self._held: list[Any] = []  # storages, so that none of their addresses is used again
        self._elements = 0
        self._lines: dict[int, Line | None] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Do not import torch's compiler, which takes a second."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and record it."""
        arguments = (args, kwargs or {})
        read = [leaf for leaf in tree_leaves(arguments) if is_floating(leaf)]
        views = [self.view(tensor) for tensor in read]
        copies = tuple(_copy(tensor) for tensor in read)
        kept = tree_map(self._copy_leaf, arguments)
        result = func(*args, **arguments[1])
        self._write(func, kept, (views, copies), arguments, result)
        return result

    def _write(self, func: Any, kept: Any, inputs: Any, arguments: Any, result: Any) -> None:
        tensor_count = len(self.tape.length)
        changed = [leaf for leaf in tree_leaves(operator_of(func).find_changed(*arguments)) if is_floating(leaf)]
        returned = tree_map(lambda leaf: self.view(leaf, created=True) if is_floating(leaf) else leaf, result)
        fresh = [leaf for leaf in tree_leaves(result) if is_floating(leaf) and self._number(leaf) >= tensor_count]
        written = [*fresh, *changed]
        if not written:
            return  # a view: the storage is all there is
        values = tuple(_copy(tensor) for tensor in written)
        self._elements += sum(value.numel() for value in (*values, *inputs[1]))
        if len(self.tape.steps) >= MAX_STEPS or self._elements > MAX_ELEMENTS:
            raise TooLongError
        line, node = self._find_calling_line()
        results = tuple(self.view(tensor) for tensor in written)
        self.tape.steps.append(Step(func, kept, inputs[1], results, values, returned, line, node))

    def _find_calling_line(self) -> tuple[Line | None, str | None]:
        """Return the calling line of the operation, or else its forward line, and the backward node."""
        node, line = current_autograd_node(), calling_line()
        if node is None:
            # Only the first operation that has a number made the node.
            self._lines.setdefault(next_sequence_number() - 1, line)
            return line, None
        return line or self._lines.get(sequence_number(node)), node.name()

    def _copy_leaf(self, leaf: Any) -> Any:
        if is_floating(leaf):
            return self.view(leaf)
        return leaf.detach().clone() if isinstance(leaf, Tensor) else leaf

    def view(self, tensor: Tensor, *, created: bool = False) -> View:
        """Return the view of a tensor; ``created`` if an operation on the tape created it."""
        number = self._number(tensor, created=created)
        return View(number, tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset()), tensor.dtype)

    def _number(self, tensor: Tensor, *, created: bool = False) -> int:
        storage = tensor.untyped_storage()
        if storage_address(storage) not in self._number_of:
            self._number_of[storage_address(storage)] = number = len(self.tape.length)
            self._held.append(storage)
            flat = whole(tensor.detach())
            self.tape.length.append(flat.numel())
            if not created:
                self.tape.started[number] = flat.double()
        return self._number_of[storage_address(storage)]


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to(torch.float64, copy=True)
