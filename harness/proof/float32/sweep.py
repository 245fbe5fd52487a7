"""Sweep: pass the codes of a shard block by block through the implementation and the exact values, and count.

Deviations are measured in eighths of an ulp, in float32. An output is left to ball arithmetic if its deviation is so
close to a multiple of an eighth that the proved error could move it across.

Some exact values equal an earlier block's values times a power of two. If the outputs are so as well, both blocks have
equal deviations in ulp, and these are not measured again. The implementation still computes each output.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from harness.case import Case
from harness.floats.double_double import Array
from harness.proof.float32.count import CLASSES, Counts
from harness.proof.float32.kernel import Kernel, Outputs
from harness.proof.float32.model import Kind, number
from harness.proof.float32.operation import Operation
from harness.proof.float32.resolution import SMALL, Resolved, classify_off_tangent, resolve
from harness.proof.float32.rows import NEAR, WIDTH, rows_of
from harness.proof.float32.side import Block, Flags, Judged, Side

BLOCK = 32 * WIDTH
"""Number of codes of one call, in a shard that has more."""

_EXPONENT = np.int64(0x7FF0_0000_0000_0000)
_FAR = 16384.5
"""Deviations above this many eighths of an ulp are in no class with a limit."""

_FAR_CLASS = np.float32(512.0)
"""The limits of deviations of at least 256 eighths of an ulp are multiples of this."""

_FLOAT32 = 2.0**-22
"""Bound on the relative error of a deviation after its conversion to float32."""

_NORMAL = 2.0**26
"""The deviation in eighths of a zero from the smallest normal number; that from a subnormal number is less."""

_CANDIDATES, _MANY = 8, 64
"""Number of outputs of a block that may be the worst and are compared exactly; if there are many, it is only one."""

Singles = NDArray[np.float32]


@lru_cache(maxsize=1)
def _get_judgments(operation: str, quantity: str) -> dict[tuple[int, int], Judged]:  # noqa: ARG001
    """Return the latest blocks that this process has judged, by their sign and place in a period."""
    return {}


class Sweep:
    """Visits a shard, which is a range of magnitudes with both signs."""

    def __init__(self, case: Case, operation: Operation, quantity: str, layout: str, codes: range) -> None:
        self.operation, self.quantity, self.codes = operation, quantity, codes
        self.counts = Counts()
        is_gradient = quantity != "value"
        self.parity = -operation.parity if is_gradient else operation.parity
        self.size = min(BLOCK, len(codes))
        self.kernel = Kernel(case, layout, self.size, self.counts, is_gradient=is_gradient)
        self.sides = [Side(operation, quantity, codes, sign, blocks=len(codes) // self.size) for sign in (1, -1)]
        self.period, self.growth = (exponent << 23 for exponent in operation.scaling(quantity))
        self.judged = _get_judgments(operation.name, quantity)
        self.is_in_order = False
        """Whether the outputs of the last block are one number or a multiple of the inputs, which are in order."""
        self.has_tangent = operation.tangent[0] > 0 and not is_gradient
        shape = (self.size // WIDTH, WIDTH)
        self.exact, self.wide, *self.buffers = (np.empty(shape) for _ in range(5))
        self.eighths, self.part, self.whole = (np.empty(shape, np.float32) for _ in range(3))
        self.classes = torch.empty(self.size, dtype=torch.uint8)

    def run(self) -> Counts:
        """Visit every code.

        Raises
        ------
        CaseError
            If the implementation gives no answer.
        """
        with np.errstate(all="ignore"):
            for side in self.sides if self.codes.start else ():
                start = self.codes.start
                before = rows_of(self.operation, self.quantity, range(start - WIDTH, start), side.sign)
                side.last_direction = int(side.directions_of(before)[-1])
                side.last = self.kernel(start - self.size, side.sign).numpy()[-1]
            self.counts.moments = Counts().moments  # the outputs before the shard are not part of it
            for number_ in range(len(self.codes) // self.size):
                self._judge_both(number_)
        self.counts.floor_s = self.kernel.alone_s(self.codes)
        return self.counts

    def _visit(self, side: Side, number_: int) -> Block:
        start, count = self.codes.start + number_ * self.size, self.size // WIDTH
        rows = slice(number_ * count, (number_ + 1) * count)
        block = Block(side, start, number_, rows, self.kernel(start, side.sign).numpy())
        first, direction = block.outputs[0], side.directions[rows.start]
        if side.last is not None and direction == side.last_direction != 0:
            self.counts.pairs += 1
            if first < side.last if direction > 0 else first > side.last:
                self._record_break("monotone", block, np.array([0]), float(side.last))
        side.last, side.last_direction = block.outputs[-1], side.directions[rows.stop - 1]
        return block

    def _judge_both(self, number_: int) -> None:
        """Count the outputs for numbers of either sign; outputs of a symmetric function deviate by as much."""
        positive = self._visit(self.sides[0], number_)
        judgment = self._judge(positive)
        negative = self._visit(self.sides[1], number_)
        # An implementation may return the same memory again.
        is_new = not np.may_share_memory(positive.outputs, negative.outputs)
        if self.parity and self._compare(positive, negative.outputs) and is_new and judgment is not None:
            self._repeat(judgment)
        else:
            self._judge(negative)

    def _judge(self, block: Block) -> Judged | None:
        """Count the outputs of a block; return the counts if a block with the same deviations has the same counts."""
        counts, key, bits = self.counts, self._get_key(block), block.outputs.view(np.int32)
        previous = None if key is None else self.judged.get(key)
        if previous is not None and not self._is_scaled(previous, block.start, bits):
            previous = None
        if previous is not None and previous.worst > counts.worst and previous.place is not None:
            self._offer(block, previous.place)
        if previous is not None and previous.worst <= counts.worst:
            self._repeat(previous)
            return previous
        before, worst = (counts.histogram.copy(), counts.resolved, counts.pairs), counts.worst
        if not (self._is_regular(block) & self._check_order(block)):
            return None
        more = counts.histogram - before[0], counts.resolved - before[1], counts.pairs - before[2]
        place = counts.order[0] - block.start if counts.worst > worst else None
        judgment = Judged(block.start, bytearray(0 if key is None else bits.data), *more, counts.worst, place)
        if key is not None and (previous is None or judgment.worst < previous.worst):
            self.judged[key] = judgment
        return judgment

    def _get_key(self, block: Block) -> tuple[int, int] | None:
        """Return the place of a block in a period; ``None`` if its numbers are not scaled ones of other periods."""
        has_others = self.period and block.start >= 1 << 23 and block.side.is_scaled[block.number]
        return (block.side.sign, block.start % self.period) if has_others else None

    def _is_scaled(self, known: Judged, start: int, bits: NDArray[np.int32]) -> bool:
        """Return whether the outputs differ from an earlier block's by the same factor as the exact values."""
        shift = (start - known.start) // self.period * self.growth
        return known.outputs == np.subtract(bits, np.int32(shift), out=self.part.view(np.int32).reshape(-1)).data

    def _repeat(self, known: Judged) -> None:
        """Count a block with the same deviations."""
        self.counts.histogram += known.histogram
        self.counts.resolved += known.resolved
        self.counts.pairs += known.pairs

    def _is_regular(self, block: Block) -> bool:
        """Count the outputs of a block; return whether all inputs are ordinary and no output is lost."""
        side, number_ = block.side, block.number
        codes = range(block.start, block.start + self.size)
        poles = {code - block.start: expected for code, expected in side.poles.items() if code in codes}
        self.is_in_order = not poles and self._is_counted_at_once(block)
        if self.is_in_order:
            return True
        is_special = bool(side.has_kinds[number_] or poles)
        guard, doubtful = self._measure(block, is_plain=not (side.is_uneven[number_] or is_special))
        if is_special:
            self._measure_special(block, poles, doubtful)
        largest = self._decide(block, guard, doubtful)
        is_kept = largest <= 8.0 or (largest < CLASSES - 1 and bool(block.outputs.all()))
        if not is_kept:
            self._count_lost(block)
        self._count_classes(largest)
        return is_kept and not is_special

    def _is_counted_at_once(self, block: Block) -> bool:
        """Count a block whose exact values are all next to a number or a line, if the outputs show one class."""
        side, outputs, number_ = block.side, block.outputs, block.number
        if side.is_undefined[number_]:
            return self.quantity != "value" or bool(np.isnan(outputs).all())
        middle, slope, y = side.middles[number_], side.slopes[number_], outputs[0]
        is_flat, class_ = not math.isnan(middle), 0
        if math.isnan(slope) and not is_flat:
            return False
        expected = y if is_flat else np.multiply(self.kernel.inputs, np.float32(slope), out=self.part.reshape(-1))
        if not (outputs == expected).all():
            return False
        if is_flat and y != middle:
            least, most = (abs(middle - float(y)) * 8.0 / ulps[number_] for ulps in side.ulps)
            class_, largest = int(min(max(most - 8.0 * NEAR, 0.0), 8.0)), least + 8.0 * NEAR
            if not class_ <= largest < min(class_ + 1, 8):
                return False
            if largest > max(8.0 * self.counts.worst, 16.0 * NEAR):
                # If the function is monotone here, the largest deviation is at one end.
                if abs(side.direction[number_]) != 1.0:
                    return False
                for place in (0, self.size - 1):
                    self._offer(block, place)
        self.counts.histogram[class_] += self.size
        return True

    def _measure(self, block: Block, *, is_plain: bool) -> tuple[float | Singles, Flags]:
        """Set the deviations of a block in eighths of an ulp.

        Return a bound on their errors, and which outputs ball arithmetic must decide.
        """
        rows = block.side.rows
        # The product of NumPy may use several threads, which wait for each other.
        factors = torch.from_numpy(rows.coefficients[block.rows]), torch.from_numpy(rows.powers_at(block.rows.start))
        error, exact, outputs = rows.error[block.rows], torch.from_numpy(self.exact), torch.from_numpy(block.outputs)
        if is_plain:
            scale = float(8.0 / rows.ulp[block.rows.start])
            exact.view(-1).copy_(outputs)
            exact.addmm_(*factors, beta=-scale, alpha=scale)
            self._copy_to_float32()
            return float(error.max()) * scale, np.zeros(1, dtype=bool)
        torch.mm(*factors, out=exact)
        torch.from_numpy(self.wide).view(-1).copy_(outputs)
        return self._measure_each(error[:, None])

    def _measure_each(self, error: Array) -> tuple[Singles, Flags]:
        """Divide by the ulp of each value, and return the outputs for which an uncertain ulp matters."""
        size, power, rest = self.buffers
        np.abs(self.exact, out=size)
        np.bitwise_and(size.view(np.int64), _EXPONENT, out=power.view(np.int64))
        np.maximum(power, 2.0**-126, out=power)
        np.subtract(size, power, out=rest)
        doubtful = (rest <= error) & (power > 2.0**-126)
        np.subtract(power, rest, out=rest)
        doubtful |= rest <= error
        np.divide(2.0**26, power, out=power)
        np.subtract(self.exact, self.wide, out=self.exact)
        np.multiply(self.exact, power, out=self.exact)
        self._copy_to_float32()
        np.multiply(error, power, out=power)
        guard = power.astype(np.float32)
        sure = self.eighths + guard
        # An output that is not finite deviates infinitely from any ulp.
        doubtful &= (sure >= 0.49) & (sure < math.inf)
        return guard, doubtful

    def _copy_to_float32(self) -> None:
        torch.from_numpy(self.eighths).copy_(torch.from_numpy(self.exact))
        np.abs(self.eighths, out=self.eighths)

    def _measure_special(self, block: Block, poles: dict[int, float | None], doubtful: Flags) -> None:
        """Set the deviations of rows that have no polynomial and of poles, which are in no class."""
        kinds, grid = block.side.rows.kind[block.rows], block.outputs.reshape(self.eighths.shape)
        for row in np.flatnonzero(kinds):
            self.eighths[row], doubtful[row] = 0.0, kinds[row] == Kind.SINGLE
            if kinds[row] == Kind.OVERFLOW:
                limit = float(block.side.rows.low[block.rows.start + row])
                wrong = grid[row] != limit
                self.eighths[row, wrong] = np.inf
                self._record_break("not_infinite", block, row * WIDTH + np.flatnonzero(wrong), limit)
            elif kinds[row] == Kind.UNDEFINED:
                self.counts.histogram[0] -= WIDTH
                if self.quantity == "value":
                    wrong = ~np.isnan(grid[row])
                    wrong[0] &= row * WIDTH not in poles
                    self._record_break("not_nan", block, row * WIDTH + np.flatnonzero(wrong), math.nan)
        for place, expected in poles.items():
            position = divmod(place, WIDTH)
            if kinds[position[0]] != Kind.UNDEFINED:
                self.counts.histogram[0] -= 1
                self.eighths[position], doubtful[position] = 0.0, False
            if expected is not None and not np.array_equal(grid[position], expected, equal_nan=True):
                self._record_break("limit", block, np.array([place]), expected)

    def _decide(self, block: Block, guard: float | Singles, doubtful: Flags) -> float:
        """Put each output into the right class, and return the largest deviation in eighths of an ulp."""
        flat, largest = self.eighths.reshape(-1), float(self.eighths.max())
        if math.isnan(largest):
            flat[np.isnan(flat)] = largest = math.inf
        places = np.flatnonzero(self._find_near(guard, largest) | doubtful)
        if len(places):
            flat[places] = 0.0
            largest = float(flat.max())
        self._offer_largest(block, guard, largest)
        return max(largest, self._resolve(block, places))

    def _find_near(self, guard: float | Singles, largest: float) -> Flags:
        """Return which deviations may be in the neighboring class."""
        is_plain = isinstance(guard, float) and largest <= 64.0
        torch.clamp(torch.from_numpy(self.eighths), min=0.5, out=torch.from_numpy(self.part))
        if not is_plain:
            np.minimum(self.part, np.float32(_FAR), out=self.part)
        np.rint(self.part, out=self.whole)
        if largest >= CLASSES:
            far = self.part >= CLASSES
            self.whole[far] = np.rint(self.part[far] / _FAR_CLASS) * _FAR_CLASS
        limit = guard + (largest if is_plain else self.part) * np.float32(_FLOAT32)
        np.subtract(self.part, self.whole, out=self.part)
        np.abs(self.part, out=self.part)
        return np.zeros(1, dtype=bool) if is_plain and self.part.min() > limit else np.asarray(self.part <= limit)

    def _resolve(self, block: Block, places: NDArray[np.int64]) -> float:
        """Let ball arithmetic decide the classes at some places; return the largest deviation."""
        flat = self.eighths.reshape(-1)
        self.counts.resolved += len(places)
        if self.has_tangent and number(block.start + self.size) < SMALL and len(places):
            x, y = (values[places].astype(np.float64) for values in (self.kernel.inputs, block.outputs))
            deviations, classes = classify_off_tangent(self.operation.tangent, x, y)
            self._offer(block, int(places[np.argmax(deviations)]))
            flat[places] = classes + 0.5
        else:
            for position in places:
                resolved = self._offer(block, int(position))
                flat[position] = math.inf if math.isinf(resolved.deviation) else resolved.eighths + 0.5
        return float(flat[places].max(initial=0.0))

    def _offer_largest(self, block: Block, guard: float | Singles, largest: float) -> None:
        """Let ball arithmetic measure the outputs that may have the largest deviation of a block."""
        if isinstance(guard, float) and largest + guard + largest * _FLOAT32 <= 8.0 * self.counts.worst:
            return
        flat = np.where(np.isfinite(self.eighths), self.eighths, 0.0)
        reach = guard + flat * np.float32(_FLOAT32)
        reach[flat == 0.0] = 0.0  # decided already, or of no interest
        above = (flat + reach).reshape(-1)
        least = max(float((flat - reach).max()), 8.0 * self.counts.worst)
        places = np.flatnonzero(above > least)
        if len(places) > _MANY:
            places = places[[np.argmax(above[places])]]
        for position in places[np.argsort(-above[places], kind="stable")][:_CANDIDATES]:
            self._offer(block, int(position))

    def _offer(self, block: Block, position: int) -> Resolved:
        """Measure one output by ball arithmetic, and keep the worst output."""
        x, y = block.side.x(block.start + position), float(block.outputs[position])
        resolved = resolve(self.operation, self.quantity, x, y)
        self.counts.offer(resolved, x, y, (block.start + position, int(block.side.sign < 0)))
        return resolved

    def _count_lost(self, block: Block) -> None:
        """Count results that are not finite, and zeros where the exact value is none."""
        flat, outputs = self.eighths.reshape(-1), block.outputs
        infinite = np.flatnonzero(np.isinf(flat))
        if len(infinite):
            places = infinite[~np.isfinite(outputs[infinite])]
            self.counts.not_finite += len(places)
            self._record_break("lost", block, places)
            self._offer(block, int(infinite[0]))
        zeros = np.flatnonzero((outputs == 0.0) & (flat > 8.0) & (flat < np.inf))
        for law, is_normal in (("flushed", False), ("lost", True)):
            self._record_break(law, block, zeros[(flat[zeros] >= _NORMAL) == is_normal])

    def _record_break(self, law: str, block: Block, places: NDArray[np.int64], expected: float | None = None) -> None:
        """Count the outputs that break a law, and keep the first."""
        if not len(places):
            return
        place = int(places[0])
        x, y = block.side.x(block.start + place), float(block.outputs[place])
        if expected is None and law not in self.counts.departures:
            expected = resolve(self.operation, self.quantity, x, y).expected
        self.counts.depart(law, len(places), x.hex(), (y, expected or 0.0))

    def _count_classes(self, largest: float) -> None:
        if largest >= CLASSES:
            np.minimum(self.eighths, np.float32(CLASSES - 0.5), out=self.part)
        self.classes.view(self.eighths.shape).copy_(torch.from_numpy(self.part if largest >= CLASSES else self.eighths))
        histogram = torch.bincount(self.classes, minlength=256).numpy()
        self.counts.histogram += histogram
        if histogram[255]:
            for limit in self.counts.far:
                self.counts.far[limit] += int(np.count_nonzero(self.eighths > 8.0 * limit))

    def _check_order(self, block: Block) -> bool:
        """Compare neighbors where the function is monotone; return whether all are in order."""
        directions = block.side.directions[block.rows]
        changes = np.flatnonzero(np.diff(directions)) + 1 if np.isnan(block.side.direction[block.number]) else ()
        runs = zip((0, *changes), (*changes, len(directions)), strict=True)
        places = ((first * WIDTH, last * WIDTH, int(directions[first])) for first, last in runs)
        return min(self._is_monotone(block, i, block.outputs[i:j], direction) for i, j, direction in places)

    def _is_monotone(self, block: Block, start: int, outputs: Outputs, direction: int) -> bool:
        if direction == 0:
            return True
        self.counts.pairs += len(outputs) - 1
        if self.is_in_order:
            return True
        wrong = outputs[1:] < outputs[:-1] if direction > 0 else outputs[1:] > outputs[:-1]
        if len(places := np.flatnonzero(wrong)):
            self._record_break("monotone", block, places + start + 1, float(outputs[places[0]]))
        return not len(places)

    def _compare(self, block: Block, negative: Outputs) -> bool:
        """Compare the outputs for numbers of either sign bit by bit; return whether all are the same."""
        positive = block.outputs
        places = np.flatnonzero(positive.view(np.int32) != (negative if self.parity > 0 else -negative).view(np.int32))
        self.counts.mirrored += self.size
        wrong = places[~(np.isnan(positive[places]) & np.isnan(negative[places]))]
        if len(wrong):
            self._record_break("symmetric", block, wrong, self.parity * float(negative[wrong[0]]))
        return not len(places)
