"""The wire format between the judge and the process that runs user code.

A message is a mark, a JSON header, and the raw bytes of the storages of tensors. Each request has a new random mark,
which its answer must repeat. Received data is never executed.
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

from harness.isolation.encoding import DEEPEST, DTYPES, Packed, data_ptr

MARK = 16
"""Bytes of a mark."""

_PREFIX = struct.Struct(f"<{MARK}sI")
_MAX_HEADER = 2**26
MAX_BYTES = 2**32
"""Most bytes in one message."""

_MAX_PARTS = 2**20
"""Maximum number of parts in the columns of a message: a few bytes could announce any number of equal parts."""

_BUFFER = 2**16
_encode = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode
_KINDS = {
    str(kind): kind
    for kind in (
        *DTYPES.values(),
        *(value for value in vars(torch).values() if isinstance(value, (torch.layout, torch.memory_format))),
    )
}

# Bound before user code is loaded, which may replace methods of the class.
_unbind, _clone, _view, _as_strided = Tensor.unbind, Tensor.clone, Tensor.view, Tensor.as_strided
_requires_grad, _empty = Tensor.requires_grad_, torch.empty


class WireError(Exception):
    """The received bytes are not a message, or not the expected one."""


class Unsupported:
    """Stands for an object that cannot be sent.

    Parameters
    ----------
    kind
        Name of its class.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind


def send(line: socket.socket, mark: bytes, value: Any, special: Callable[[Any], Any] = lambda _: None) -> None:
    """Write a message."""
    packed = Packed(value, special)
    header = _encode([packed.value, packed.tensors]).encode()
    parts: list[Any] = [memoryview(_PREFIX.pack(mark, len(header)) + header), *packed.parts]
    while parts:
        sent = line.sendmsg(parts[:64])
        while parts and sent >= len(parts[0]):
            sent -= len(parts.pop(0))
        if sent:
            parts[0] = parts[0][sent:]


Read = Callable[[memoryview], None]
"""Fills a buffer, or raises."""


class Buffered:
    """Fills buffers from larger received parts.

    Parameters
    ----------
    take
        ``take(buffer)`` writes what there is into the beginning of a buffer and returns how many bytes that are, at
        least one, or raises.
    """

    def __init__(self, take: Callable[[memoryview], int]) -> None:
        self._take, self._buffer = take, memoryview(bytearray(_BUFFER))
        self._begin = self._end = 0

    @property
    def rest(self) -> int:
        """Received bytes that were not read yet."""
        return self._end - self._begin

    def __call__(self, into: memoryview) -> None:
        """Fill a buffer."""
        while into:
            if not self.rest and len(into) >= _BUFFER:
                into = into[self._take(into) :]
                continue
            if not self.rest:
                self._begin, self._end = 0, self._take(self._buffer)
            count = min(len(into), self.rest)
            into[:count] = self._buffer[self._begin : self._begin + count]
            into, self._begin = into[count:], self._begin + count


def buffered_reader(line: socket.socket) -> Read:
    """Return a function that fills buffers from a line, and raises ``EOFError`` if the line is closed."""

    def take(buffer: memoryview) -> int:
        count = line.recv_into(buffer)
        if not count:
            raise EOFError
        return count

    return Buffered(take)


def receive(
    read: Read, special: Callable[[Any], Any] = lambda value: value, expected: bytes | None = None
) -> tuple[bytes, Any]:
    """Read a message, and return its mark and its value. A message with another mark than the expected one is none.

    Raises
    ------
    WireError
        If it is none.
    """
    prefix = bytearray(_PREFIX.size)
    read(memoryview(prefix))
    mark, length = _PREFIX.unpack(prefix)
    # Otherwise the length may be any bytes, and the reader would wait for as many more.
    if length > _MAX_HEADER or (expected is not None and mark != expected):
        raise WireError
    header = bytearray(length)
    read(memoryview(header))
    try:
        value, entries = json.loads(header.decode())
        if sum(int(entry.get("b", 0)) for entry in entries) > MAX_BYTES:
            raise WireError
        tensors = [_read_tensor(entry, read) for entry in entries]
        return mark, _Reading(tensors, special).value(value, 0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, RuntimeError) as error:
        raise WireError from error


