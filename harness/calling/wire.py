"""What goes over the line between whoever asks and the process in which somebody's code is called.

A message is a mark, a header in JSON, and the raw bytes of storages, each of which becomes a tensor's own. The mark of
a question is drawn anew each time, and an answer has to bear it. Nothing that is read is ever executed.
"""

import ctypes
import json
import math
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

MARK = 16
"""Bytes of a mark."""

_PREFIX = struct.Struct(f"<{MARK}sI")
_MOST_HEADER = 2**26
MOST_BYTES = 2**32
"""Bytes of one message at most."""

_DEEPEST = 24
_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in vars(torch).values()
    if isinstance(dtype, torch.dtype) and not dtype.is_complex and "q" not in str(dtype)
}
_KINDS = {
    str(kind): kind
    for kind in (
        *_DTYPES.values(),
        *(value for value in vars(torch).values() if isinstance(value, (torch.layout, torch.memory_format))),
    )
}

# As they are before anybody else's code is loaded.
_data_ptr, _stride, _offset, _size = Tensor.data_ptr, Tensor.stride, Tensor.storage_offset, Tensor.size
_detach, _contiguous, _storage = Tensor.detach, Tensor.contiguous, Tensor.untyped_storage


class WireError(Exception):
    """What came is no message, or none that was asked for."""


class Alien:
    """An object that does not go over the line.

    Parameters
    ----------
    kind
        Of which class it is.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind


def kind_of(value: Any) -> str:
    """Return the name of an object's class as a reader has it."""
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


# Writing


class Packed:
    """A value as JSON, and the storages of its tensors."""

    def __init__(self, value: Any, special: Callable[[Any], Any] = lambda _: None) -> None:
        self.tensors: list[dict[str, Any]] = []
        self.parts: list[Any] = []
        self.held: list[Tensor] = []
        self._special = special
        self.value = self._plain(value, 0)

    def _plain(self, value: Any, depth: int) -> Any:
        if value is None or type(value) in {bool, int, str}:
            return value if type(value) is not int or abs(value) < 2**63 else {"o": "int"}
        if type(value) is float:
            return value if math.isfinite(value) else {"f": str(value)}
        if depth < _DEEPEST:
            if isinstance(value, Tensor):
                return self._tensor(value)
            if type(value) in {list, tuple} or (
                isinstance(value, tuple) and type(value).__module__ == "torch.return_types"
            ):
                return {"l" if type(value) is list else "t": [self._plain(part, depth + 1) for part in value]}
            if type(value) is dict and all(type(key) is str for key in value):
                return {"m": [[key, self._plain(part, depth + 1)] for key, part in value.items()]}
        if isinstance(value, (torch.dtype, torch.layout, torch.memory_format)):
            return {"k": str(value)}
        if isinstance(value, torch.device):
            return {"v": str(value)}
        special = self._special(value)
        return {"o": kind_of(value)} if special is None else {"x": self._plain(special, depth + 1)}

    def _tensor(self, given: Tensor) -> Any:
        x = given if type(given) is Tensor else Tensor.as_subclass(given, Tensor)
        name = str(x.dtype).removeprefix("torch.")
        if x.layout is not torch.strided or x.is_nested or x.is_quantized:
            return {"o": "a tensor that is sparse, nested or quantized"}
        if x.is_complex():
            return {"o": "complex numbers"}
        if name not in _DTYPES:
            return {"o": f"a tensor of {name}"}
        entry: dict[str, Any] = {"d": name, "s": list(_size(x)), "g": bool(x.requires_grad)}
        if x.device.type == "meta":
            entry["a"] = "meta"
        elif x.device.type != "cpu":
            return {"o": f"a tensor on {x.device}"}
        else:
            self._bytes(_detach(x), entry)
        self.tensors.append(entry)
        return {"T": len(self.tensors) - 1}

    def _bytes(self, x: Tensor, entry: dict[str, Any]) -> None:
        x = x.resolve_conj().resolve_neg()
        size, stride = list(_size(x)), list(_stride(x))
        item = x.element_size()
        extent = 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if math.prod(size) else 0
        whole = _storage(x).nbytes() // item
        if extent > 4 * math.prod(size) + 1024:
            x = _contiguous(x)
            stride, extent, whole = list(_stride(x)), math.prod(size), 0
        offset = int(_offset(x))
        if extent <= whole <= 4 * extent:  # all of it, so that whoever reads past the strides reads what is there
            start, extent = _data_ptr(x) - offset * item, whole
        else:
            start, offset = _data_ptr(x), 0
        entry |= {"t": stride, "o": offset, "b": extent * item}
        self.held.append(x)
        if extent:
            self.parts.append(memoryview((ctypes.c_char * (extent * item)).from_address(start)).cast("B"))


