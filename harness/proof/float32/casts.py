"""Proofs of casts: every float32 number to 16 or 8 bits, and every number of these encodings back to float32.

A cast to nearest is a step function of the magnitude. It steps at the numbers halfway between two neighbors of the
encoding, which are float32 numbers. The expected results therefore follow from integer arithmetic on bits. Policies are
declared: the results halfway between neighbors, and beyond the largest number.

References
----------
P. Micikevicius et al. (2022), *FP8 Formats for Deep Learning*, table 1.
Open Compute Project (2023), *OCP Microscaling Formats (MX) Specification*, version 1.0, section 5.4.1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.calling.host import clock_of
from harness.case import Case
from harness.proof.float32.count import Counts, moments
from harness.proof.float32.kernel import INTEGERS, Kernel, Layout, memory
from harness.proof.float32.model import INFINITE
from harness.proof.float32.sweep import BLOCK, SIGN
from harness.proof.float32.task import EVERY
from harness.proof.tally import spelled
from harness.record import Departure, Proof

Codes = NDArray[Any]

FILE = Path(__file__).with_name("casts.jsonl")

_UNIT = 160
"""All numbers are whole multiples of ``2^-160``."""

_NAN = 0x7FC0_0000


@dataclass(frozen=True)
class Encoding:
    """An encoding of numbers; one with precision 1 has neither sign nor zero.

    Parameters
    ----------
    name
        Name of the torch dtype.
    bits
        Number of bits.
    precision
        Number of significand bits, including the implicit one.
    bias
        Bias of the exponent.
    largest
        Code of the largest number.
    overflow
        Declared result for infinity and for numbers that round beyond the largest one.
    nan
        A code of NaN.
    is_away
        Whether ties round away from zero instead of to even.
    """

    name: str
    bits: int
    precision: int
    bias: int
    largest: int
    overflow: int
    nan: int
    is_away: bool = False

    @property
    def dtype(self) -> torch.dtype:
        """The torch dtype."""
        dtype: torch.dtype = getattr(torch, self.name)
        return dtype

    @property
    def sign(self) -> int:
        """The sign bit; zero if there is none."""
        return 1 << (self.bits - 1) if self.precision > 1 else 0

    @property
    def policies(self) -> str:
        """The declared policies in words."""
        overflow = {self.nan: "NaN", self.largest: "the largest number"}.get(self.overflow, "infinity")
        sign = "sign kept" if self.sign != self.nan else "sign kept, no -0"
        ties = "away from zero" if self.is_away else "to even"
        return f"ties {ties}; overflow to {overflow}; {sign if self.sign else 'sign dropped'}"

    def _units(self, magnitude: int) -> int:
        """Return the number of a code without its sign in units, as if the exponent had no limit."""
        exponent, fraction = divmod(magnitude, 1 << (self.precision - 1))
        is_normal = exponent > 0 or not self.sign
        significand = fraction + (is_normal << (self.precision - 1))
        return significand << (exponent + (not is_normal) - self.bias - self.precision + 1 + _UNIT)

    @cached_property
    def numbers(self) -> Codes:
        """The float32 bits of each code."""
        bits = np.full(1 << self.bits, _NAN)
        sizes = {code: _float32(2 * self._units(code)) for code in range(self.largest + 1)}
        for code, size in {self.overflow: INFINITE, **sizes}.items():
            bits[[code, code | self.sign]] = size, size | (SIGN if self.sign else 0)
        bits[self.nan] = _NAN
        return bits.astype(np.uint32)

    @cached_property
    def ties(self) -> Codes:
        """The magnitudes halfway between two neighbors, as float32 codes; the last one is halfway to overflow."""
        return np.array([_float32(self._units(low) + self._units(low + 1)) for low in range(self.largest + 1)])

    @cached_property
    def starts(self) -> Codes:
        """The first magnitude of each step, as float32 codes; the last steps are overflow, infinity and NaN."""
        goes_up = (np.arange(self.largest + 1) % 2 == 1) | self.is_away
        return np.concatenate([[0], self.ties + ~goes_up, [INFINITE, INFINITE + 1]])

    def results(self, sign: int) -> Codes:
        """Return the code that each step of a sign has as result."""
        codes = np.array([*range(self.largest + 1), self.overflow, self.overflow, self.nan])
        if sign < 0:
            codes = np.where(codes == self.nan, self.nan, codes | self.sign)
            codes[0] = 0 if self.nan == self.sign else self.sign
        return codes


def _float32(halves: int) -> int:
    """Return the code of a float32 number in halves of a unit."""
    exponent = max(halves.bit_length() - 2 - _UNIT, -126)
    significand, rest = divmod(halves, 1 << (exponent - 22 + _UNIT))
    assert rest == 0
    return ((exponent + 126) << 23) + significand


_ALL = (
    Encoding("float16", 16, 11, 15, 0x7BFF, 0x7C00, 0x7E00),
    Encoding("bfloat16", 16, 8, 127, 0x7F7F, 0x7F80, 0x7FC0),
    Encoding("float8_e5m2", 8, 3, 15, 0x7B, 0x7C, 0x7F),
    # Saturation is new in torch 2.13; the result for overflow was NaN before.
    Encoding("float8_e4m3fn", 8, 4, 7, 0x7E, 0x7E, 0x7F),
    Encoding("float8_e5m2fnuz", 8, 3, 16, 0x7F, 0x80, 0x80),
    Encoding("float8_e4m3fnuz", 8, 4, 8, 0x7F, 0x80, 0x80),
    Encoding("float8_e8m0fnu", 8, 1, 127, 0xFE, 0xFF, 0xFF, is_away=True),
)

ENCODINGS = {one.name: one for one in _ALL}
"""The encodings by the name of their dtype."""


def prove_cast(
    encoding: Encoding, layout: Layout, cast: Callable[[Tensor], Tensor] | None = None, *, codes: range = EVERY
) -> Proof:
    """Cast the numbers of some magnitudes, of either sign, and all numbers of the encoding back.

    Parameters
    ----------
    cast
        The cast; by default, the one of torch.
    codes
        The magnitudes, as float32 codes without sign; the number of codes is a power of two.

    Raises
    ------
    CaseError
        If the cast raises, changes its argument, or returns another shape or dtype.
    """
    case = Case(cast or (lambda x: x.to(encoding.dtype)), "cast", style="foreign", name=f"torch.{encoding.name}")
    clock, sweep = clock_of(case), _Sweep(encoding, layout, case)
    started = clock()
    floor_s = sum(sweep.cast(codes, sign) for sign in (1, -1))
    sweep.cast_back()
    both = (moments(range(sign + codes.start, sign + codes.stop)) for sign in (0, SIGN))
    departures = sweep.counts.departures
    return Proof(
        case=case.name,
        family="torch",
        style=case.style,
        contract=encoding.policies,
        quantity="value",
        dtype=encoding.name,
        device="cpu",
        layout=layout.name,
        kernel=layout.kernel,
        space="every float32 number, and every number of the encoding back",
        inputs=2**32,
        visited=2 * len(codes),
        checksum=spelled(sweep.counts.moments),
        expected_checksum=spelled(tuple(map(sum, zip(*both, strict=True)))),
        not_correctly_rounded=sum(departures[law].count for law in _ROUNDING if law in departures),
        beyond={},
        not_finite=0,
        laws=(),
        threads=torch.get_num_threads(),
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        torch=torch.__version__,
        duration_s=clock() - started,
        floor_s=floor_s,
        departures=departures,
    )


_ROUNDING = ("nearest", "ties", "overflow", "sign", "flushed")
"""The laws about finite numbers."""


class _Sweep:
    def __init__(self, encoding: Encoding, layout: Layout, case: Case) -> None:
        self.encoding, self.layout, self.case, self.counts = encoding, layout, case, Counts()

    def cast(self, codes: range, sign: int) -> float:
        """Compare the results for numbers of a sign with the steps, and return the time of the casts alone."""
        starts, results, size = self.encoding.starts, self.encoding.results(sign), min(BLOCK, len(codes))
        kernel = Kernel(self.case, self.layout.name, sign, size, dtype=self.encoding.dtype)
        for start in codes[::size]:
            actual = bits_of(kernel.output(start))
            after, last = np.searchsorted(starts, [start, start + size - 1], "right")
            lengths = np.diff([start, *starts[after:last], start + size])
            expected = np.repeat(results[after - 1 : last], lengths)
            first = start + (SIGN if sign < 0 else 0)
            self.counts.visit(range(first, first + size))
            if not np.array_equal(actual, expected):
                self._examine(first, self.encoding.numbers[actual], self.encoding.numbers[expected])
        return kernel.spent_s

    def _examine(self, start: int, actual: Codes, expected: Codes) -> None:
        """Find the laws that the results for the bits from ``start`` break."""
        places = np.flatnonzero(actual != expected)
        if not len(places):  # another code of NaN
            return
        inputs, actual, expected = start + places, actual[places], expected[places]
        magnitudes, size = inputs & (SIGN - 1), actual & (SIGN - 1)
        conditions = {
            "nan": magnitudes > INFINITE,
            "infinity": magnitudes == INFINITE,
            "ties": np.isin(magnitudes, self.encoding.ties),
            "overflow": magnitudes > self.encoding.ties[-1],
            "sign": size == expected & (SIGN - 1),
            "flushed": size == 0,
            "nearest": size >= 0,
        }
        left = np.ones(len(places), dtype=bool)
        for law, applies in conditions.items():
            if len(mine := np.flatnonzero(left & applies)):
                i = mine[0]
                is_nan = magnitudes[i] > INFINITE
                x = f"NaN {inputs[i]:#x}" if is_nan else _float(inputs[i]).hex()
                self._depart(law, len(mine), x, (actual[i], expected[i]))
            left &= ~applies

    def _depart(self, law: str, count: int, x: str, bits: tuple[int, int]) -> None:
        """Count results that break a law, with the actual and the expected bits of the first."""
        actual, expected = map(_float, bits)
        new, known = Departure(count=count, x=x, actual=actual, expected=expected), self.counts.departures
        known[law] = known[law] + new if law in known else new

    def cast_back(self) -> None:
        """Cast every number of the encoding to float32 and back."""
        expected = self.encoding.numbers
        numbers = memory(self.layout.name, len(expected), self.encoding.dtype)
        view = numbers.view(INTEGERS[numbers.element_size()])
        view.copy_(torch.arange(len(expected)).to(view.dtype).reshape(view.shape))
        wide = numbers.to(torch.float32)
        back = bits_of(wide.reshape(-1))
        back[np.isnan(back.view(np.float32))] = _NAN
        round_trip = expected[bits_of(self.case.function(wide).reshape(-1))]
        for law, actual in (("back", back), ("round trip", round_trip)):
            if len(wrong := np.flatnonzero(actual != expected)):
                i = wrong[0]
                self._depart(law, len(wrong), f"{self.encoding.name} {i:#x}", (actual[i], expected[i]))


def bits_of(numbers: Tensor) -> Codes:
    """Return the bits of contiguous numbers."""
    bits: Codes = numbers.view(INTEGERS[numbers.element_size()]).numpy()
    return bits.view(f"u{bits.itemsize}")


def _float(bits: int) -> float:
    """Return the float32 number with some bits."""
    return float(np.uint32(bits).view(np.float32))


def recorded_casts() -> list[Proof]:
    """Return the kept proofs of torch's casts."""
    with FILE.open(encoding="utf-8") as lines:
        return [Proof.model_validate_json(line) for line in lines]
