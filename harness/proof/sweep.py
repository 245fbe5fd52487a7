"""Sweep: pass one block of pairs after the other through the implementation and the table, with reused buffers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.calling.host import clock_of
from harness.calling.watch import TimeOnlyWatch
from harness.floats.double_double import Array
from harness.isolation.wire import Unsupported
from harness.laws.case_error import CaseError
from harness.laws.subject import Subject, round_as_declared
from harness.proof.examination import Examination, Suspects
from harness.proof.layout import PairLayout
from harness.proof.operation import Argument
from harness.proof.pairs import Codes, Pairs
from harness.proof.tally import MOMENTS, Tally, attempt
from harness.proof.threshold import CODES, Interval

ROW_BY_ROW = 'lambda f, x, y: f(x, y, reduction="none")'
"""Default adapter for a loss that takes a reduction."""

LANES = 16
"""Number of calls per request."""

REMEDY = f"pass for example `--call '{ROW_BY_ROW}'`, or `--declare reduction=none` if it returns one number per row"
"""Remedy for a loss that returns one number for many rows."""


class Lane:
    """Memory of one call: the argument, and the operands as a view of it."""

    def __init__(self, task: Pairs, layout: PairLayout, size: int) -> None:
        memory = layout.allocate(size, task.format_.dtype)
        self.operands = layout.pairs(memory).view(torch.int16)
        self.argument = memory.detach().requires_grad_(task.operation.is_gradient)


class Caller:
    """Calls the implementation in one layout with ``size`` pairs per call, and returns output codes."""

    def __init__(self, task: Pairs, layout: PairLayout, size: int) -> None:
        self.task, self.layout = task, layout
        call_each = getattr(task.case.function, "each", None)
        self.lanes = [Lane(task, layout, size) for _ in range(1 if call_each is None else LANES)]
        self.labels = () if task.operation.label is None else (task.operation.labels(size),)
        self.subject = Subject(task.case, task.contract, task.format_, TimeOnlyWatch())
        self.clock, self.spent_s = clock_of(task.case), 0.0

    def seconds(self, codes: Codes) -> None:
        """Set the block of second operands."""
        for lane in self.lanes:
            lane.operands[1] = torch.from_numpy(codes.view(np.int16)).view(lane.operands.shape[1:])

    def __call__(self, firsts: Codes) -> list[Codes]:
        """Call the implementation for each first operand with the block; return the output codes, classes first."""
        name, lanes = self.task.case.name, self.lanes[: len(firsts)]
        for lane, first in zip(lanes, firsts, strict=True):
            lane.operands[0] = int(first.view(np.int16))
        started = self.clock()
        outputs = self.subject.attempt(name, lambda: self._compute_outputs(lanes))
        self.spent_s += self.clock() - started
        return [self._check_output(output) for output in outputs]

    def _check_output(self, output: Any) -> Codes:
        """Check the type and shape of an output, and return its codes."""
        name, argument = self.task.case.name, self.lanes[0].argument
        if not isinstance(output, Tensor):
            kind = output.kind if isinstance(output, Unsupported) else type(output).__name__
            raise CaseError(f"{name} returns {kind} instead of a tensor")
        is_loss = len(self.task.outputs) == 1
        wanted = argument.shape[:1] if is_loss else argument.shape
        if is_loss and output.shape == ():
            sentence = f"{name} returns one number for {len(argument):,} rows"
            raise CaseError(f"{sentence}, but a proof needs the loss of each row: {REMEDY}")
        output = round_as_declared(output, self.task.case.declares, self.task.format_)
        if output.shape != wanted or output.dtype != argument.dtype:
            expected = f"{list(wanted)} in {argument.dtype}"
            raise CaseError(f"{name} returns shape {list(output.shape)} in {output.dtype} instead of {expected}")
        classes = output.detach()[None] if is_loss else self.layout.pairs(output.detach())
        return codes_of(classes.view(torch.int16))

    def _compute_outputs(self, lanes: Sequence[Lane]) -> list[Any]:
        """Return the proved outputs or gradients."""
        function, arguments = self.task.case.function, [lane.argument for lane in lanes]
        call_each = getattr(function, "each", None)
        if call_each is None:
            outputs = [self.layout.call(function, x, *self.labels) for x in arguments]
        else:
            outputs = call_each([(x, *self.labels) for x in arguments], **self.layout.options)
        if not self.task.operation.is_gradient:
            return outputs
        weights = [self.task.operation.cotangent(output, self.layout.pairs) for output in outputs]
        return list(torch.autograd.grad(outputs, arguments, weights))


def codes_of(bits: Tensor) -> Codes:
    """View the bits of 16-bit numbers as codes, in the same memory."""
    codes: Codes = bits.numpy().view(np.uint16)
    return codes


class Sweep:
    """Visits all pairs of one shard of a task."""

    def __init__(self, task: Pairs) -> None:
        self.task, self.space = task, task.pairs
        size = len(self.space.blocks[0])
        reference = task.operation.layouts(task.case.function)[0]
        self.caller = Caller(task, task.layout, size)
        self.other = None if task.layout.name == reference.name else Caller(task, reference, size)
        self.lookup = Lookup(task, size)
        self.products = torch.zeros(3, 3, dtype=torch.int64)
        self.seen = torch.ones(3, size, dtype=torch.float64)
        self.differing = 0
        self.examination = Examination(task)

    def tally(self, shard: int) -> Tally:
        """Visit every pair of the shard."""
        return attempt(self.task.case, lambda: self._build_tally(shard))

    def _build_tally(self, shard: int) -> Tally:
        for block in self.space.blocks:
            self._visit_block(self.space.shard(shard), block)
        moments = tuple(int(self.products[_PLACES[exponents]]) for exponents in MOMENTS)
        differing = None if self.other is None else self.differing
        return self.examination.tally(moments=moments, differing=differing, floor_s=self.caller.spent_s)

    def _visit_block(self, places: range, block: range) -> None:
        """Visit every pair of the shard's first operands with a block of second operands."""
        callers = [self.caller] if self.other is None else [self.caller, self.other]
        second = self.space.second[block.start : block.stop]
        for caller in callers:
            caller.seconds(second)
        numbers, values = self.space.values(self.space.first), self.space.values(second)
        self.lookup.block(values)
        lanes = len(self.caller.lanes)
        with np.errstate(over="ignore"):
            for start in range(0, len(places), lanes):
                self._visit_rows(places[start : start + lanes], numbers, block)

    def _visit_rows(self, places: range, numbers: Array, block: range) -> None:
        """Visit every pair of a few first operands with a block of second operands."""
        firsts = self.space.first[places.start : places.stop : places.step]
        all_codes = self.caller(firsts)
        for lane in self.caller.lanes[: len(places)]:
            self._count(lane)
        if self.other is not None:
            all_codes = [codes.copy() for codes in all_codes]  # an implementation may reuse its output memory
            for codes, new_codes in zip(all_codes, self.other(firsts), strict=True):
                self._compare(codes, new_codes)
        for position, first, codes in zip(places, firsts, all_codes, strict=True):
            failing = self.lookup(np.float32(numbers[position]), codes)
            if len(failing):
                operands = np.stack([np.full(len(failing), first), self.space.second[block.start + failing]])
                positions = np.stack([np.full(len(failing), position), block.start + failing])
                self.examination.add(Suspects(operands, codes.reshape(len(codes), -1)[:, failing], positions))

    def _count(self, lane: Lane) -> None:
        """Count the pairs of a call, as read from the argument's own buffer."""
        self.seen.numpy()[1:].reshape(lane.operands.shape)[...] = codes_of(lane.operands)
        # Exact in float64: a product of codes is below 2^32, and a block has at most 2^14.
        self.products += torch.mm(self.seen, self.seen.T).to(torch.int64)

    def _compare(self, codes: Codes, new_codes: Codes) -> None:
        flat, new_flat = (batch.reshape(len(batch), -1) for batch in (codes, new_codes))
        different = (flat != new_flat).any(0)
        if different.any():
            nan = self._is_nan(flat) & self._is_nan(new_flat)
            self.differing += int(((flat != new_flat) & ~nan).any(0).sum())

    def _is_nan(self, codes: Codes) -> NDArray[np.bool_]:
        return np.isnan(self.space.values(codes))


