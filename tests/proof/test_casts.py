"""Proofs of casts: the expected bits against independent searches, torch's casts, and planted defects."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from programs.float32_casts import BEGIN, ENCODINGS, END, PAGE, Encoding, bits_of, prove_cast, table
from torch import Tensor

from harness.proof.float32.kernel import LAYOUTS, SIGN
from harness.proof.float32.model import INFINITE
from harness.proof.float32.recorded import CASTS, read_recorded
from harness.record import Proof

ONE = range(0x3F80_0000, 0x3F81_0000)
"""Numbers from 1 on."""

SMALL = range(1 << 16)
"""Zero and the smallest numbers."""

LAST = range(0x7F7F_0000, 0x7F81_0000)
"""The largest numbers, infinity, and NaN with a small payload."""

Function = Callable[[Tensor], Tensor]


def expected(encoding: Encoding, bits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the float32 bits of the expected results for any bits."""
    steps = np.searchsorted(encoding.starts, bits & (SIGN - 1), "right") - 1
    codes = np.where(bits & SIGN, encoding.results(-1)[steps], encoding.results(1)[steps])
    return encoding.numbers[codes]


def inputs(encoding: Encoding) -> NDArray[np.int64]:
    """Return the magnitudes of some ties and of the numbers next to them, and random ones."""
    draws = np.random.default_rng(0)
    ties = draws.choice(encoding.ties, min(len(encoding.ties), 400), replace=False)
    return np.concatenate([*(ties + step for step in (-1, 0, 1)), draws.integers(0, INFINITE, 400)])


def nearest(encoding: Encoding, x: Fraction, known: list[Fraction]) -> int:
    """Return the code of the number nearest to a positive one by rational arithmetic."""
    place = bisect_left(known, x)
    around = [code for code in (place - 1, place) if 0 <= code < len(known)]
    closest = min(abs(known[code] - x) for code in around)
    ties = [code for code in around if abs(known[code] - x) == closest]
    return max(ties) if encoding.is_away else min(ties, key=lambda code: code % 2)


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_the_steps_are_at_the_nearest_numbers(encoding: Encoding) -> None:
    """Rational arithmetic on the numbers that torch assigns to the codes gives the same results."""
    codes = torch.arange(encoding.largest + 1).to(torch.int16 if encoding.bits == 16 else torch.uint8)
    known = [Fraction(x) for x in codes.view(encoding.dtype).float().tolist()]
    magnitudes = np.array([code for code in inputs(encoding) if code < encoding.ties[-1]])
    found = expected(encoding, magnitudes)
    for code, bits in zip(magnitudes, found, strict=True):
        x = Fraction(float(np.uint32(code).view(np.float32)))
        assert bits == encoding.numbers[nearest(encoding, x, known)]
    if encoding.sign:
        has_zero = encoding.sign != encoding.nan
        mirrored = expected(encoding, magnitudes + SIGN)
        assert ((mirrored == found + SIGN) | ((found == 0) & (mirrored == SIGN * has_zero))).all()


def judged_by(dtype: type, encoding: Encoding) -> None:
    """Compare the expected results up to the largest number with those of a NumPy dtype."""
    bits = np.concatenate([one + sign for one in (inputs(encoding),) for sign in (0, SIGN)])
    bits = bits[(bits & (SIGN - 1)) < encoding.ties[-1]]
    theirs = bits.astype(np.uint32).view(np.float32).astype(dtype).astype(np.float32).view(np.uint32)
    assert (expected(encoding, bits) == theirs).all()


def test_numpy_gives_the_same_bits() -> None:
    """NumPy has float16."""
    judged_by(np.float16, ENCODINGS["float16"])


@pytest.mark.parametrize("name", [name for name in ENCODINGS if name not in {"float16", "float8_e8m0fnu"}])
def test_ml_dtypes_gives_the_same_bits(name: str) -> None:
    """The library defines NaN for zero and negative numbers in e8m0, so it is no judge there."""
    library = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    judged_by(getattr(library, name), ENCODINGS[name])


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_casts_of_torch_follow_the_policies(encoding: Encoding, layout: object) -> None:
    """Known deviations are one of e8m0, and NaN instead of the largest number in torch 2.9."""
    known = {"nearest"} if encoding.name == "float8_e8m0fnu" else set()
    if encoding.name == "float8_e4m3fn" and torch.__version__.startswith("2.9"):
        known |= {"overflow", "infinity"}
    start = int(encoding.ties[-1]) // 2**16 * 2**16
    for codes in (SMALL, ONE, range(start, start + 2**16), LAST, range(0x0050_0000, 0x0051_0000)):
        proof = prove_cast(encoding, layout, codes=codes)  # type: ignore[arg-type]
        assert set(proof.departures) <= known
        assert (proof.visited, proof.checksum) == (2 * len(codes), proof.expected_checksum)
        assert proof.space.startswith("the float32 numbers of magnitude")


def test_a_defect_of_torch_is_found() -> None:
    """The smallest number of e8m0 is 2^-127; torch rounds all float32 numbers above it to its double."""
    found = prove_cast(ENCODINGS["float8_e8m0fnu"], LAYOUTS[0], codes=range(0x0040_0000, 0x0060_0000))
    departure = found.departures["nearest"]
    assert departure.count == found.not_correctly_rounded == 2 * (2**21 - 1)
    assert (float.fromhex(departure.x), departure.actual) == (2.0**-127 + 2.0**-149, 2.0**-126)
    assert departure.expected == 2.0**-127


