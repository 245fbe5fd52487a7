"""Findings about updates that a format loses: of weights, of optimizer state, of buffers and averages."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from harness.auditor.change import FAR, Update
from harness.auditor.end import Ends
from harness.auditor.line import place_and_caller
from harness.auditor.naming import known_as
from harness.exact.operator import NARROW, SMALLEST, UNIT, dtype_name
from harness.record.audit import AuditFinding, AuditKind

STILL = 0.5
"""Minimum lost share of an update, by elements and by norm, for a finding."""


def lost_updates(updates: Sequence[Update], ends: Ends) -> Iterator[AuditFinding]:
    """Yield a finding for each line and kind of lost update."""
    groups: dict[tuple[tuple[str, int], bool, str], list[Update]] = defaultdict(list)
    for update in updates:
        is_kept = update.leaf is not None and update.leaf in ends.compensated
        if not is_kept and _is_lost(update):
            groups[(update.line.key, update.leaf is not None, update.operation)].append(update)
    for group in groups.values():
        yield _finding(group, ends)


def _is_lost(update: Update) -> bool:
    """Whether most of an update is lost; for an average whether it does not move, or stops far from its target."""
    is_still = update.lost > STILL and update.still > STILL * update.wanted
    if update.gap is not None:
        return update.stops_at > FAR and (is_still or update.gap > FAR)
    return is_still


def _finding(updates: Sequence[Update], ends: Ends) -> AuditFinding:
    first = updates[0]
    buffers = list(dict.fromkeys(update.buffer for update in updates if update.buffer))
    names = [ends.name(update.leaf) for update in updates if update.leaf is not None]
    of_weights = [f"the update of {name}" for name in dict.fromkeys(names)]
    return AuditFinding(
        **place_and_caller(first.line),
        kind=AuditKind.UPDATE,
        sentence=_sentence(updates, ends, buffers),
        remedy=_remedy(first),
        operation=known_as(first.operation),
        dtype=dtype_name(first.dtype),
        reaches=(*of_weights, *(f"the buffer {name}" for name in buffers)),
        times=len(updates),
    )


def _sentence(updates: Sequence[Update], ends: Ends, buffers: Sequence[str]) -> str:
    first, whose = updates[0], f"buffer {buffers[0]}" if buffers else "average"
    if first.gap is not None:
        return (
            f"the {whose} does not reach its target: a step covers {first.share:.1g} of the distance, and "
            f"{dtype_name(first.dtype)} rounds that away within {100 * first.stops_at:.3g} % of its size"
        )
    share = sum(update.still for update in updates) / sum(update.wanted for update in updates)
    still, updated = {update.leaf for update in updates}, len(ends.updated)
    is_parameter = first.leaf is not None
    what = (
        "weights"
        if is_parameter
        else f"entries of the {whose}"
        if buffers
        else "entries of an average or of the optimizer's state"
    )
    where = f" in {len(still):,} of {updated:,} tensors" if is_parameter and len(still) < updated else ""
    return f"{100 * share:.0f} % of the {what}{where} do not change: {_why(max(updates, key=lambda one: one.still))}"


def _why(update: Update) -> str:
    name = dtype_name(update.dtype)
    if update.headroom > 2:
        return f"they are too small for {name}, whose smallest positive number is {SMALLEST[update.dtype]:.3g}"
    what = "the decay" if "mul" in update.operation else "the update"
    return f"{what} is {update.ratio:.1e} of their size, but {name} resolves only {2 * UNIT[update.dtype]:.1e}"


def _remedy(update: Update) -> str:
    if update.dtype not in NARROW:
        return "use a smaller decay, so that a step is more than the format resolves, or keep the average in float64"
    if update.buffer:
        return "keep the buffers in float32 (`.bfloat16()` and `.half()` convert them too), or let them move faster"
    return "keep weights and optimizer state in float32 (or use stochastic rounding, or keep the remainder)"
