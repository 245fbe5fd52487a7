"""The laws of a formula: its value and its gradients, and where they are finite.

An implementation is wrong if it exceeds twice the larger of two bounds: the bound as written and the attainable one. It
loses digits if it exceeds only the attainable bound. Entries are not judged where the exact result is not
representable, or depends on how a tie is broken.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st
from torch import Tensor

from harness.floats import Array, DoubleDouble, Format, Measurement, compare, convert_to_ulp, lift, to_array
from harness.formula import inputs as of_inputs
from harness.formula import one_sided
from harness.formula.inputs import COTANGENT
from harness.formula.model import Model
from harness.formula.quantity import Quantity
from harness.laws import Example, Inputs, Law, Subject

SOURCE = "the formula"
WRITTEN = (
    "twice the running error of the form, or the error that its conditioning allows, whichever is larger; none for a "
    "zero in place of an ordinary number, of at least one ulp of 1"
)
ATTAINABLE = "(8 u + k u_a) |f| + (4 u + k u_a) sum |df/dx| |x|, minus any shift that does not affect the result"
ILL = "the formula as written also loses them"
CAUSE = (
    "another function is computed, or in a form that loses more digits than the formula as written: compare "
    "the code with the formula, term by term"
)
OVERFLOWS = (
    "an intermediate value leaves the range of the dtype although the result does not: shift, scale, or "
    "choose another form"
)
_OUT_OF_RANGE = (
    "a square or an exponential leaves the range of the dtype; in float16, it is a defect if an ordinary number is lost"
)
INFINITE = "zero times infinity, or infinity minus infinity: select before the operation, not after it"

_SHIFTED = (
    "an intermediate result cancels or is rounded away: choose a form without cancellation, and pass it as `--form`"
)


_FAR_FROM_THE_END = 2.0**-10
"""Share of the largest number up to which no constant factor of the chain rule explains an overflow."""

# Measuring


Bound = Callable[[Quantity, Sequence[Any], Format, Array], Array]
"""``bound(quantity, inputs, format, exact)``"""


def larger_bound(quantity: Quantity, inputs: Sequence[Any], format_: Format, exact: Array) -> Array:
    """Twice the larger bound, because another order of operations rounds differently."""
    return np.asarray(2.0 * np.maximum(*quantity.bounds(inputs, format_, exact)))


def attainable_bound(quantity: Quantity, inputs: Sequence[Any], format_: Format, exact: Array) -> Array:
    """Return the attainable bound."""
    return quantity.attainable(inputs, format_, exact)


def _arrays(inputs: Sequence[Any]) -> list[Any]:
    return [to_array(x) if x.dtype.is_floating_point else x.numpy() for x in inputs]


def _find_judged(quantity: Quantity, inputs: Sequence[Any], expected: DoubleDouble, format_: Format) -> Any:
    """Return where entries can be judged: the exact result is representable and depends on no tie.

    A gradient also needs a representable value, because an overflowed value has no gradient.
    """
    arrays = _arrays(inputs)
    judged = _is_inside(expected.hi, format_) & ~quantity.find_undefined(arrays)
    if quantity.value is not None:
        valued = _is_inside(quantity.value.oracle(*inputs[:-1]).hi, format_) & (arrays[-1] != 0.0)
        judged = judged & _extend_to_entries(valued, judged.shape)
    return judged


def _is_inside(exact: Array, format_: Format) -> Any:
    with np.errstate(invalid="ignore", over="ignore"):
        return np.abs(exact) * (1.0 + 8.0 * format_.u) < format_.max


def _extend_to_entries(valued: Any, shape: tuple[int, ...]) -> Any:
    """Extend flags of the value to the entries of a gradient: entry by entry, or all entries of a row together."""
    flags = valued if valued.shape == shape else valued.reshape(len(valued), -1).all(-1)
    return flags.reshape(flags.shape + (1,) * (len(shape) - flags.ndim))


def measure_deviation(
    quantity: Quantity, bound: Bound, actual: Tensor, inputs: Sequence[Any], format_: Format
) -> Measurement:
    """Compare an output with the exact value where it can be judged and the bound is finite."""
    expected = quantity.oracle(*inputs)
    values = to_array(actual)
    if values.shape != expected.shape:
        return compare(values, expected, 0.0, format_)
    error = bound(quantity, _arrays(inputs), format_, expected.hi) * 1.001
    if quantity.value is None and (zero := (values == 0.0) & (np.abs(expected.hi) > format_.u)).any():
        # The form as written excuses lost digits, but not the loss of an ordinary number.
        error = np.where(zero & quantity.is_never_zero(_arrays(inputs), format_, expected.hi), 0.0, error)
    with np.errstate(invalid="ignore", over="ignore"):
        judged = _find_judged(quantity, inputs, expected, format_) & (np.abs(expected.hi) + error < format_.max)
        # After complete cancellation the bound, in ulp, can overflow.
        uncountable = np.isinf(convert_to_ulp(error, expected, format_)) & (np.abs(values - expected.hi) <= error)
    judged &= ~uncountable
    reference = DoubleDouble(np.where(judged, expected.hi, values), np.where(judged, expected.lo, 0.0))
    # Undefined entries are not compared between runs either.
    undefined = np.isnan(expected.hi)
    measurement = compare(values, reference, convert_to_ulp(error, reference, format_), format_)
    return replace(measurement, free=undefined if undefined.any() else None, unjudged=~judged)


def measure_finite(
    quantity: Quantity, actual: Tensor, inputs: Sequence[Any], format_: Format, *, excused: bool = True
) -> Measurement:
    """Measure ``inf`` where the output is infinite or NaN and the exact value is representable.

    A gradient is excused where the formula as written overflows between two factors, if ``excused``.
    """
    expected = quantity.oracle(*inputs)
    values = to_array(actual)
    if values.shape != expected.shape:
        return compare(values, expected, 0.0, format_)
    judged = _find_judged(quantity, inputs, expected, format_)
    wrong: Any = ~np.isfinite(values) & judged
    if quantity.value is not None and excused and wrong.any():
        # Autograd multiplies factor by factor for any implementation, so overflow between the factors is excused.
        judged = judged & ~(wrong & quantity.overflows(_arrays(inputs), format_))
    deviation = np.where(wrong & judged, np.inf, 0.0)
    return Measurement(deviation, np.zeros(values.shape), values, expected.hi, unjudged=~judged)


Limits = Literal["finite", "infinite", "nan"]
"""Kind of limit to compare: finite ones, infinite ones, or infinite ones where the output is NaN. Instead of an
infinity a large number is acceptable by convention; NaN is not.
"""


def measure_at_infinities(
    quantity: Quantity, actual: Tensor, inputs: Sequence[Any], format_: Format, *, limits: Limits
) -> Measurement:
    """Compare with the limit that the formula has by the rules of IEEE 754, for the chosen kind of limits."""
    arrays = _arrays(inputs)
    limit, is_known = quantity.evaluate_at_infinities(arrays)
    values = to_array(actual)
    if values.shape != limit.shape:
        return compare(values, lift(limit), 0.0, format_)
    with np.errstate(invalid="ignore", over="ignore"):
        # Large finite inputs show the conditioning near the limit.
        far = 4.0 * format_.log_max
        finite = [np.clip(x, -far, far) if x.dtype.kind == "f" else x for x in arrays]
        error = 2.0 * (
            quantity.written(arrays, format_) + quantity.attainable(finite, format_, np.where(is_known, limit, 0.0))
        )
    inside = np.isfinite(error) & _is_inside(limit, format_)
    if quantity.value is not None:
        value, valued = quantity.value.evaluate_at_infinities(arrays[:-1])
        # An infinite value has no gradient.
        inside &= _extend_to_entries(valued & np.isfinite(value), limit.shape)
        if quantity.by_rows and value.ndim > 1:
            # Every entry affects every value of its row, so a row with a NaN has no gradient.
            inside &= (~np.isnan(value).any(-1)).reshape((len(value),) + (1,) * (limit.ndim - 1))
    if quantity.value is None and limit.ndim > 1:
        # A row with a NaN, such as one normalized by infinity, is not judged.
        is_known &= ~np.isnan(limit).any(-1, keepdims=True)
    chosen = inside
    if limits != "finite":
        chosen = np.isinf(limit) & (np.isnan(values) == (limits == "nan"))
    if limits == "nan":
        chosen &= _is_firm(quantity, arrays, limit, format_)
    is_known = (
        is_known & _flag_rows([np.isinf(x) for x in arrays], limit.shape) & ~quantity.find_undefined(arrays) & chosen
    )
    reference = lift(np.where(is_known, limit, values))
    return compare(
        values, reference, convert_to_ulp(np.where(inside & is_known, error, 0.0), reference, format_), format_
    )


def _is_firm(quantity: Quantity, inputs: Sequence[Any], limit: Array, format_: Format) -> Any:
    """Return where slightly different inputs give the same infinity; elsewhere a rounding decides its sign."""
    neighbors = [[x * (1.0 + k * format_.u) if x.dtype.kind == "f" else x for x in inputs] for k in (-8.0, 8.0)]
    with np.errstate(invalid="ignore", over="ignore"):
        limits = [quantity.evaluate_at_infinities(neighbor) for neighbor in neighbors]
    return np.logical_and.reduce([is_known & (value == limit) for value, is_known in limits])


def _flag_rows(flags: Sequence[Any], shape: tuple[int, ...]) -> Any:
    """Return for each row whether an input has a flag, in the dimensions of the output."""
    rows = np.logical_or.reduce([x.reshape(len(x), -1).any(-1) for x in flags])
    return rows.reshape(rows.shape + (1,) * (len(shape) - 1))


# Laws

Judge = Callable[[Tensor, Sequence[Any], Format], Measurement]
"""``judge(actual, inputs, format)``"""

Measure = Callable[..., Measurement]
"""``measure(subject, **inputs)``"""


def judge_output(judge: Judge) -> Measure:
    """Judge the output."""

    def measure(subject: Subject, **example: Any) -> Measurement:
        inputs = tuple(example.values())
        return judge(subject(*inputs), inputs, subject.format)

    return measure


class Laws:
    """The laws of one model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.spelling = model.formula.spelling.statement
        self.in_both_ways = judge_output(self._measure_in_both_ways)

    def draw_examples(self, *, cotangent: bool = False, extreme: bool = False) -> Inputs:
        """Return the examples."""
        return lambda format_: self.group(
            of_inputs.draw_inputs(self.model.formula, format_, cotangent=cotangent, extreme=extreme)
        )

    def group(self, rows: st.SearchStrategy[Example]) -> st.SearchStrategy[Example]:
        """Return the examples in batches if the results of their rows are reduced."""
        return rows.map(of_inputs.make_batches) if self.model.reduction else rows

    def infinite(self, *, cotangent: bool = False) -> Inputs:
        """Return examples with some infinite entries."""
        return lambda format_: self.group(of_inputs.infinite(self.model.formula, format_, cotangent=cotangent))

    def _measure_in_both_ways(self, actual: Tensor, inputs: Sequence[Any], format_: Format) -> Measurement:
        """Measure the value; if it is within its bound, also whether it is finite."""
        seen = measure_deviation(self.model.value, larger_bound, actual, inputs, format_)
        return seen if seen.broken else measure_finite(self.model.value, actual, inputs, format_)

    def values(self) -> Iterator[Law]:
        """Yield the laws of the value."""
        quantity = self.model.value
        law = partial(Law, source=SOURCE, reads=self.model.names)
        yield law(
            "value",
            f"The output equals {self.spelling}.",
            group="value",
            bound=WRITTEN,
            cause=CAUSE,
            measure=judge_output(partial(measure_deviation, quantity, larger_bound)),
        )
        yield law(
            "finite",
            f"The output is finite where {self.spelling} is finite.",
            group="finite",
            bound="no tolerance",
            cause=OVERFLOWS,
            measure=judge_output(partial(measure_finite, quantity)),
        )
        yield law(
            "digits_not_lost",
            f"The output keeps all digits of {self.spelling} that can be kept.",
            group="value",
            bound=ATTAINABLE,
            cause=_SHIFTED,
            measure=judge_output(partial(measure_deviation, quantity, attainable_bound)),
            lost_digits=ILL,
            shows_worst=False,
        )
        yield law(
            "value_on_extreme_numbers",
            f"The output also equals {self.spelling} for the largest and smallest numbers.",
            group="special",
            bound=WRITTEN,
            cause=OVERFLOWS,
            measure=self.in_both_ways,
            inputs=self.draw_examples(extreme=True),
            lost_digits=_OUT_OF_RANGE,
        )
        if of_inputs.infinite_names(self.model.formula):
            yield from self._laws_at_infinities(partial(law, group="special", cause=INFINITE, inputs=self.infinite()))

    def _laws_at_infinities(self, law: Callable[..., Law]) -> Iterator[Law]:
        where, condition = "For infinite inputs, the output", "if IEEE 754 arithmetic gives"

        def limit(limits: Limits) -> Measure:
            return judge_output(partial(measure_at_infinities, self.model.value, limits=limits))

        statement = f"{where} equals {self.spelling} {condition}"
        yield law("value_at_infinities", f"{statement} a finite value.", bound=WRITTEN, measure=limit("finite"))
        convention = "an infinite result for an infinite input is a matter of convention"
        exact = partial(law, bound="no tolerance")
        yield exact("infinite_values", f"{statement} an infinity.", measure=limit("infinite"), lost_digits=convention)
        statement = f"{where} is not NaN {condition} an infinity for {self.spelling}."
        yield exact("not_nan_where_infinite", statement, measure=limit("nan"))

    def gradients(self) -> Iterator[Law]:
        """Yield the laws of each gradient."""
        for index, name in enumerate(self.model.differentiable):
            yield from self._gradient(name, first=index == 0)

    def _gradient(self, name: str, *, first: bool) -> Iterator[Law]:
        quantity = self.model.gradients[name]
        position = self.model.names.index(name)
        suffix = "" if first else f"_in_{name}"

        def actual(subject: Subject, example: dict[str, Any]) -> Tensor:
            arguments = tuple(x for key, x in example.items() if key != COTANGENT)
            return subject.gradient(arguments, example[COTANGENT], of=position)

        def judge_gradient(judge: Judge) -> Measure:
            return lambda subject, **example: judge(actual(subject, example), tuple(example.values()), subject.format)

        reads = (*self.model.names, COTANGENT)
        law = partial(Law, source="chain rule", group="gradient", reads=reads, differentiates=position)
        yield law(
            f"gradient{suffix}",
            f"The gradient in {name} equals that of {self.spelling}.",
            bound=WRITTEN,
            cause="a value is detached, or another function is differentiated: keep the values in the autograd graph",
            measure=judge_gradient(partial(measure_deviation, quantity, larger_bound)),
        )
        yield law(
            f"gradient_finite{suffix}",
            f"The gradient in {name} is finite where that of {self.spelling} is finite.",
            bound="no tolerance",
            cause="the branch that is not selected is also differentiated, or an intermediate value overflows: "
            "choose safe arguments before the operation",
            measure=judge_gradient(partial(measure_finite, quantity)),
        )
        yield law(
            f"gradient_digits_not_lost{suffix}",
            f"The gradient in {name} keeps all digits that can be kept.",
            bound=ATTAINABLE,
            cause=_SHIFTED,
            measure=judge_gradient(partial(measure_deviation, quantity, attainable_bound)),
            lost_digits="autograd uses rounded values, as in most libraries",
            shows_worst=False,
        )
        if first:
            yield partial(law, group="special")(
                "gradient_on_extreme_numbers",
                f"The gradient in {name} is also finite for the largest and smallest numbers, if the output is right.",
                bound="no tolerance",
                cause="a factor of the chain rule leaves the range of the dtype although the gradient does not: scale "
                "the inputs by their largest magnitude first",
                measure=self._finite_anywhere(quantity, actual),
                inputs=self.draw_examples(cotangent=True, extreme=True),
                lost_digits=_OUT_OF_RANGE,
            )
        if not self.model.reduction:
            yield from one_sided.laws(self.model, name, suffix, judge_gradient, law)
        if first and of_inputs.infinite_names(self.model.formula):
            yield partial(law, group="special")(
                "gradient_at_infinities",
                f"If inputs are infinite and {self.spelling} is finite, the gradient in {name} is finite and right.",
                bound=WRITTEN,
                cause=INFINITE,
                measure=judge_gradient(partial(measure_at_infinities, quantity, limits="finite")),
                inputs=self.infinite(cotangent=True),
            )

    def _finite_anywhere(self, quantity: Quantity, actual: Callable[[Subject, dict[str, Any]], Tensor]) -> Measure:
        """Judge a gradient only where the value is right, and neither the inputs nor the gradient are subnormal."""

        def measure(subject: Subject, **example: Any) -> Measurement:
            inputs = tuple(example.values())
            seen = measure_finite(quantity, actual(subject, example), inputs, subject.format, excused=False)
            if not seen.broken:
                return seen
            # A wrong value, a subnormal input, and a gradient at the end of the range are other events.
            value = self.in_both_ways(subject, **{name: example[name] for name in self.model.names})
            arrays, tiny = _arrays(inputs), subject.format.tiny
            subnormal = [(x != 0.0) & (np.abs(x) < tiny) for x in arrays if x.dtype.kind == "f"]
            size = np.abs(seen.expected)
            ordinary = (size >= tiny) & (size <= _FAR_FROM_THE_END * subject.format.max)
            judged = ordinary & ~_flag_rows([*subnormal, value.ratio > 1.0], seen.deviation.shape)
            return replace(seen, deviation=np.where(judged, seen.deviation, 0.0))

        return measure
