"""Judge a function that the harness has not seen: whether it is found or flagged, and whether the fault is named."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Literal

from unseen.specimen import Unseen

import harness
from harness.findings.merging import findings
from harness.record import Status, Verdict
from harness.wording.finding import list_details, sentence, title_of

DEFECTS = (Status.BROKEN, Status.ERROR)

Result = Literal["named rightly", "named falsely", "found, unnamed", "missed", "not flagged", "flagged"]


def judge(one: Unseen) -> Sequence[Verdict]:
    """Check a function in float32, with few examples: the value first, and all laws if it holds."""
    check = partial(harness.check, one.function, dtypes=["float32"], corpora=(), examples=EXAMPLES, **one.question)
    value = [] if one.mode or not one.says else check(laws=["value"])
    if one.mode in ON_REQUEST:
        value = check(laws=["compile_agrees", "vmap_agrees"])
    return value if findings(value, DEFECTS) else check()


ON_REQUEST = ("compile", "vmap")
"""Modes that are checked on request only."""

EXAMPLES = 8
"""Examples for each law, which show all of these mistakes that any number shows."""


def verdict_on(one: Unseen, verdicts: Sequence[Verdict], *, is_wrong: bool) -> Result:
    """Return how a function was judged; a sentence that names something else than the mistake is false."""
    found = findings([verdict for verdict in verdicts if verdict.law not in one.loses.split()], DEFECTS)
    if not found:
        return "missed" if is_wrong else "not flagged"
    if not is_wrong:
        return "flagged"
    if one.mode:
        texts = [f"{', '.join(finding.laws)}: {sentence(finding)}" for finding in found]
        return "named rightly" if any(re.search(one.says, text) for text in texts) else "missed"
    first = found[0]
    is_named = first.named is not None or first.event is not None
    if re.search(one.says, sentence(first)) and is_named:
        return "named rightly"
    return "named falsely" if is_named else "found, unnamed"


def first_sentences(verdicts: Sequence[Verdict]) -> list[str]:
    """Return the sentences of the findings, and the advice of those without a name."""
    lines = []
    for one in findings(verdicts, DEFECTS):
        advice = "; ".join(text for label, text in list_details(one) if label == "look at")
        lines.append(
            f"{title_of(one)} {', '.join(one.laws[:3])}: {sentence(one)[:200]} {f'[{advice[:90]}]' if advice else ''}"
        )
    return lines
