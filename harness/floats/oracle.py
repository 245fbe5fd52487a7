"""The two tiers of the oracle: a fast vectorized screen, and rigorous ball arithmetic that confirms.

Both tiers receive the implementation's own rounded inputs, bit for bit, and neither changes global precision. A law
calls its oracle without knowing the tier. :func:`confirming` selects the tier, so that each law is written once. Exact
values are kept in a cache of limited size.

References
----------
F. Johansson (2017), "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic", IEEE Trans. Comput.
"""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from flint import arb, ctx
from numpy.typing import NDArray
from torch import Tensor

from harness.floats import double_double as dd
from harness.floats.double_double import DoubleDouble
from harness.floats.format import to_array, view_bits

KeptT = TypeVar("KeptT")

MEBIBYTE = 2**20


class Memory(Generic[KeptT]):
    """A least-recently-used cache of at most ``max_bytes``; it ignores values larger than a quarter of that."""

    def __init__(self, max_bytes: int) -> None:
        self._most_bytes = max_bytes
        self._kept: OrderedDict[Hashable, tuple[KeptT, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable) -> KeptT | None:
        """Return the cached value of a key, or ``None``."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def keep(self, key: Hashable, value: KeptT, size: int) -> None:
        """Cache a value of ``size`` bytes, replacing the previous value of its key."""
        _, before = self._kept.pop(key, (None, 0))
        self._bytes -= before
        if size > self._most_bytes // 4:
            return
        self._kept[key] = value, size
        self._bytes += size
        while self._bytes > self._most_bytes:
            _, (_, freed) = self._kept.popitem(last=False)
            self._bytes -= freed


def content_of(value: Any) -> Hashable | None:
    """Return a short key of a value's bits and memory layout, or ``None`` if it is neither an array nor a number.

    The layout is included because NumPy's order of summation depends on it.
    """
    if isinstance(value, Tensor):
        if value.layout is not torch.strided or value.device.type != "cpu":
            return None
        # NumPy has no bfloat16, so the bits are read as integers.
        return str(value.dtype), tuple(value.shape), value.stride(), _compute_digest(view_bits(value).numpy())
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            return None
        return str(value.dtype), value.shape, value.strides, _compute_digest(value)
    return (type(value), repr(value)) if isinstance(value, (bool, int, float, str, type(None))) else None


def _compute_digest(values: Any) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(values).data, digest_size=16).digest()


_PRECISIONS = (160, 320, 640, 1280, 2560, 5120, 10240, 20480)
_ENOUGH_BITS = 118
_NEGLIGIBLE = arb(2) ** -1200  # far below half the smallest subnormal of float64

_confirming: ContextVar[bool] = ContextVar("confirming", default=False)
_remembered: ContextVar[dict[Any, Any] | None] = ContextVar("remembered", default=None)
_recalling: ContextVar[bool] = ContextVar("reuse_results", default=False)

_reuse: Memory[DoubleDouble] = Memory(96 * MEBIBYTE)
"""Results of both tiers by their arguments; laws and cases share examples."""


class UndecidedError(ArithmeticError):
    """Ball arithmetic gave no decision at the highest precision."""


@contextmanager
def set_within(variable: ContextVar[KeptT], value: KeptT) -> Iterator[None]:
    """Give a context variable a value in the body."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def confirming() -> AbstractContextManager[None]:
    """Evaluate every oracle call in the body by ball arithmetic.

    Returns
    -------
    context manager
        The context of the body.
    """
    return set_within(_confirming, value=True)


def remembering() -> AbstractContextManager[None]:
    """Evaluate the oracle once per tensor in the body, even if several laws call it; the tensors must not change.

    Returns
    -------
    context manager
        The context of the body.
    """
    return set_within(_remembered, value={})


def reuse_results() -> AbstractContextManager[None]:
    """In the body, reuse earlier results for the same numbers from any such body.

    Returns
    -------
    context manager
        The context of the body.
    """
    return set_within(_recalling, value=True)


is_recalling = _recalling.get
"""Whether an oracle returns the same object for equal inputs."""


class Oracle:
    """The exact value of one operation.

    Parameters
    ----------
    screen
        ``screen(elementary, *inputs) -> DoubleDouble``: vectorized evaluation on float64 arrays that hold the inputs
        exactly, with the transcendental functions in ``elementary``.
    exact
        ``exact(*inputs) -> array of arb``: the definition on object arrays of exact ``arb``. The precision rises until
        every element is known to 118 bits or is smaller than any subnormal.
    """

    def __init__(self, screen: Callable[..., DoubleDouble], exact: Callable[..., NDArray[np.object_]]) -> None:
        self._screen = screen
        self._exact = exact

    def __call__(self, *inputs: Any) -> DoubleDouble:
        """Evaluate at the exact values of tensors, integer arrays and plain numbers.

        Raises
        ------
        UndecidedError
            If ball arithmetic gives no decision.
        """
        remembered = _remembered.get()
        if remembered is None or _confirming.get():
            # Ball arithmetic is so expensive that its results are cached by content, not by identity.
            is_recalling = _recalling.get() or remembered is not None
            return self._reuse(inputs) if is_recalling else self._compute(inputs)
        key = (self, *map(id, inputs))
        if key not in remembered:
            # Keep the inputs alive: Python may reuse the identity of a deleted object.
            remembered[key] = inputs, self._compute_screen(inputs)
        result: DoubleDouble = remembered[key][1]
        return result

    def _compute(self, inputs: tuple[Any, ...]) -> DoubleDouble:
        return self._confirm(inputs) if _confirming.get() else self._compute_screen(inputs)

    def _reuse(self, inputs: tuple[Any, ...]) -> DoubleDouble:
        contents = tuple(map(content_of, inputs))
        if None in contents:
            return self._compute(inputs)
        key = self, _confirming.get(), contents
        if (previous := _reuse.get(key)) is not None:
            return previous
        result = self._compute(inputs)
        for part in result.pair:
            if isinstance(part, np.ndarray):  # a NumPy scalar is immutable
                part.flags.writeable = False
        _reuse.keep(key, result, sum(part.nbytes for part in result.pair))
        return result

    def _compute_screen(self, inputs: tuple[Any, ...]) -> DoubleDouble:
        wide = any(isinstance(value, Tensor) and value.dtype.itemsize == 8 for value in inputs if _is_float(value))
        return self._screen(dd.DOUBLE if wide else dd.COMPENSATED, *map(_convert_plain, inputs))

    def _confirm(self, inputs: tuple[Any, ...]) -> DoubleDouble:
        for precision in _PRECISIONS:
            with ctx.workprec(precision):
                values = np.asarray(self._exact(*map(_convert_input, inputs)), dtype=object)
                if all(_is_decided(value) for value in values.flat):
                    return _split_balls(values)
        raise UndecidedError(f"undecided at {_PRECISIONS[-1]} bits")


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype.is_floating_point


def _convert_plain(value: Any) -> Any:
    """Convert a floating-point tensor to float64 and an integer tensor to int64; return other values unchanged."""
    if isinstance(value, Tensor):
        return to_array(value) if value.dtype.is_floating_point else value.cpu().numpy()
    return value


def _convert_input(value: Any) -> Any:
    plain = _convert_plain(value)
    return to_arb(plain) if _is_float(value) else plain


def to_arb(values: Any) -> NDArray[np.object_]:
    """Convert float64 values to exact balls, elementwise.

    Parameters
    ----------
    values
        Numbers or an array of any shape.

    Returns
    -------
    ndarray of object
        Balls of radius zero, with the shape of ``values``.
    """
    plain = np.asarray(values, dtype=np.float64)
    lifted = np.empty(plain.size, dtype=object)
    lifted[:] = [arb(value) for value in plain.ravel().tolist()]
    return lifted.reshape(plain.shape)


def _is_decided(value: arb) -> bool:
    return bool(
        not value.is_finite() or value.is_exact() or value.rel_accuracy_bits() >= _ENOUGH_BITS
        or value.abs_upper() < _NEGLIGIBLE
    )  # fmt: skip


def _split_balls(values: NDArray[np.object_]) -> DoubleDouble:
    middles = [value.mid() for value in values.ravel()]
    nearest = [float(middle) for middle in middles]
    rest = [
        float(middle - arb(value)) if math.isfinite(value) else 0.0
        for middle, value in zip(middles, nearest, strict=True)
    ]
    return DoubleDouble(np.reshape(nearest, values.shape), np.reshape(rest, values.shape))


exact_sum = Oracle(lambda _, terms: dd.total(dd.lift(terms)), lambda terms: np.asarray(terms.sum(-1), dtype=object))
"""Sum of a tensor's elements along its last axis, without rounding."""
