"""Portable functions have the same bits on every processor: accuracy, special values, recorded bits."""

import os
import subprocess
import sys
from collections.abc import Callable

import mpmath
import numpy as np
import pytest

from harness.execution.processor import emulate_processors
from harness.floats import Array, portable

RNG = np.random.default_rng(0)
WIDE = np.concatenate([RNG.uniform(-744.0, 709.0, 300), RNG.uniform(-1.0, 1.0, 300)])
POSITIVE = np.concatenate([2.0 ** RNG.uniform(-1073.0, 1023.0, 300), RNG.uniform(0.5, 2.0, 300)])
ABOVE_MINUS_ONE = np.concatenate([2.0 ** RNG.uniform(-1000.0, 1000.0, 300), -(2.0 ** RNG.uniform(-1000.0, -1e-3, 300))])


def errors_ulp(function: Callable[[Array], Array], exact: Callable[[mpmath.mpf], mpmath.mpf], x: Array) -> list[float]:
    """Return the error of each value, in ulp of the exact value."""
    found = []
    with mpmath.workprec(160):
        for argument, value in zip(x, function(x), strict=True):
            truth = exact(mpmath.mpf(float(argument)))
            ulp = max(mpmath.mpf(2) ** (int(mpmath.floor(mpmath.log(abs(truth), 2))) - 52), mpmath.mpf(2) ** -1074)
            found.append(float(abs(mpmath.mpf(float(value)) - truth) / ulp))
    return found


@pytest.mark.parametrize(
    ("function", "exact", "x"),
    [
        (portable.exp, mpmath.exp, WIDE),
        (portable.exp2, lambda x: mpmath.power(2, x), WIDE),
        (portable.log, mpmath.log, POSITIVE),
        (portable.log2, lambda x: mpmath.log(x, 2), POSITIVE),
        (portable.log1p, mpmath.log1p, ABOVE_MINUS_ONE),
    ],
)
def test_a_function_errs_by_a_few_ulp(
    function: Callable[[Array], Array], exact: Callable[[mpmath.mpf], mpmath.mpf], x: Array
) -> None:
    """The whole range is tested, including subnormal results."""
    assert max(errors_ulp(function, exact, x)) < 4.0


def test_powers_of_two_and_their_logarithms_are_exact() -> None:
    """All powers are exact, from the smallest subnormal number to the largest."""
    powers = np.arange(-1074, 1024)
    assert (portable.exp2(powers) == np.ldexp(1.0, powers)).all()
    assert (portable.log2(np.ldexp(1.0, powers)) == powers).all()


def test_special_values_are_as_usual() -> None:
    """Infinities, zeros, negative numbers and NaN cause no warning."""
    assert str(portable.exp([np.inf, -np.inf, np.nan, 1e5, 0.0])) == str(np.array([np.inf, 0.0, np.nan, np.inf, 1.0]))
    logarithms = portable.log([0.0, -0.0, -1.0, np.inf, np.nan, 1.0])
    assert str(logarithms) == str(np.array([-np.inf, -np.inf, np.nan, np.inf, np.nan, 0.0]))
    assert str(portable.log1p([-1.0, -2.0, np.inf, 0.0])) == str(np.array([-np.inf, np.nan, np.inf, 0.0]))


def test_a_softmax_sums_to_one_and_a_masked_entry_is_zero() -> None:
    """Rows are along the last axis."""
    rows = portable.softmax([[1000.0, 0.0, -np.inf], [1.0, 1.0, 1.0]])
    assert rows[0].tolist() == [1.0, 0.0, 0.0]
    assert abs(rows.sum(-1) - 1.0).max() < 1e-15
    assert portable.log_softmax([[0.0, 0.0]]).tolist() == [[-portable.LN2, -portable.LN2]]


def test_normal_numbers_are_normal() -> None:
    """Mean and standard deviation are right, and numbers beyond the end of the table occur."""
    drawn = portable.standard_normal(np.random.default_rng(0), 200_000)
    assert abs(drawn.mean()) < 0.01
    assert abs(drawn.std() - 1.0) < 0.01
    assert abs(drawn).max() > 4.0


RECORDED = "8b99b970f1ba"
BITS = """
import hashlib, numpy as np
from harness.floats import portable
rng = np.random.default_rng(1)
x = rng.uniform(-700.0, 700.0, 20_000)
size = portable.exp2(rng.uniform(-1000.0, 1000.0, 20_000))
values = [portable.exp(x), size, portable.log(size), portable.log2(size), portable.log1p(size)]
values += [portable.standard_normal(rng, 200_000), portable.log_softmax(x.reshape(200, 100))]
print(hashlib.sha256(b"".join(value.tobytes() for value in values)).hexdigest()[:12])
"""


def test_bits_are_the_recorded_ones_with_every_set_of_instructions() -> None:
    """NumPy and the C library run with and without AVX2, FMA and AVX-512."""
    older = emulate_processors().get("no AVX", {})
    here, there = run(BITS), run(BITS, **older)
    assert here == there == RECORDED


def run(code: str, **variables: str) -> str:
    """Run code in a process with extra environment variables."""
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=os.environ | variables, capture_output=True, text=True, check=True
    ).stdout.strip()
