"""Proofs of casts: every float32 number to 16 or 8 bits, and every number of these encodings back to float32.

``python tests/programs/float32_casts.py bfloat16 float8_e5m2`` proves casts in each memory layout, and keeps the
proofs, which ``harness accuracy --casts`` shows. It replaces earlier ones of the same cast, layout and processor
capability, and writes their table in the documentation. Without a name, it only writes the table again.

A cast to nearest is a step function of the magnitude. It steps at the numbers halfway between two neighbors of the
encoding, which are float32 numbers. The expected results therefore follow from exact arithmetic. Policies are
declared: the results halfway between neighbors, and beyond the largest number.

References
----------
P. Micikevicius et al. (2022), *FP8 Formats for Deep Learning*, table 1.
Open Compute Project (2023), *OCP Microscaling Formats (MX) Specification*, version 1.0, section 5.4.1.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tabulate import tabulate
from torch import Tensor

from harness.case import Case
from harness.execution.environment import environment
from harness.floats.double_double import Array
from harness.proof.float32.count import Counts
from harness.proof.float32.kernel import LAYOUTS, SIGN, Kernel, Layout, memory
from harness.proof.float32.model import INFINITE
from harness.proof.float32.recorded import CASTS, read_recorded
from harness.proof.float32.sweep import BLOCK
from harness.proof.float32.task import EVERY, SHARDS, Float32
from harness.proof.shards import conclude
from harness.proof.tally import Tally
from harness.record import Proof
from harness.timing.clock import threads
from harness.wording.accuracy import list_builds, make_cast_row

Codes = NDArray[Any]

_NAN = 0x7FC0_0000

INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32}
"""The dtype of the bits of a number by its size in bytes."""


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

    @cached_property
    def sizes(self) -> Array:
        """The number of each code without its sign, and the one after the largest as if it had no limit."""
        exponent, fraction = np.divmod(np.arange(self.largest + 2), 1 << (self.precision - 1))
        is_subnormal = (exponent == 0) & (self.sign > 0)
        significand = fraction + ((1 - is_subnormal) << (self.precision - 1))
        numbers: Array = significand * np.exp2(exponent + is_subnormal - self.bias - self.precision + 1.0)
        return numbers

    @cached_property
    def numbers(self) -> Codes:
        """The float32 bits of each code."""
        bits, codes = np.full(1 << self.bits, _NAN, dtype=np.uint32), np.arange(self.largest + 1)
        bits[self.overflow | self.sign], bits[self.overflow] = INFINITE | SIGN, INFINITE
        bits[codes | self.sign] = _get_codes(self.sizes[:-1]) | SIGN
        bits[codes] = _get_codes(self.sizes[:-1])
        bits[self.nan] = _NAN
        return bits

    @cached_property
    def ties(self) -> Codes:
        """The magnitudes halfway between two neighbors, as float32 codes; the last one is halfway to overflow."""
        return _get_codes((self.sizes[:-1] + self.sizes[1:]) / 2.0)

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


def _get_codes(numbers: Array) -> Codes:
    """Return the codes of float32 numbers."""
    singles = numbers.astype(np.float32)
    assert (singles == numbers).all()
    return singles.view(np.uint32).astype(np.int64)


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

ENCODINGS = {encoding.name: encoding for encoding in _ALL}
"""The encodings by the name of their dtype."""


_ROUNDING = ("nearest", "ties", "overflow", "sign", "flushed")
"""The laws about finite numbers."""


class CastCounts(Counts):
    """Findings of casts, whose results are in no class of deviations."""

    def tally(self) -> Tally:
        """Return the findings as the tally of a shard, with the results that are not correctly rounded."""
        wrong = sum(self.departures[law].count for law in _ROUNDING if law in self.departures)
        return super().tally().model_copy(update={"not_correctly_rounded": wrong})


class CastSweep:
    """Casts the numbers of a range of magnitudes with both signs, and all numbers of the encoding back."""

    def __init__(self, case: Case, encoding: Encoding, layout: str, codes: range) -> None:
        self.case, self.encoding, self.layout, self.codes, self.counts = case, encoding, layout, codes, CastCounts()

    def run(self) -> Counts:
        """Compare every result with the steps.

        Raises
        ------
        CaseError
            If the cast raises, changes its argument, or returns another shape or dtype.
        """
        kernel = Kernel(self.case, self.layout, min(BLOCK, len(self.codes)), self.counts)
        kernel.dtype = self.encoding.dtype
        for sign in (1, -1):
            self._cast(kernel, sign)
        self.counts.floor_s = kernel.alone_s(self.codes)
        return self.counts

    def _cast(self, kernel: Kernel, sign: int) -> None:
        starts, results, size = self.encoding.starts, self.encoding.results(sign), kernel.bits.size
        for start in self.codes[::size]:
            actual = bits_of(kernel(start, sign))
            after, last = np.searchsorted(starts, [start, start + size - 1], "right")
            expected = np.repeat(results[after - 1 : last], np.diff([start, *starts[after:last], start + size]))
            if not np.array_equal(actual, expected):
                first = start + (SIGN if sign < 0 else 0)
                self._examine(first, self.encoding.numbers[actual], self.encoding.numbers[expected])

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
        remaining = np.ones(len(places), dtype=bool)
        for law, applies in conditions.items():
            if len(mine := np.flatnonzero(remaining & applies)):
                i = mine[0]
                is_nan = magnitudes[i] > INFINITE
                x = f"NaN {inputs[i]:#x}" if is_nan else _get_number(inputs[i]).hex()
                self.counts.depart(law, len(mine), x, (_get_number(actual[i]), _get_number(expected[i])))
            remaining &= ~applies

    def cast_back(self) -> Counts:
        """Cast every number of the encoding to float32 and back."""
        expected = self.encoding.numbers
        numbers = memory(self.layout, len(expected), self.encoding.dtype)
        view = numbers.view(INTEGERS[numbers.element_size()])
        view.copy_(torch.arange(len(expected)).to(view.dtype).reshape(view.shape))
        wide = numbers.to(torch.float32)
        back = bits_of(wide.reshape(-1))
        back[np.isnan(back.view(np.float32))] = _NAN
        round_trip = expected[bits_of(self.case.function(wide).reshape(-1))]
        for law, actual in (("back", back), ("round trip", round_trip)):
            if len(wrong := np.flatnonzero(actual != expected)):
                i = wrong[0]
                results = _get_number(actual[i]), _get_number(expected[i])
                self.counts.depart(law, len(wrong), f"{self.encoding.name} {i:#x}", results)
        return self.counts


def bits_of(numbers: Tensor) -> Codes:
    """Return the bits of contiguous numbers."""
    bits: Codes = numbers.view(INTEGERS[numbers.element_size()]).numpy()
    return bits.view(f"u{bits.itemsize}")


def _get_number(bits: int) -> float:
    """Return the float32 number with some bits."""
    return float(np.uint32(bits).view(np.float32))


@dataclass(frozen=True)
class CastTask(Float32):
    """A proof of a cast: its encoding takes the place of a contract, an operation and a format."""

    def _run_sweep(self, codes: range) -> Counts:
        return CastSweep(self.case, self.operation, self.layout.name, codes).run()  # type: ignore[arg-type]


def prove_cast(
    encoding: Any, layout: Layout, cast: Callable[[Tensor], Tensor] | None = None, *, codes: range = EVERY
) -> Proof:
    """Cast the numbers of some magnitudes, of either sign, and all numbers of the encoding back.

    The default is the cast of torch. The number of codes is a power of two.
    """
    case = Case(cast or (lambda x: x.to(encoding.dtype)), "cast", style="foreign", name=f"torch.{encoding.name}")
    shards = max(1, len(codes) * SHARDS // len(EVERY))
    task = CastTask(case, encoding, encoding, layout, "value", codes, shards, encoding)
    tally = reduce(add, map(task.tally, range(shards)))
    if tally.error is None:
        tally += CastSweep(case, encoding, layout.name, codes).cast_back().tally()
    return conclude(task, tally).model_copy(update={"contract": encoding.policies})


# The program

PAGE = Path(__file__).parents[2] / "docs" / "accuracy-of-torch.md"
BEGIN, END = "<!-- casts -->\n", "<!-- end of casts -->\n"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("names", nargs="*", help="dtypes of the results")
    for name in parser.parse_args().names:
        for layout in LAYOUTS:
            with threads(1):
                proof = prove_cast(ENCODINGS[name], layout)
            _keep(proof.model_copy(update={"processor": environment().processor}))
            print(make_cast_row(proof), f"{proof.duration_s:.1f} s", flush=True)
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(before + BEGIN + table(read_recorded(CASTS)) + END + rest.partition(END)[2], encoding="utf-8")


def _keep(new: Proof) -> None:
    """Write a proof to the file."""
    known = {_key(proof): proof for proof in (*read_recorded(CASTS), new)}
    order = [(name, layout.name) for name in ENCODINGS for layout in LAYOUTS]
    kept = sorted(known.values(), key=lambda proof: order.index((proof.dtype, proof.layout)))
    CASTS.write_text("".join(proof.model_dump_json() + "\n" for proof in kept), encoding="utf-8")


def _key(proof: Proof) -> tuple[str, ...]:
    return proof.dtype, proof.layout, proof.cpu_capability


def table(proofs: Sequence[Proof]) -> str:
    """Return the casts as Markdown, with the time of each proof."""
    rows = [{**make_cast_row(proof), "core-s": f"{proof.duration_s:.0f}"} for proof in proofs]
    lines = tabulate(rows, headers="keys", tablefmt="github", disable_numparse=True)
    valid = "".join(f"Valid for {environment}.\n\n" for environment in list_builds(proofs))
    return f"\n{lines}\n\n{valid}"


if __name__ == "__main__":
    main()