_PLACES = {(0, 0): (0, 0), (1, 0): (0, 1), (0, 1): (0, 2), (2, 0): (1, 1), (1, 1): (1, 2), (0, 2): (2, 2)}
"""Position of the moments in the product matrix: its rows are ones, first codes and second codes."""


class Lookup:
    """The table in float32, and the buffers for a block of ``size`` pairs."""

    def __init__(self, task: Pairs, size: int) -> None:
        intervals = [spec.interval(task.format_, 0.5) for spec in task.outputs]
        self.is_shared = all(np.array_equal(a, b) for a, b in zip(intervals[0], intervals[-1], strict=True))
        tables = zip(*(_round_inwards(interval) for interval in intervals[: 1 if self.is_shared else 2]), strict=True)
        self.low, self.high = (torch.from_numpy(np.concatenate(ends)) for ends in tables)
        self.arguments = [output.argument for output in task.outputs]
        shape = (len(intervals), size)
        self.index = np.empty(shape, dtype=np.int32)
        self.ends, self.gap = torch.empty(len(intervals) * size), np.empty(shape, dtype=np.float32)
        self.above, self.draw_below = np.empty(shape, dtype=bool), np.empty(shape, dtype=bool)

    def block(self, values: Array) -> None:
        """Set the block of second operands."""
        self.second = values.astype(np.float32)

    def __call__(self, first: np.float32, codes: Codes) -> NDArray[np.int64]:
        """Return the places in the block whose pairs are not certainly correctly rounded."""
        self.index.reshape(codes.shape)[...] = codes
        if not self.is_shared:
            self.index[1] += CODES
        for row, argument in zip(self.gap, self.arguments, strict=True):
            left, right = (first, self.second) if argument is Argument.GAP else (self.second, first)
            np.subtract(left, right, out=row)
            if argument is Argument.MINUS_SIZE:
                np.copysign(row, np.float32(-1.0), out=row)
        np.greater(self.gap, self._gather(self.low), out=self.above)
        np.less(self.gap, self._gather(self.high), out=self.draw_below)
        np.logical_and(self.above, self.draw_below, out=self.above)
        return _NONE if self.above.all() else np.flatnonzero(~self.above.all(0))

    def _gather(self, table: Tensor) -> NDArray[np.float32]:
        torch.index_select(table, 0, torch.from_numpy(self.index).view(-1), out=self.ends)
        gathered: NDArray[np.float32] = self.ends.numpy().reshape(self.index.shape)
        return gathered


_NONE = np.empty(0, dtype=np.int64)


def _round_inwards(interval: Interval) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Round the inner ends to float32, inwards; a strict comparison with a gap rounded to float32 is then certain."""
    with np.errstate(over="ignore"):
        low, high = interval.inner_low.astype(np.float32), interval.inner_high.astype(np.float32)
    return (
        np.where(low < interval.inner_low, np.nextafter(low, np.float32(np.inf)), low),
        np.where(high > interval.inner_high, np.nextafter(high, np.float32(-np.inf)), high),
    )