def _read_tensor(entry: dict[str, Any], read: Read) -> Tensor | list[Tensor]:
    dtype, size = DTYPES[entry["d"]], _whole_numbers(entry["s"])
    if "n" in entry:
        return _read_rows(entry, dtype, size, read)
    if entry.get("a") == "meta":
        return _empty(size, dtype=dtype, device="meta")
    stride, offset, count = _whole_numbers(entry["t"]), *_whole_numbers([entry["o"], entry["b"]])
    if len(stride) != len(size) or count % dtype.itemsize:
        raise WireError
    extent = sum((n - 1) * step for n, step in zip(size, stride, strict=True)) + 1 if math.prod(size) else 0
    if (offset + extent if extent else 0) * dtype.itemsize > count:
        raise WireError
    storage = _read_bytes(count, read)
    x = _as_strided(_view(storage, dtype), size, stride, offset if extent else 0)
    return _requires_grad(x) if entry["g"] is True and dtype.is_floating_point else x


def _read_rows(entry: dict[str, Any], dtype: torch.dtype, size: list[int], read: Read) -> list[Tensor]:
    """Return the tensors of a block, each with a new storage."""
    length, count = _whole_numbers([entry["n"], entry["b"]])
    if not count or length * math.prod(size) * dtype.itemsize != count:
        raise WireError
    rows = [_clone(row) for row in _unbind(_view(_view(_read_bytes(count, read), dtype), (length, *size)))]
    if entry["g"] is True and dtype.is_floating_point:
        for row in rows:
            _requires_grad(row)
    return rows


def _read_bytes(count: int, read: Read) -> Tensor:
    storage = _empty(count, dtype=torch.uint8)
    if count:
        read(memoryview((ctypes.c_char * count).from_address(data_ptr(storage))).cast("B"))
    return storage


def _whole_numbers(numbers: Sequence[Any]) -> list[int]:
    for number in numbers:
        if type(number) is not int or not 0 <= number < 2**62:
            raise WireError
    return list(numbers)


_NESTED = frozenset({dict, list})


class _Reading:
    """Decodes a value from its form in a header."""

    def __init__(self, tensors: Sequence[Tensor | list[Tensor]], special: Callable[[Any], Any]) -> None:
        self._tensors, self._special, self._parts = tensors, special, 0

    def value(self, value: Any, depth: int) -> Any:
        """Read a value."""
        if depth > 2 * DEEPEST:
            raise WireError
        if not isinstance(value, dict):
            if isinstance(value, list):
                raise WireError
            return value
        ((kind, content),) = value.items()
        match kind:
            case "T":
                tensor = self._tensors[_whole_numbers([content])[0]]
                if isinstance(tensor, list):
                    raise WireError
                return tensor
            case "f":
                return float(content)
            case "l" | "t":
                parts = [self.value(part, depth + 1) if type(part) in _NESTED else part for part in content]
                return parts if kind == "l" else tuple(parts)
            case "L" | "U":
                length, column = content
                parts = self._column(column, _whole_numbers([length])[0], depth + 1)
                return parts if kind == "L" else tuple(parts)
            case "m":
                return {
                    key: self.value(part, depth + 1) if type(part) in _NESTED else part for key, part in content.items()
                }
            case "k":
                return _KINDS[content]
            case "v":
                return torch.device(content)
            case "o":
                return Unsupported(str(content))
            case "x":
                return self._special(self.value(content, depth + 1))
        raise WireError

    def _column(self, column: Any, length: int, depth: int) -> list[Any]:
        """Read as many values as a column has."""
        self._parts += length
        if depth > 2 * DEEPEST or self._parts > _MAX_PARTS:
            raise WireError
        values: Any
        ((kind, content),) = column.items()
        match kind:
            case "R":
                values = self._tensors[_whole_numbers([content])[0]]
            case "E":
                if isinstance(content, dict):
                    raise WireError
                values = [content] * length
            case "P":
                values = [self.value(part, depth) for part in content]
            case "m":
                columns = [self._column(part, length, depth + 1) for part in content.values()]
                values = [dict(zip(content, row, strict=True)) for row in _transpose(columns, length)]
            case "l" | "t":
                columns = [self._column(part, length, depth + 1) for part in content]
                values = [list(row) if kind == "l" else row for row in _transpose(columns, length)]
            case _:
                raise WireError
        if not isinstance(values, list) or len(values) != length:
            raise WireError
        return values


def _transpose(columns: Sequence[list[Any]], length: int) -> list[tuple[Any, ...]]:
    return list(zip(*columns, strict=True)) if columns else [()] * length
