"""The text of the records of a survey."""

import math
from collections.abc import Sequence

from harness.record.survey import Accumulator, Breaking, Worst

_SURE = {"exhausted": "first", "monotone": "first of the tried values", "scanned": "first found"}


def how_sure(breaking: Breaking) -> str:
    """Return how sure it is that nothing fails earlier."""
    return _SURE[breaking.certainty] if breaking.value is not None else "holds at all tried values"


def what_happens(breaking: Breaking) -> str:
    """Return the answer of the implementation at a breaking point, and the exact value."""
    if breaking.reason is not None:
        return breaking.reason
    if breaking.actual is None or breaking.expected is None or breaking.deviation is None or breaking.bound is None:
        return "holds to the end of the ray"
    truth = f"expected {breaking.expected:.6g}"
    if not math.isfinite(breaking.actual):
        return f"{breaking.actual}, {truth}"
    if breaking.actual == 0.0 and breaking.expected != 0.0:
        return f"0, {truth}"
    return f"{breaking.actual:.6g}, {truth}: {breaking.deviation:.3g} {breaking.unit}, bound {breaking.bound:.3g}"


def closed_form(breaking: Breaking) -> str:
    """Return the closed form, its value, and whether the breaking point is the one it gives."""
    if breaking.form is None or breaking.form_value is None:
        return ""
    if breaking.agrees:
        return f"{breaking.form} = {breaking.form_value:.10g}"
    return f"DISAGREES with {breaking.form} = {breaking.form_value:.10g}"


def disagreeing(breakings: Sequence[Breaking]) -> list[Breaking]:
    """Return those whose declared closed form gives another number."""
    return [breaking for breaking in breakings if breaking.declared and not breaking.agrees]


def unanswered(breakings: Sequence[Breaking]) -> list[Breaking]:
    """Return those along which the implementation did not answer."""
    return [breaking for breaking in breakings if breaking.reason is not None]


def undeclared(breakings: Sequence[Breaking], worst: Sequence[Worst]) -> list[Breaking | Worst]:
    """Return the undeclared failures, one for each law and dtype."""
    failures: list[Breaking | Worst] = [
        *(breaking for breaking in breakings if breaking.value is not None and not breaking.expected_break),
        *(case for case in worst if case.broken and case.declared is None),
    ]
    first: dict[tuple[str, str, str], Breaking | Worst] = {}
    for failure in failures:
        first.setdefault((failure.case, failure.law, failure.dtype), failure)
    return list(first.values())


def survey_line(breakings: Sequence[Breaking], worst: Sequence[Worst]) -> str:
    """Return the outcome of a survey as one plain sentence."""
    points = sum(breaking.value is not None for breaking in breakings)
    forms = [breaking for breaking in breakings if breaking.declared]
    wrong, broken, silent = disagreeing(breakings), undeclared(breakings, worst), unanswered(breakings)
    parts = [f"{points:,} breaking points on {len(breakings):,} rays", f"{len(worst):,} worst cases"]
    if forms:
        parts.append(f"{len(forms) - len(wrong)} of {len(forms)} declared closed forms agree")
    if broken:
        names = ", ".join(f"{failure.case} {failure.law} [{failure.dtype}]" for failure in broken[:3])
        more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        parts.append(f"undeclared failures: {names}{more}")
    if silent:
        parts.append(f"no answer on {len(silent):,} ray{'' if len(silent) == 1 else 's'}")
    return f"survey: {'; '.join(parts)}"


def summing(accumulator: Accumulator) -> str:
    """Return width and order in words."""
    if accumulator.width is None:
        return "as if exact" if accumulator.order else "in an unknown width"
    if accumulator.order == "nothing lost":
        return f"as if in {accumulator.width} or wider"
    return f"in {accumulator.width} {accumulator.order}"
