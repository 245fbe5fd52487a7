"""Bounds that became looser: a looser bound finds less, and no law would say so.

A run stores the typical bound of each verdict, and a digest of its inputs. Inputs are the same
on every processor, so bounds are compared between machines wherever the digests agree.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from harness.gate.baseline import Held
from harness.gate.snapshot import Figures, Snapshot
from harness.record import Gate, GateFinding, Outcome, Status
from harness.wording.number import count

LOOSER = 1.1
"""Factor from which on a bound counts as looser; a smaller one is rounding in the last of three digits."""


OF_SEVERAL = {"any_cotangent", "any_layout", "any_mode", "any_rank"}
"""Laws that keep the bound of the worst of several calls; which call is the worst depends on the kind of machine."""

UPDATE = "`harness gate --update` adds them"


class Grown(NamedTuple):
    """A bound that became looser."""

    case: str
    dtype: str
    was: float
    now: float

    @property
    def factor(self) -> float:
        """Ratio of the new bound to the old one; infinite if the old one admitted nothing."""
        return self.now / self.was if self.was else float("inf")


def loosened(both: Sequence[tuple[Held, Snapshot]]) -> Iterator[GateFinding]:
    """Yield a finding for each law whose bound became looser, and one for bounds that cannot be compared."""
    grown: dict[tuple[str, str], list[Grown]] = {}
    unknown, compared, other_inputs, of_several = 0, 0, 0, 0
    for held, here in both:
        was, now = held.snapshot.figures(), here.figures()
        unknown += _is_unknown(held.snapshot, here)
        for law, dtype in sorted(was.keys() & now.keys()):
            before, after = was[law, dtype], now[law, dtype]
            if not _have_bounds(before, after):
                continue
            if before.inputs != after.inputs:
                other_inputs += 1
                continue
            if law in OF_SEVERAL and not held.figures:
                of_several += 1
                continue
            compared += 1
            if (after.bound or 0.0) > LOOSER * (before.bound or 0.0):
                one = Grown(here.case, dtype, before.bound or 0.0, after.bound or 0.0)
                grown.setdefault((here.contract, law), []).append(one)
    for (contract, law), several in grown.items():
        sentence = f"The bound of {contract} {law} {_by(several)}: a looser bound finds less."
        yield _finding(Outcome.REGRESSED, sentence, law)
    if unknown:
        cases = count(unknown, "case")
        sentence = f"The bounds of {cases} are not compared: the baseline does not record them; {UPDATE}."
        yield _finding(Outcome.INCONCLUSIVE, sentence)
    if of_several:
        sentence = (
            f"The bounds of {of_several:,} verdicts on {', '.join(sorted(OF_SEVERAL))} are not compared: "
            "they depend on the call that is the worst on a kind of machine."
        )
        yield _finding(Outcome.INCONCLUSIVE, sentence)
    if other_inputs:
        sentence = (
            f"The bounds of {other_inputs:,} of {compared + other_inputs:,} verdicts are not compared: "
            f"their inputs differ from the baseline's; {UPDATE}."
        )
        yield _finding(Outcome.INCONCLUSIVE, sentence)


def _finding(outcome: Outcome, sentence: str, law: str = "") -> GateFinding:
    return GateFinding(gate=Gate.NUMERICS, case="", subject=law, outcome=outcome, sentence=sentence)


def _is_unknown(old: Snapshot, here: Snapshot) -> bool:
    """Whether the run has bounds that the baseline did not keep, or not with their inputs."""
    known, now = ({figures.inputs for figures in one.figures().values()} for one in (old, here))
    return known == {None} and now != {None}


def _have_bounds(was: Figures, now: Figures) -> bool:
    """Whether both have a bound and its inputs; if a law breaks, the implementation decides which inputs are tried."""
    both_hold = was.status is now.status is Status.HOLDS
    return both_hold and None not in (was.bound, now.bound, was.inputs, now.inputs)


def _by(several: list[Grown]) -> str:
    """Describe the growth of the bounds of a law, and the cases."""
    most = max(several, key=lambda one: one.factor)
    grew = "was doubled" if 1.9 < most.factor < 2.1 else f"grew by a factor of {most.factor:.3g}"
    if not most.was:
        grew = "was zero and is now positive"
    where = count(len({one.case for one in several}), "case")
    return f"{grew}, from {most.was:.3g} to {most.now:.3g} in {most.case} [{most.dtype}], and in {where} in total"
