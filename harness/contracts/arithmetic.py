r"""Elementwise addition and the linear map, which the chapter computes with loops and with vectorized code.

The linear map's gradients are also products of matrices, :math:`V W` and :math:`V^T X` for weights :math:`V` of the
outputs. Autograd accumulates the contributions of several uses of a tensor in the tensor's dtype. The sum of :math:`m`
(or :math:`n`) products therefore errs by :math:`(m + 1) u \sum_j |v_j w_j|`: a product's rounding, :math:`m - 1`
additions and the storing.

References
----------
N. J. Higham (2002), *Accuracy and Stability of Numerical Algorithms*, 2nd ed., sections 3.1 and 3.5.
"""

import math
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks import usual_laws
from harness.contracts.building_blocks.usual_laws import Exact, within
from harness.floats import Array, DoubleDouble, Format, Measurement, Oracle, compare, convert_to_ulp, dd, to_array
from harness.laws import Axes, Contract, Example, Law, Ray, Subject, derive_long_rows, implementation_laws, law
from harness.laws.size import derive_many_rows, many_rows, no_drift
from harness.laws.strategies import (
    SEEDS,
    alter_inputs,
    batches,
    draw_companions,
    list_special_numbers,
    long_rows,
    make_inputs,
    make_tensors,
)

STALL = "a sum accumulated in a 16-bit format stops growing at 2^p (256 in bfloat16): accumulate in float32"

sum_oracle = Oracle(lambda _, a, b: dd.two_sum(a, b), lambda a, b: a + b)


@law(
    "add(a, b) is a + b, correctly rounded.",
    source="IEEE 754-2019, section 4.3.1",
    bound="1/2 ulp",
    cause="the sum is formed in a narrower format, or an element is skipped: add every element in the dtype of the "
    "inputs",
    group="value",
)
def correctly_rounded(add: Subject, a: Tensor, b: Tensor) -> Measurement:
    """Compare with the exact sum."""
    return compare(add(a, b), sum_oracle(a, b), 0.5, add.format)


@law(
    "add(a, b) = add(b, a), bit for bit.",
    source="IEEE 754 addition is commutative",
    cause="the two operands are treated differently: treat them alike",
)
def commutative(add: Subject, a: Tensor, b: Tensor) -> Measurement:
    """Compare the two orders."""
    return compare(add(a, b), to_array(add(b, a)), 0.0, add.format)


@law(
    "A sum of two zeros is -0 only if both are -0, and x - x is +0.",
    source="IEEE 754-2019, section 6.3",
    cause="the sum is accumulated into a zero, which loses the sign: 0 + (-0) + (-0) is +0; add the two operands "
    "directly",
    group="special",
)
def zeros_keep_their_sign(add: Subject, a: Tensor, b: Tensor) -> Measurement:
    """Compare the signs of zero sums: sums of two zeros, and of each number with its negative."""
    zero = torch.zeros_like(a)
    zero[::2] = -0.0
    pairs = [(zero, -torch.zeros_like(a)), (zero, torch.zeros_like(a)), (b, -b)]
    actual = np.concatenate([np.copysign(1.0, to_array(add(first, second))) for first, second in pairs])
    expected = np.concatenate([np.copysign(1.0, to_array(first) + to_array(second)) for first, second in pairs])
    return compare(actual, expected, 0.0, add.format)


def _product(a: Array, b: Array) -> DoubleDouble:
    """``a @ b`` in double-double."""
    return dd.total(dd.two_product(a[:, None, :], b.T[None, :, :]))


linear_oracle = Oracle(lambda _, x, w, b: _product(x, w.T) + b, lambda x, w, b: x @ w.T + b)
into_x_oracle = Oracle(lambda _, v, _x, weight, _bias: _product(v, weight), lambda v, _x, weight, _bias: v @ weight)
into_weight_oracle = Oracle(lambda _, v, x, *_rest: _product(v.T, x), lambda v, x, *_rest: v.T @ x)
into_bias_oracle = Oracle(
    lambda _, cotangent, *_inputs: dd.total(dd.lift(cotangent), 0), lambda cotangent, *_inputs: cotangent.sum(0)
)