def send(line: socket.socket, mark: bytes, value: Any, special: Callable[[Any], Any] = lambda _: None) -> None:
    """Write a message.

    Parameters
    ----------
    line
        Where to.
    mark
        Of the question.
    value
        Numbers, texts, tensors, and lists, tuples and dictionaries of such; of others the name of their kind is sent.
    special
        ``special(value)`` returns a value to send in place of an object; ``None`` for none.
    """
    packed = Packed(value, special)
    header = json.dumps([packed.value, packed.tensors]).encode()
    parts: list[Any] = [memoryview(_PREFIX.pack(mark, len(header)) + header), *packed.parts]
    while parts:
        sent = line.sendmsg(parts[:64])
        while parts and sent >= len(parts[0]):
            sent -= len(parts.pop(0))
        if sent:
            parts[0] = parts[0][sent:]


# Reading

Read = Callable[[memoryview], None]
"""Fills a buffer, or raises."""


def filled(line: socket.socket) -> Read:
    """Return what fills buffers from a line, and raises ``EOFError`` where it is closed."""

    def read(buffer: memoryview) -> None:
        while buffer:
            count = line.recv_into(buffer)
            if not count:
                raise EOFError
            buffer = buffer[count:]

    return read


def receive(read: Read, special: Callable[[Any], Any] = lambda value: value) -> tuple[bytes, Any]:
    """Read a message, and return its mark and its value.

    Parameters
    ----------
    read
        Fills a buffer.
    special
        ``special(value)`` returns what stands for a value that was sent in place of an object.

    Raises
    ------
    WireError
        If it is none.
    """
    prefix = bytearray(_PREFIX.size)
    read(memoryview(prefix))
    mark, length = _PREFIX.unpack(prefix)
    if length > _MOST_HEADER:
        raise WireError
    header = bytearray(length)
    read(memoryview(header))
    try:
        value, entries = json.loads(header)
        if sum(int(entry.get("b", 0)) for entry in entries) > MOST_BYTES:
            raise WireError
        tensors = [_read_tensor(entry, read) for entry in entries]
        return mark, _value(value, tensors, special, 0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, RuntimeError) as error:
        raise WireError from error


def _read_tensor(entry: dict[str, Any], read: Read) -> Tensor:
    dtype, size = _DTYPES[entry["d"]], _whole(entry["s"])
    if entry.get("a") == "meta":
        return torch.empty(size, dtype=dtype, device="meta")
    stride, offset, count = _whole(entry["t"]), *_whole([entry["o"], entry["b"]])
    if len(stride) != len(size) or count % dtype.itemsize:
        raise WireError
    extent = sum((n - 1) * step for n, step in zip(size, stride, strict=True)) + 1 if math.prod(size) else 0
    if (offset + extent if extent else 0) * dtype.itemsize > count:
        raise WireError
    storage = torch.empty(count, dtype=torch.uint8)
    if count:
        read(memoryview((ctypes.c_char * count).from_address(_data_ptr(storage))).cast("B"))
    x = storage.view(dtype).as_strided(size, stride, offset if extent else 0)
    return x.requires_grad_() if entry["g"] is True and dtype.is_floating_point else x


def _whole(numbers: Sequence[Any]) -> list[int]:
    if not all(type(number) is int and 0 <= number < 2**62 for number in numbers):
        raise WireError
    return list(numbers)


def _value(value: Any, tensors: list[Tensor], special: Callable[[Any], Any], depth: int) -> Any:
    if depth > 2 * _DEEPEST:
        raise WireError
    if not isinstance(value, dict):
        if isinstance(value, list):
            raise WireError
        return value
    ((kind, held),) = value.items()
    match kind:
        case "T":
            return tensors[_whole([held])[0]]
        case "f":
            return float(held)
        case "l" | "t":
            parts = [_value(part, tensors, special, depth + 1) for part in held]
            return parts if kind == "l" else tuple(parts)
        case "m":
            return {str(key): _value(part, tensors, special, depth + 1) for key, part in held}
        case "k":
            return _KINDS[held]
        case "v":
            return torch.device(held)
        case "o":
            return Alien(str(held))
        case "x":
            return special(_value(held, tensors, special, depth + 1))
    raise WireError
