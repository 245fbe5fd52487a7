"""Bounds held from above: one that grew finds less, and no law would say so, since a looser one is kept as well.

What a run keeps of the bounds of a verdict is their geometric mean over its examples. It depends on the inputs and on
nothing that the implementation or the machine does, so that it is compared wherever the same were tried.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from harness.gate.standing import Figures, Standing
from harness.record import Gate, GateFinding, Outcome, Status
from harness.record.text import count

LOOSER = 1.1
"""Factor above which a bound counts as different; smaller changes are rounding of the third digit."""


UPDATE = "`harness gate --update` adds them"


class Grown(NamedTuple):
    """A bound that grew."""

    case: str
    dtype: str
    was: float
    now: float

    @property
    def factor(self) -> float:
        """How much looser it is; infinite where nothing was admissible."""
        return self.now / self.was if self.was else float("inf")


def loosened(both: Sequence[tuple[Standing, Standing]]) -> Iterator[GateFinding]:
    """Yield a finding on each law whose bound grew, over cases and dtypes, and one on bounds that are not known.

    Parameters
    ----------
    both
        What is known of each case, and what a run says of it.
    """
    grown: dict[tuple[str, str], list[Grown]] = {}
    for old, here in both:
        was, now = old.figures(), here.figures()
        for law, dtype in sorted(was.keys() & now.keys()):
            if _is_looser(before := was[law, dtype], after := now[law, dtype]):
                one = Grown(here.case, dtype, before.bound or 0.0, after.bound or 0.0)
                grown.setdefault((here.contract, law), []).append(one)
    for (contract, law), several in grown.items():
        sentence = f"The bound of {contract} {law} {_by(several)}: the law is now less sensitive."
        yield GateFinding(gate=Gate.NUMERICS, case="", subject=law, outcome=Outcome.REGRESSED, sentence=sentence)
    if unknown := sum(_is_unknown(old, here) for old, here in both):
        cases = count(unknown, "case")
        sentence = f"The bounds of {cases} are not compared, because the baseline is too old to contain them; {UPDATE}."
        yield GateFinding(gate=Gate.NUMERICS, case="", subject="", outcome=Outcome.INCONCLUSIVE, sentence=sentence)


def _is_unknown(old: Standing, here: Standing) -> bool:
    """Whether the baseline has no bound of a case that the run has bounds of."""
    known, now = ({figures.bound for figures in one.figures().values()} for one in (old, here))
    return known == {None} and now != {None}


def _is_looser(was: Figures, now: Figures) -> bool:
    """Whether the same inputs admit more; where a law breaks, it is the implementation that decides what is tried."""
    if was.bound is None or now.bound is None or not was.status is now.status is Status.HOLDS:
        return False
    same = (was.examples, was.rows) == (now.examples, now.rows)
    return same and now.bound > LOOSER * was.bound


def _by(several: list[Grown]) -> str:
    """How much it grew, and where."""
    most = max(several, key=lambda one: one.factor)
    grew = "was doubled" if 1.9 < most.factor < 2.1 else f"grew by a factor of {most.factor:.3g}"
    if not most.was:
        grew = "was zero and is now positive"
    where = count(len({one.case for one in several}), "case")
    return f"{grew}, from {most.was:.3g} to {most.now:.3g} in {most.case} [{most.dtype}], and in {where} in total"
