"""What the records of a survey say in words."""

import math
from collections.abc import Sequence

from harness.record.survey import Accumulator, Breaking, Worst

_SURE = {"exhausted": "first", "monotone": "first of those tried", "scanned": "first found"}


def how_sure(found: Breaking) -> str:
    """Return how sure it is that nothing fails earlier."""
    return _SURE[found.certainty] if found.value is not None else "holds where tried"


def what_happens(found: Breaking) -> str:
    """Return what the implementation answers at a breaking point, and what is true."""
    if found.reason is not None:
        return found.reason
    if found.actual is None or found.expected is None or found.deviation is None or found.bound is None:
        return "holds to the end of the ray"
    truth = f"where {found.expected:.6g} is true"
    if not math.isfinite(found.actual):
        return f"{found.actual} {truth}"
    if found.actual == 0.0 and found.expected != 0.0:
        return f"0 {truth}"
    return f"{found.actual:.6g} {truth}: {found.deviation:.3g} {found.unit}, bound {found.bound:.3g}"


def closed_form(found: Breaking) -> str:
    """Return the closed form, its value, and whether the breaking point is the one it gives."""
    if found.form is None or found.form_value is None:
        return ""
    if found.agrees:
        return f"{found.form} = {found.form_value:.10g}"
    return f"DISAGREES with {found.form} = {found.form_value:.10g}"


def disagreeing(breakings: Sequence[Breaking]) -> list[Breaking]:
    """Return those whose declared closed form gives another number."""
    return [found for found in breakings if found.declared and not found.agrees]


def unanswered(breakings: Sequence[Breaking]) -> list[Breaking]:
    """Return those along which the implementation did not answer."""
    return [found for found in breakings if found.reason is not None]


def undeclared(breakings: Sequence[Breaking], worst: Sequence[Worst]) -> list[Breaking | Worst]:
    """Return what is broken although the case does not declare it, one for each law and dtype."""
    found: dict[tuple[str, str, str], Breaking | Worst] = {}
    for one in breakings:
        if one.value is not None and not one.expected_break:
            found.setdefault((one.case, one.law, one.dtype), one)
    for other in worst:
        if other.broken and other.declared is None:
            found.setdefault((other.case, other.law, other.dtype), other)
    return list(found.values())


def survey_line(breakings: Sequence[Breaking], worst: Sequence[Worst]) -> str:
    """Return the outcome of a survey as one plain sentence."""
    points = sum(found.value is not None for found in breakings)
    forms = [found for found in breakings if found.declared]
    wrong, broken, silent = disagreeing(breakings), undeclared(breakings, worst), unanswered(breakings)
    parts = [f"{points:,} breaking points on {len(breakings):,} rays", f"{len(worst):,} worst cases"]
    if forms:
        parts.append(f"{len(forms) - len(wrong)} of {len(forms)} declared closed forms agree")
    if broken:
        names = ", ".join(f"{one.case} {one.law} [{one.dtype}]" for one in broken[:3])
        more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        parts.append(f"broken and not declared: {names}{more}")
    if silent:
        parts.append(f"no answer on {len(silent):,}")
    return f"survey: {'; '.join(parts)}"


def summing(found: Accumulator) -> str:
    """Return width and order in words."""
    if found.width is None:
        return "as if exactly" if found.order else "in a width that does not show"
    return f"as if in {found.width} or wider" if found.order == "nothing lost" else f"in {found.width} {found.order}"
