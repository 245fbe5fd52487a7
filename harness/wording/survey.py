"""The text of the records of a survey."""

import math
from collections.abc import Sequence

from harness.record.survey import Accumulator, Breaking, RayTrace, Worst
from harness.wording.number import count

_SURE = {"exhausted": "first", "monotone": "first of the tried values", "scanned": "first found"}


def format_certainty(breaking: Breaking) -> str:
    """Return how sure it is that nothing fails earlier."""
    return _SURE[breaking.certainty] if breaking.value is not None else "holds at all tried values"


def format_result(breaking: Breaking) -> str:
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


def format_closed_form(breaking: Breaking) -> str:
    """Return the closed form, its value, and whether the breaking point is the one it gives."""
    if breaking.form is None or breaking.form_value is None:
        return ""
    if breaking.agrees:
        return f"{breaking.form} = {breaking.form_value:.10g}"
    return f"DISAGREES with {breaking.form} = {breaking.form_value:.10g}"


def select_disagreeing(breakings: Sequence[Breaking]) -> list[Breaking]:
    """Return those whose declared closed form gives another number."""
    return [breaking for breaking in breakings if breaking.declared and not breaking.agrees]


def select_unanswered(breakings: Sequence[Breaking]) -> list[Breaking]:
    """Return those along which the implementation did not answer."""
    return [breaking for breaking in breakings if breaking.reason is not None]


def select_undeclared(breakings: Sequence[Breaking], worst: Sequence[Worst]) -> list[Breaking | Worst]:
    """Return the undeclared failures, one for each law and dtype."""
    failures: list[Breaking | Worst] = [
        *(breaking for breaking in breakings if breaking.value is not None and not breaking.expected_break),
        *(case for case in worst if case.broken and case.declared is None),
    ]
    first: dict[tuple[str, str, str], Breaking | Worst] = {}
    for failure in failures:
        first.setdefault((failure.case, failure.law, failure.dtype), failure)
    return list(first.values())


def group_by_case(failures: Sequence[Breaking | Worst]) -> list[list[Breaking | Worst]]:
    """Group failures by case."""
    groups: dict[str, list[Breaking | Worst]] = {}
    for failure in failures:
        groups.setdefault(failure.case, []).append(failure)
    return list(groups.values())


def summarize_failures(failures: Sequence[Breaking | Worst]) -> str:
    """Return the failures of one case: the first law, the number of others, and the dtypes."""
    laws = list(dict.fromkeys(failure.law for failure in failures))
    dtypes = list(dict.fromkeys(failure.dtype for failure in failures))
    suffix = f" and {count(len(laws) - 1, 'more law')}" if len(laws) > 1 else ""
    return f"{failures[0].case} breaks {laws[0]}{suffix} in {', '.join(dtypes)}"


def find_first_loss(traces: Sequence[RayTrace], case: str) -> str:
    """Return the first operation of a case that leaves the range along a recorded ray, and from which parameter on."""
    broken = (trace for trace in traces if trace.case == case and trace.breaks_at is not None)
    for trace in sorted(broken, key=lambda trace: trace.dtype != "float32"):
        call = next(call for call in trace.stations if call.broken)
        if not all(map(math.isfinite, call.given)):
            continue
        for stage in call.stages:
            if not all(map(math.isfinite, stage.values)):
                value = next(number for number in stage.values if not math.isfinite(number))
                text = "NaN" if math.isnan(value) else f"{value:g}"
                return f"{stage.operation} returns {text} from t = {call.t!r} in {trace.dtype}"
    return ""


def survey_line(breakings: Sequence[Breaking], worst: Sequence[Worst]) -> str:
    """Return the outcome of a survey as one plain sentence."""
    points = sum(breaking.value is not None for breaking in breakings)
    forms = [breaking for breaking in breakings if breaking.declared]
    wrong, silent = select_disagreeing(breakings), select_unanswered(breakings)
    broken = select_undeclared(breakings, worst)
    parts = [f"{points:,} breaking points on {len(breakings):,} rays", f"{len(worst):,} worst cases"]
    if forms:
        parts.append(f"{len(forms) - len(wrong)} of {len(forms)} declared closed forms agree")
    if broken:
        parts.append(
            f"undeclared failures: {'; '.join(summarize_failures(failures) for failures in group_by_case(broken))}"
        )
    if silent:
        parts.append(f"no answer on {len(silent):,} ray{'' if len(silent) == 1 else 's'}")
    return f"survey: {'; '.join(parts)}"


def format_summing(accumulator: Accumulator) -> str:
    """Return width and order in words."""
    if accumulator.width is None:
        return "as if exact" if accumulator.order else "in an unknown width"
    if accumulator.order == "nothing lost":
        return f"as if in {accumulator.width} or wider"
    return f"in {accumulator.width} {accumulator.order}"