def linear_bound(X: Tensor, weight: Tensor, bias: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    r""":math:`(u + (d + 1) u_a) (\sum_j |x_j w_j| + |b|) + 2 u (|y| + |y - b|)`, and a subnormal per product.

    The first :math:`u` is for code that rounds each product to the format before it sums.
    """
    x, w, b, d = to_array(X), to_array(weight), to_array(bias), X.shape[-1]
    # Infinite features need no bound, and products of the largest numbers overflow in float64.
    with np.errstate(invalid="ignore", over="ignore"):
        magnitude = np.abs(x) @ np.abs(w).T + np.abs(b)
        stored = 2.0 * format_.u * (np.abs(expected.hi) + np.abs(expected.hi - b))
        summing = (format_.u + (d + 1) * format_.u_accumulator) * magnitude
        return np.asarray(summing + stored + (d + 1) * format_.smallest)


value = usual_laws.value(
    Exact(("X", "weight", "bias"), linear_oracle, linear_bound),
    "linear(X, weight, bias) equals X @ weight.T + bias.",
    source="Higham (2002), section 3.1",
    bound="(u + (d + 1) u_a) (|X| |weight|^T + |bias|) + 2 u (|y| + |y - b|)",
    cause=STALL,
)


@law(
    "With weight = 0, linear(X, weight, bias) is exactly the bias.",
    source="0 x + b = b",
    cause="the bias is dropped, scaled, or added along the wrong axis: add it once to each row",
)
def zero_weight_gives_bias(linear: Subject, X: Tensor, weight: Tensor, bias: Tensor) -> Measurement:
    """Compare every row with the bias."""
    return compare(linear(X, weight * 0.0, bias), to_array(bias), 0.0, linear.format)


@law(
    "Without features, linear(X, weight, bias) is exactly the bias.",
    source="the empty sum is zero",
    cause="a mean over the features is multiplied by their number, which is 0 / 0: sum the products instead",
    group="special",
)
def no_features_give_bias(linear: Subject, X: Tensor, weight: Tensor, bias: Tensor) -> Measurement:
    """Compare every row with the bias."""
    return compare(linear(X[:, :0], weight[:, :0], bias), to_array(bias), 0.0, linear.format)


@law(
    "Halving X halves linear(X, weight, 0), bit for bit.",
    source="scaling by a power of two is exact",
    bound="no tolerance where nothing underflows, twice the value's bound elsewhere",
    cause="features are clipped or normalized, or an epsilon is added: use them unchanged",
)
def scales_by_powers_of_two(linear: Subject, X: Tensor, weight: Tensor) -> Measurement:
    """Compare with twice the output of the halves."""
    format_, bias = linear.format, weight.new_zeros(len(weight))
    x, w = to_array(X), to_array(weight)
    halves = dd.lift(2.0 * to_array(linear(X / 2.0, weight, bias)))
    products = np.abs(x[:, None, :] * w)
    least = np.where(products == 0.0, np.inf, products).min(-1)
    normal = np.minimum(least, np.where(x == 0.0, np.inf, np.abs(x)).min(-1, keepdims=True)) >= 4.0 * format_.tiny
    normal &= np.abs(halves.hi) >= 4.0 * format_.tiny
    twice = 3.0 * convert_to_ulp(linear_bound(X, weight, bias, halves, format_), halves, format_)
    return compare(linear(X, weight, bias), halves, np.where(normal, 0.0, twice), format_)


def _gradient(of: int, oracle: Oracle, name: str, statement: str, **fields: Any) -> Law:
    """Return the law of the gradient in one argument, which is a product of matrices or a sum."""

    def measure(linear: Subject, X: Tensor, weight: Tensor, bias: Tensor, cotangent: Tensor) -> Measurement:
        format_, inputs = linear.format, (X, weight, bias)
        magnitude = oracle(cotangent.double().abs(), *(x.double().abs() for x in inputs)).hi
        terms = cotangent.shape[1] if of == 0 else cotangent.shape[0]
        absolute = (terms + 1) * (format_.u * magnitude * (1.0 + 16.0 * format_.u) + format_.smallest)
        return within(linear.gradient(inputs, cotangent, of=of), oracle(cotangent, *inputs), absolute, format_)

    source = "chain rule; Higham (2002), section 3.5 on products of matrices"
    return Law(name, statement, source=source, group="gradient", measure=measure, **fields)


gradient_in_features = _gradient(
    0,
    into_x_oracle,
    "gradient_in_features",
    "The gradient of linear in X is V weight, for weights V of the outputs.",
    bound="(m + 1) (u |V| |weight| + a subnormal)",
    cause="the features are detached, clipped, or converted to another dtype: keep them unchanged in the autograd "
    "graph",
)

gradient_in_weight = _gradient(
    1,
    into_weight_oracle,
    "gradient_in_weight",
    "The gradient of linear in the weight is V^T X, for weights V of the outputs.",
    bound="(n + 1) (u |V|^T |X| + a subnormal)",
    cause="the weight is detached, or the gradient is averaged over the rows: sum it instead",
)

gradient_in_bias = _gradient(
    2,
    into_bias_oracle,
    "gradient_in_bias",
    "The gradient of linear in the bias is the sum of V over the rows.",
    bound="(n + 1) (u sum |V| + a subnormal)",
    cause="the bias is detached, or its gradient is averaged over the rows: sum it instead",
)


@make_inputs()
def _special_pairs(format_: Format, rng: np.random.Generator) -> Example:
    """Pairs of the largest numbers, the smallest numbers, and infinities."""
    numbers = np.append(list_special_numbers(format_), [np.inf, -np.inf])
    drawn = torch.from_numpy(rng.choice(numbers, size=(2, 128))).to(format_.dtype)
    return {"a": drawn[0], "b": drawn[1]}


@make_inputs(lambda format_: batches(format_, largest=format_.max / 4e3, rows=(1, 8), columns=(1, 64)))
def _two_vectors(_: Format, batch: Tensor, rng: np.random.Generator) -> Example:
    a = batch.flatten()
    return {"a": a, "b": draw_companions(a, rng) * a.abs().amax().clamp_max(1e3)}


_SMALLEST_BFLOAT16 = 2.0**-100
"""Smaller features become zero in bfloat16: the processors' instruction for its dot products (VDPBF16PS) takes
subnormal numbers for zero and flushes subnormal products, whatever the program says. No other format has one."""


def _operands(format_: Format) -> st.SearchStrategy[Example]:
    """Structured ``X[n,d]``, with weight and bias of order one; many elements equal one, so that narrow sums stall."""
    largest = _largest_feature(format_)
    # Also use few features: with many, the errors of a sum average out and stay far below the bound.
    narrow_batches = batches(format_, largest=largest, rows=(1, 8), columns=(1, 4))
    wide_batches = batches(format_, largest=largest, rows=(1, 8), columns=(1, 512), narrow=512)
    return _with_weights(narrow_batches | wide_batches, format_)


def _largest_feature(format_: Format) -> float:
    return min(float(np.sqrt(format_.max)), 64.0)


def _with_weights(rows: st.SearchStrategy[Tensor], format_: Format) -> st.SearchStrategy[Example]:
    """Features with weight and bias; a quarter of the batches are all ones."""

    def expand(X: Tensor, m: int, seed: int) -> Example:
        rng = np.random.default_rng(seed)
        weight = draw_companions(X.new_empty(m, X.shape[-1]), rng)
        bias = draw_companions(X.new_empty(m), rng)
        if seed % 4 == 0:
            X, weight = X.new_ones(X.shape), weight.new_ones(weight.shape)
        if format_.name == "bfloat16":
            X = torch.where(X.abs() < _SMALLEST_BFLOAT16, 0.0, X)
        cotangent = draw_companions(X.new_empty(len(X), m), rng)
        return {"X": X, "weight": weight, "bias": bias, "cotangent": cotangent}

    return st.builds(expand, rows, st.integers(1, 4), SEEDS)


def _few_features(format_: Format) -> st.SearchStrategy[Example]:
    """Rows of up to eight features, so that a million features are a hundred thousand rows."""
    return _with_weights(batches(format_, largest=_largest_feature(format_), rows=(8, 16), columns=(1, 8)), format_)


def _with_infinities(example: Example, rng: np.random.Generator) -> Example:
    """Make a feature of every third row infinite, and a second one of every sixth row."""
    X = example["X"].clone()
    for step in (3, 6):
        rows = torch.arange(0, len(X), step)
        X[rows, torch.from_numpy(rng.integers(X.shape[1], size=len(rows)))] = float(rng.choice([-np.inf, np.inf]))
    return {**example, "X": X}


@make_inputs()
def _extreme_features(format_: Format, rng: np.random.Generator) -> Example:
    """One feature, so that only the result can overflow; the bias is negligible next to the largest numbers."""
    numbers = list_special_numbers(format_)
    X, weight = rng.choice(numbers, size=(16, 1)), rng.choice(numbers, size=(8, 1))
    return make_tensors(format_, X=X, weight=weight, bias=rng.choice([0.0, 1.0, -1.0, format_.tiny], size=8))


def _long_features(format_: Format) -> st.SearchStrategy[Example]:
    """Up to 65,536 features near 0, 1 and 4, with equal weights that keep the sum below the largest number."""

    def expand(X: Tensor) -> Example:
        weight = X.new_full((2, X.shape[-1]), 2.0**-8)
        weight[1, ::3] = -(2.0**-9)
        return {"X": X, "weight": weight, "bias": X.new_tensor([0.0, 1.0])}

    return long_rows(format_).map(expand)


def _total(linear: Subject, terms: Array) -> tuple[float, float]:
    """Return the sum of the features for weights of one."""
    X = torch.from_numpy(terms).to(linear.format.dtype)[None]
    return float(linear(X, torch.ones_like(X), X.new_zeros(1))), math.fsum(to_array(X)[0])


def _ones(t: Tensor, format_: Format) -> Example:
    ones = torch.ones(1, int(t), dtype=format_.dtype)
    return {"X": ones, "weight": ones, "bias": ones.new_zeros(1), "cotangent": ones.new_ones(1, 1)}


def _one_and(t: Tensor, _: Format) -> Example:
    return {"a": torch.ones_like(t), "b": t}


ADD = Contract(
    "add",
    signature="(a[n], b[n]) -> [n]",
    summary="elementwise sum",
    domain="finite, no overflow; some laws also use infinities, NaN and the largest numbers",
    inputs=_two_vectors,
    laws=(
        correctly_rounded,
        commutative,
        correctly_rounded.derive_special(
            _special_pairs,
            "rounded_on_special_numbers",
            "The sum is right for the largest and smallest numbers and for infinities; inf - inf is NaN.",
            cause="the sum saturates, or non-finite values are replaced: let IEEE arithmetic decide",
        ),
        zeros_keep_their_sign,
        *implementation_laws(correctly_rounded),
    ),
    axes={"a": Axes(("n",)), "b": Axes(("n",))},
    output=("n",),
    rays=(Ray("beside one", "1 + t", _one_and, lambda format_: format_.smallest, lambda _: 1.0),),
)

LINEAR = Contract(
    "linear",
    aliases=("linreg",),
    signature="(X[n,d], weight[m,d], bias[m]) -> [n,m]",
    summary="X @ weight.T + bias",
    domain="|x| <= 64, in bfloat16 0 or >= 2^-100, |w| and |b| of order one, no overflow; some laws also use other "
    "numbers",
    inputs=_operands,
    laws=(
        value,
        zero_weight_gives_bias,
        scales_by_powers_of_two,
        gradient_in_features,
        gradient_in_weight,
        gradient_in_bias,
        no_features_give_bias,
        value.derive_special(
            alter_inputs(_operands, _with_infinities),
            "infinite_features",
            "An infinite feature makes its row infinite, or NaN where its weight is zero or infinities cancel.",
            cause="non-finite features are replaced: let IEEE arithmetic decide",
        ),
        usual_laws.on_extreme_numbers(
            value,
            _extreme_features,
            "The value is also right for the largest and smallest numbers, and infinite where a product overflows.",
            cause="features are clipped, or subnormal numbers are flushed to zero: use them unchanged",
        ),
        derive_long_rows(value, _long_features, cause=STALL),
        no_drift(value, many_rows({"X": Axes(("n", "d")), "weight": Axes(("m", "d")), "bias": Axes(("m",))})),
        derive_many_rows(value, _few_features, examples=4),
        *implementation_laws(value, many=False),
    ),
    axes={"X": Axes(("n", "d")), "weight": Axes(("m", "d")), "bias": Axes(("m",)), "cotangent": Axes(("n", "m"))},
    output=("n", "m"),
    rays=(Ray("length", "t features of one", _ones, lambda _: 50_000.0, lambda _: 1.0, whole=True),),
    total=_total,
)
