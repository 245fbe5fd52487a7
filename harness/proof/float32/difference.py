"""Differences between two releases of torch: which result bits changed, and whether the results are better or worse.

A process for each release returns digests of blocks of results. It returns all bits only for blocks with unequal
digests. This process compares these with exact values, whose error is bounded. Ball arithmetic decides close cases.
"""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.error import UsageError
from harness.execution.release import run_program
from harness.floats.double_double import Array
from harness.proof.float32 import release
from harness.proof.float32.model import Kind, number
from harness.proof.float32.operation import OPERATIONS
from harness.proof.float32.release import DIGEST, SIZE
from harness.proof.float32.resolution import resolve
from harness.proof.float32.rows import WIDTH, rows_of
from harness.proof.float32.side import poles_of
from harness.record import Judgment, Sameness

Floats = NDArray[np.float32]

BLOCKS = 1 << 16
"""Number of blocks of all float32 numbers."""

KINDS = ("better", "worse", "equal", "without an exact value")

_TOGETHER = 256
"""Number of blocks of a request."""

_ROUNDING = 2.0**-50
"""Bound on the relative rounding error of the difference of two distances."""


class Release(subprocess.Popen[bytes]):
    """A process that computes with the torch of another interpreter.

    Raises
    ------
    UsageError
        If the path is no interpreter.
    """

    def __init__(self, python: str) -> None:
        run_program(f"cannot use `{python}`", python, "-c", "")
        self.python, pipe = python, subprocess.PIPE
        # In a separate session, it gets no Ctrl-C, which is for the command.
        settings: dict[str, Any] = {"stdin": pipe, "stdout": pipe, "stderr": subprocess.DEVNULL}
        super().__init__([python, "-E", release.__file__], **settings, start_new_session=True)

    def __exit__(self, *error: Any) -> None:
        """End the process, also after an interrupt."""
        self.kill()
        self.wait()
        super().__exit__(*error)

    def about(self) -> str:
        """Return the version of torch and its kernels, which the process writes first.

        Raises
        ------
        UsageError
            If the interpreter cannot import torch.
        """
        assert self.stdout is not None
        if not (about := self.stdout.readline()):
            run_program(f"cannot use `{self.python}`", self.python, "-E", "-c", "import torch")
            self.read(1)
        return about.decode().strip()

    def ask(self, operation: str, quantity: str, blocks: Sequence[int], *, raw: bool) -> None:
        """Send a request, without waiting for the results."""
        assert self.stdin is not None
        request = {"operation": operation, "quantity": quantity, "blocks": blocks, "raw": raw}
        self.stdin.write(json.dumps(request).encode() + b"\n")
        self.stdin.flush()

    def read(self, size: int) -> bytes:
        """Return the next bytes of the results."""
        assert self.stdout is not None
        results = self.stdout.read(size)
        if len(results) != size:
            raise UsageError(f"the process of `{self.python}` ended", rule="its torch may lack the operation")
        return results


class Change(NamedTuple):
    """An input with other results."""

    distance: float
    """Number of float32 numbers from one result to the other; infinite if one of them is NaN."""
    x: float
    before: float
    after: float


