"""Elementwise addition and the linear map: what the chapter computes with loops and with vectorised code."""

import numpy as np
from hypothesis import strategies as st
from torch import Tensor

from harness import double_double as dd
from harness.double_double import Array, DoubleDouble
from harness.law import Axes, Contract, Example, law
from harness.measurement import Measurement, compare, in_ulp
from harness.oracle import Oracle
from harness.precision import Format, to_array
from harness.strategies import SEEDS, batches, companions
from harness.subject import Subject

sum_oracle = Oracle(lambda _, a, b: dd.two_sum(a, b), lambda a, b: a + b)


@law(
    "add(a, b) is a + b, correctly rounded.",
    source="IEEE 754-2019, section 4.3.1",
    bound="1/2 ulp",
    cause="the sum is formed in a narrower format, or an element is skipped",
    group="value",
)
def correctly_rounded(add: Subject, a: Tensor, b: Tensor) -> Measurement:
    """Compare with the exact sum."""
    return compare(add(a, b), sum_oracle(a, b), 0.5, add.format)


@law(
    "add(a, b) = add(b, a), bit for bit.",
    source="IEEE 754 addition is commutative",
    bound="none",
    cause="the two operands are treated differently",
    group="algebra",
)
def commutative(add: Subject, a: Tensor, b: Tensor) -> Measurement:
    """Compare the two orders."""
    return compare(add(a, b), to_array(add(b, a)), 0.0, add.format)


def _linear_screen(_: dd.Elementary, x: Array, weight: Array, bias: Array) -> DoubleDouble:
    products = dd.two_product(x[:, None, :], weight[None, :, :])
    return dd.total(products) + bias


linear_oracle = Oracle(_linear_screen, lambda x, weight, bias: x @ weight.T + bias)


def linear_bound(X: Array, weight: Array, bias: Array, expected: Array, format_: Format) -> Array:
    r""":math:`(u + (d + 1) u_a) (\sum_j |x_j w_j| + |b|) + 2 u (|y| + |y - b|)`, and a subnormal a product.

    The first :math:`u` rounds each product to the format, as code does that multiplies before it sums.
    """
    magnitude = np.abs(X) @ np.abs(weight).T + np.abs(bias)
    d = X.shape[-1]
    stored = 2.0 * format_.u * (np.abs(expected) + np.abs(expected - bias))
    summing = (format_.u + (d + 1) * format_.u_accumulator) * magnitude
    return np.asarray(summing + stored + (d + 1) * format_.smallest)


@law(
    "linear(X, weight, bias) equals X @ weight.T + bias.",
    source="Higham (2002), section 3.1",
    bound="(u + (d + 1) u_a) (|X| |weight|^T + |bias|) + 2 u (|y| + |y - b|)",
    cause="a sum accumulated in the 16-bit format itself sticks at 2^p: accumulate in float32",
    group="value",
)
def value(linear: Subject, X: Tensor, weight: Tensor, bias: Tensor) -> Measurement:
    """Compare with the oracle."""
    expected = linear_oracle(X, weight, bias)
    absolute = linear_bound(to_array(X), to_array(weight), to_array(bias), expected.hi, linear.format)
    return compare(linear(X, weight, bias), expected, in_ulp(absolute, expected, linear.format), linear.format)


@law(
    "With weight = 0, linear(X, weight, bias) is the bias, exactly.",
    source="0 x + b = b",
    bound="none",
    cause="the bias is dropped, scaled, or added along the wrong axis",
    group="algebra",
)
def zero_weight_gives_bias(linear: Subject, X: Tensor, weight: Tensor, bias: Tensor) -> Measurement:
    """Compare every row with the bias."""
    expected = dd.lift(np.broadcast_to(to_array(bias), (len(X), len(bias))))
    return compare(linear(X, weight * 0.0, bias), expected, 0.0, linear.format)


def _two_vectors(format_: Format) -> st.SearchStrategy[Example]:
    def expand(batch: Tensor, seed: int) -> Example:
        a = batch.flatten()
        return {"a": a, "b": companions(a, np.random.default_rng(seed)) * a.abs().amax().clamp_max(1e3)}

    return st.builds(expand, batches(format_, largest=format_.max / 4e3, rows=(1, 8), columns=(1, 64)), SEEDS)


def _operands(format_: Format) -> st.SearchStrategy[Example]:
    """``X[n,d]`` structured, weight and bias of order one, many elements equal to one so that narrow sums stall."""

    def expand(X: Tensor, m: int, seed: int) -> Example:
        rng = np.random.default_rng(seed)
        weight = companions(X.new_empty(m, X.shape[-1]), rng)
        bias = companions(X.new_empty(m), rng)
        if seed % 4 == 0:
            X, weight = X.new_ones(X.shape), weight.new_ones(weight.shape)
        return {"X": X, "weight": weight, "bias": bias}

    largest = min(float(np.sqrt(format_.max)), 64.0)
    batch = batches(format_, largest=largest, rows=(1, 8), columns=(1, 512))
    return st.builds(expand, batch, st.integers(1, 4), SEEDS)


ADD = Contract(
    "add",
    signature="(a[n], b[n]) -> [n]",
    summary="elementwise sum",
    domain="finite, no overflow",
    inputs=_two_vectors,
    laws=(correctly_rounded, commutative),
    axes={"a": Axes(("n",)), "b": Axes(("n",))},
    output=("n",),
)

LINEAR = Contract(
    "linear",
    signature="(X[n,d], weight[m,d], bias[m]) -> [n,m]",
    summary="X @ weight.T + bias",
    domain="|x| <= 64, |w| and |b| of order one, no overflow",
    inputs=_operands,
    laws=(value, zero_weight_gives_bias),
    axes={"X": Axes(("n", "d")), "weight": Axes(("m", "d")), "bias": Axes(("m",))},
    output=("n", "m"),
)
