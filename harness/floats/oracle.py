"""The two tiers of the oracle: a fast vectorised screen, and rigorous ball arithmetic that confirms.

Both are fed the case's own rounded inputs, bit for bit, and neither touches global precision. A law calls its
oracle without knowing the tier; :func:`confirming` switches it, so a law is written once.

References
----------
F. Johansson (2017), "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic", IEEE Trans. Comput.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from operator import methodcaller
from typing import Any

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray
from torch import Tensor

from harness.floats import double_double as dd
from harness.floats.double_double import DoubleDouble
from harness.floats.format import to_array
from harness.floats.memory import MEBIBYTE, Memory, content_of

_PRECISIONS = (160, 320, 640, 1280, 2560, 5120, 10240, 20480)
_ENOUGH_BITS = 118
_NEGLIGIBLE = arb(2) ** -1200  # far below half the smallest subnormal of float64

_confirming: ContextVar[bool] = ContextVar("confirming", default=False)
_remembered: ContextVar[dict[Any, Any] | None] = ContextVar("remembered", default=None)
_recalling: ContextVar[bool] = ContextVar("recalling", default=False)

_recalled: Memory[DoubleDouble] = Memory(96 * MEBIBYTE)
"""Cached results of both tiers, by their arguments; laws and cases share examples."""


class UndecidedError(ArithmeticError):
    """Ball arithmetic did not decide at the highest precision tried."""


@contextmanager
def confirming() -> Iterator[None]:
    """Answer every oracle call in the body by ball arithmetic."""
    token = _confirming.set(True)
    try:
        yield
    finally:
        _confirming.reset(token)


@contextmanager
def remembering() -> Iterator[None]:
    """Work out once what several laws ask in the body of the same tensors, which nothing may change meanwhile."""
    token = _remembered.set({})
    try:
        yield
    finally:
        _remembered.reset(token)


@contextmanager
def recalling() -> Iterator[None]:
    """Recall in the body what a tier answered before, in any such body, to the same numbers."""
    token = _recalling.set(True)
    try:
        yield
    finally:
        _recalling.reset(token)


class Oracle:
    """The exact value of one operation.

    Parameters
    ----------
    screen
        ``screen(elementary, *inputs) -> DoubleDouble``: vectorised, on float64 arrays that hold the inputs exactly,
        with the transcendental functions it is handed.
    exact
        ``exact(*inputs) -> array of arb``: the definition, on object arrays of exact ``arb``. It is evaluated with
        rising precision until every element is known to 118 bits or is smaller than any subnormal.
    """

    def __init__(self, screen: Callable[..., DoubleDouble], exact: Callable[..., NDArray[np.object_]]) -> None:
        self._screen = screen
        self._exact = exact

    def __call__(self, *inputs: Any) -> DoubleDouble:
        """Evaluate on tensors (their values, exactly), integer arrays and plain numbers.

        Raises
        ------
        UndecidedError
            If the confirming tier does not decide.
        """
        remembered = _remembered.get()
        if remembered is None or _confirming.get():
            # Ball arithmetic costs so much more than a look at the numbers that it is never asked by identity.
            asked_again = _recalling.get() or remembered is not None
            return self._recalled(inputs) if asked_again else self._answer(inputs)
        key = (self, *map(id, inputs))
        if key not in remembered:
            # With the inputs themselves: what lives has an identity of its own.
            remembered[key] = inputs, self._screened(inputs)
        answer: DoubleDouble = remembered[key][1]
        return answer

    def _answer(self, inputs: tuple[Any, ...]) -> DoubleDouble:
        return self._confirm(inputs) if _confirming.get() else self._screened(inputs)

    def _recalled(self, inputs: tuple[Any, ...]) -> DoubleDouble:
        contents = tuple(map(content_of, inputs))
        if None in contents:
            return self._answer(inputs)
        key = self, _confirming.get(), contents
        if (known := _recalled.get(key)) is not None:
            return known
        answer = self._answer(inputs)
        for part in answer.pair:
            if isinstance(part, np.ndarray):  # a single number is a scalar of NumPy, which nobody can change
                part.flags.writeable = False
        _recalled.keep(key, answer, sum(part.nbytes for part in answer.pair))
        return answer

    def _screened(self, inputs: tuple[Any, ...]) -> DoubleDouble:
        wide = any(isinstance(value, Tensor) and value.dtype.itemsize == 8 for value in inputs if _is_float(value))
        elementary = dd.DOUBLE if wide else dd.COMPENSATED
        return self._screen(elementary, *map(_plain, inputs))

    def _confirm(self, inputs: tuple[Any, ...]) -> DoubleDouble:
        for precision in _PRECISIONS:
            with ctx.workprec(precision):
                values = np.asarray(self._exact(*map(_exact_input, inputs)), dtype=object)
                if all(_decided(value) for value in values.flat):
                    return _to_double_double(values)
        raise UndecidedError(f"undecided at {_PRECISIONS[-1]} bits")


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype.is_floating_point


def _plain(value: Any) -> Any:
    """A floating-point tensor as float64, an integer tensor as int64, anything else as it is."""
    if isinstance(value, Tensor):
        return to_array(value) if value.dtype.is_floating_point else value.cpu().numpy()
    return value


def _exact_input(value: Any) -> Any:
    plain = _plain(value)
    return to_arb(plain) if _is_float(value) else plain


def to_arb(values: Any) -> NDArray[np.object_]:
    """Lift float64 values to exact balls, elementwise."""
    plain = np.asarray(values, dtype=np.float64)
    lifted = np.empty(plain.size, dtype=object)
    lifted[:] = [arb(value) for value in plain.ravel().tolist()]
    return lifted.reshape(plain.shape)


def _decided(value: arb) -> bool:
    return bool(
        not value.is_finite() or value.is_exact() or value.rel_accuracy_bits() >= _ENOUGH_BITS
        or value.abs_upper() < _NEGLIGIBLE
    )  # fmt: skip


def _to_double_double(values: NDArray[np.object_]) -> DoubleDouble:
    middles = [value.mid() for value in values.ravel()]
    nearest = [float(middle) for middle in middles]
    rest = [
        float(middle - arb(value)) if math.isfinite(value) else 0.0
        for middle, value in zip(middles, nearest, strict=True)
    ]
    return DoubleDouble(np.reshape(nearest, values.shape), np.reshape(rest, values.shape))


def elementwise(name: str) -> Callable[[Any], NDArray[np.object_]]:
    """Return an ``arb`` method as a function on object arrays: ``elementwise("exp")``."""
    function = np.frompyfunc(methodcaller(name), 1, 1)

    def apply(values: Any) -> NDArray[np.object_]:
        return np.asarray(function(np.asarray(values, dtype=object)), dtype=object)

    return apply


exp, log = elementwise("exp"), elementwise("log")


def _sum_screen(_: dd.Elementary, terms: Any) -> DoubleDouble:
    return dd.total(dd.lift(terms))


exact_sum = Oracle(_sum_screen, lambda terms: np.asarray(terms.sum(-1), dtype=object))
"""Sum of a tensor's elements along its last axis, without rounding."""