@dataclass
class Difference:
    """The changed values of an operation, or the changed derivatives."""

    name: str
    quantity: str = "value"
    compared: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    """Number of changed results that are better, worse, or equally accurate; at a kink, a derivative may be any."""
    largest: dict[str, Change] = field(default_factory=dict)
    """The largest change of each kind."""

    def compare(self, releases: Sequence[Release], blocks: Sequence[int]) -> Iterator[int]:
        """Compare the results of two releases on some blocks, and yield how many were compared."""
        for first in range(0, len(blocks), _TOGETHER):
            batch = blocks[first : first + _TOGETHER]
            pairs = zip(batch, *self._read_answers(releases, batch, DIGEST), strict=True)
            changed = [block for block, before, after in pairs if before != after]
            with np.errstate(all="ignore"):
                for block, *outputs in zip(changed, *self._read_answers(releases, changed, 4 * SIZE), strict=True):
                    self.examine(block, *(np.frombuffer(bits, dtype=np.float32) for bits in outputs))
            self.compared += len(batch) * SIZE
            yield len(batch)

    def _read_answers(self, releases: Sequence[Release], blocks: Sequence[int], size: int) -> list[list[bytes]]:
        """Return the digests or the bits of some blocks for each release, which compute at the same time."""
        for torch_release in releases:
            torch_release.ask(self.name, self.quantity, blocks, raw=size != DIGEST)
        return [[torch_release.read(size) for _ in blocks] for torch_release in releases]

    def judge(self, first: str, second: str) -> Judgment:
        """Return the judgment: whether results in the second release have other bits, and whether some are worse."""
        title = self.name if self.quantity == "value" else f"gradient of {self.name}"
        inputs = "all float32 numbers" if self.compared == BLOCKS * SIZE else f"{self.compared:,} float32 numbers"
        answer, sentence = Sameness.SAME_BITS, f"all results for {inputs} are equal"
        if self.largest:
            answer = Sameness.DIFFERENT if self.counts["worse"] or self.counts[KINDS[-1]] else Sameness.ROUNDING
            counts = ", ".join(f"{self.counts[kind]:,} {kind}" for kind in KINDS if self.counts[kind])
            _, x, before, after = max(self.largest.values(), key=lambda change: change.distance)
            sentence = f"{self.counts.total():,} of the results for {inputs} have other bits ({counts})"
            sentence += f", such as {before!r} before and {after!r} after at {x!r}"
        names = f"{title} in {first}", f"{title} in {second}"
        return Judgment(first=names[0], second=names[1], name=title, answer=answer, sentence=sentence)

    def examine(self, block: int, before: Floats, after: Floats) -> None:
        """Judge the changed results of a block."""
        places = np.flatnonzero(before.view(np.uint32) != after.view(np.uint32))
        gains = self._compute_gains(block, places, before[places].astype(np.float64), after[places].astype(np.float64))
        distances = np.abs(_count_ordinals(after[places]) - _count_ordinals(before[places])).astype(np.float64)
        distances[np.isnan(before[places]) != np.isnan(after[places])] = np.inf
        inputs = (block * SIZE + places).astype(np.uint32).view(np.float32)
        for kind, mine in zip(KINDS, (gains > 0, gains < 0, gains == 0, np.isnan(gains)), strict=True):
            if mine.any():
                self.counts[kind] += int(mine.sum())
                i = np.argmax(np.where(mine, distances, -1.0))
                new = Change(*map(float, (distances[i], inputs[i], before[places[i]], after[places[i]])))
                self.largest[kind] = max(self.largest.get(kind, new), new, key=lambda change: change.distance)

    def _compute_gains(self, block: int, places: NDArray[np.int64], *both: Array) -> Array:
        """Return by how much each result came closer to the exact value; only the sign is exact.

        It is NaN without an exact value.
        """
        operation, quantity = OPERATIONS.get(self.name), self.quantity
        if operation is None:
            return np.where(_same(*both), 0.0, np.nan)
        sign, start = (1, block * SIZE) if block < BLOCKS // 2 else (-1, (block - BLOCKS // 2) * SIZE)
        rows = rows_of(operation, quantity, range(start, start + SIZE), sign)
        exact = (rows.coefficients @ rows.powers_at(0)).reshape(-1)[places]
        kinds, error = rows.kind[places // WIDTH], rows.error[places // WIDTH]
        exact[kinds == Kind.UNDEFINED], exact[kinds == Kind.OVERFLOW] = np.nan, np.inf
        poles = {code - start: y for code, y in poles_of(operation, quantity, sign).items()}
        is_pole, is_free = (
            np.isin(places, [position for position, y in poles.items() if not is_free or y is None])
            for is_free in (False, True)
        )
        exact[is_pole & ~is_free] = [poles[position] for position in places[is_pole & ~is_free].tolist()]
        errors = (np.nan_to_num(np.abs(result - exact), nan=np.inf) for result in both)
        away = [np.where(_same(result, exact), 0.0, error) for result, error in zip(both, errors, strict=True)]
        gains = np.where(away[0] == away[1], 0.0, away[0] - away[1])
        is_close = np.abs(gains) <= 2.0 * error + _ROUNDING * np.minimum(*away)
        is_close = (is_close & (kinds == Kind.ORDINARY)) | (kinds == Kind.SINGLE)
        for i in np.flatnonzero(is_close & ~is_pole & ~_same(*both)):
            x = sign * number(start + int(places[i]))
            deviations = [resolve(operation, quantity, x, float(result[i])).deviation for result in both]
            gains[i] = 0.0 if deviations[0] == deviations[1] else deviations[0] - deviations[1]
        return np.where(_same(*both), 0.0, np.where(is_free, np.nan, gains))


def _same(first: Array, second: Array) -> NDArray[np.bool_]:
    return np.asarray((first == second) | (np.isnan(first) & np.isnan(second)))


def _count_ordinals(values: Floats) -> NDArray[np.int64]:
    """Number float32 numbers so that neighbors differ by one."""
    bits = values.view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(1 << 31) - bits, bits)