def to_bfloat16(x: Tensor, *, added: int = 0x7FFF, is_even: bool = True) -> Tensor:
    """Round to bfloat16 on bits; NaN may become infinity."""
    bits = x.contiguous().view(torch.int32).to(torch.int64) & 0xFFFF_FFFF
    bits = (bits + added + ((bits >> 16) & 1) * is_even) >> 16
    return bits.to(torch.int16).view(torch.bfloat16)


def flushed(x: Tensor) -> Tensor:
    """Return zero for one number."""
    return torch.where(x == 1.5, torch.tensor(0.0), x).to(torch.float8_e5m2)


def strided_only(x: Tensor) -> Tensor:
    """Return a wrong result for numbers that are not next to each other."""
    return (x if x.is_contiguous() else x * 1.25).to(torch.float8_e5m2)


def saturated(x: Tensor) -> Tensor:
    """Return the largest number instead of infinity."""
    return x.clamp(-65504.0, 65504.0).to(torch.float16)


WRONG: tuple[tuple[str, Function, str, range, dict[str, int]], ...] = (
    ("ties", lambda x: to_bfloat16(x, added=0x8000, is_even=False), "bfloat16", ONE, {"ties": 2}),
    ("truncation", lambda x: to_bfloat16(x, added=0, is_even=False), "bfloat16", ONE, {"nearest": 65534}),
    ("payload", lambda x: to_bfloat16(x, added=0, is_even=False), "bfloat16", LAST, {"nan": 131070}),
    ("saturation", saturated, "float16", LAST, {"overflow": 131072, "infinity": 2}),
    ("zero", lambda x: (x + 0.0).to(torch.float8_e5m2), "float8_e5m2", SMALL, {"sign": 1}),
    ("flushed", flushed, "float8_e5m2", range(0x3FC0_0000, 0x3FC1_0000), {"flushed": 1, "round trip": 1}),
)


@pytest.mark.parametrize(
    ("function", "name", "codes", "counts"), [one[1:] for one in WRONG], ids=[one[0] for one in WRONG]
)
def test_a_planted_defect_is_found_by_name(function: Function, name: str, codes: range, counts: dict[str, int]) -> None:
    """The law is named, with the number of results and the first of them."""
    found = prove_cast(ENCODINGS[name], LAYOUTS[0], function, codes=codes).departures
    assert {law: found[law].count for law in counts} == counts


def test_a_witness_has_input_and_results() -> None:
    """A tie that rounds away from zero, and NaN with its payload."""
    wrong = prove_cast(ENCODINGS["bfloat16"], LAYOUTS[0], WRONG[0][1], codes=ONE).departures["ties"]
    assert (wrong.x, wrong.actual, wrong.expected) == ((1 + 2.0**-8).hex(), 1 + 2.0**-7, 1.0)
    wrong = prove_cast(ENCODINGS["bfloat16"], LAYOUTS[0], WRONG[2][1], codes=LAST).departures["nan"]
    assert (wrong.x, wrong.actual) == ("NaN 0x7f800001", float("inf"))


def test_a_defect_of_one_kernel_is_found_in_its_layout() -> None:
    """The cast is right for contiguous numbers."""
    laws = [set(prove_cast(ENCODINGS["float8_e5m2"], one, strided_only, codes=ONE).departures) for one in LAYOUTS]
    assert laws[0] == set()
    assert all("nearest" in found for found in laws[1:])


def test_a_wrong_cast_back_is_found() -> None:
    """With another bias, each number but the special ones has another value."""
    found = prove_cast(replace(ENCODINGS["float8_e5m2"], bias=16), LAYOUTS[1], codes=ONE).departures
    assert found["back"].count == 2 * 0x7B
    assert found["back"].x == "float8_e5m2 0x1"


def test_another_dtype_is_an_error() -> None:
    """The message names the dtype."""
    proof = prove_cast(ENCODINGS["bfloat16"], LAYOUTS[0], lambda x: x.half(), codes=ONE)
    assert "does not return a bfloat16 tensor" in (proof.error or "")


KEPT = read_recorded(CASTS)


def test_the_kept_proofs_cover_every_cast() -> None:
    """Each bit pattern was cast once, and the page has the table: ``python tests/programs/float32_casts.py``."""
    assert [(proof.dtype, proof.layout) for proof in KEPT] == [
        (name, layout.name) for name in ENCODINGS for layout in LAYOUTS
    ]
    assert all(proof.is_proved for proof in KEPT)
    shown = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert shown == table(KEPT)


@pytest.mark.parametrize("proof", KEPT, ids=lambda proof: f"{proof.dtype}-{proof.layout}")
def test_torch_still_deviates_at_the_witness(proof: Proof) -> None:
    """The first result of each deviation is as recorded."""
    if (proof.torch, proof.cpu_capability) != (torch.__version__, torch.backends.cpu.get_cpu_capability()):
        pytest.skip(f"proved of torch {proof.torch} with {proof.cpu_capability}, which this is not")
    for departure in proof.departures.values():
        x = torch.tensor([float.fromhex(departure.x)])
        assert x.to(ENCODINGS[proof.dtype].dtype).float().item() == departure.actual


def test_bits_are_those_of_the_memory() -> None:
    """The numbers of 16 bits are unsigned as well."""
    assert bits_of(torch.tensor([-1.0]).to(torch.bfloat16)).tolist() == [0xBF80]
    assert bits_of(torch.tensor([-1.0])).tolist() == [0xBF80_0000]
