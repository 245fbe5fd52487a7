"""The head of a report: the verdict in words, and the subject and the environment of the run."""

import re
from collections.abc import Iterable, Iterator

from harness.record import Audit, Status, early
from harness.wording.finding import sentence
from harness.wording.number import rate, times
from harness.wording.table.step import compare_in_words
from harness.wording.verdict import count_laws, select_failing, verdict_line

from .figures import front as figures
from .figures.audit import NEAR
from .reading import Reading
from .summary import FAILING, breaks, further, list_refuted, since, unknown, wrong_in
from .tables.run import place
from .text import clean, count, cut, listing, workers_in_words

MAX_CHARACTERS = 260
"""Maximum length of a finding in the headline."""


def headline(reading: Reading) -> str:
    """Return the verdict in words: the first finding and its remedy, or that there is none."""
    audited = [finding for audit in reading.audits for finding in audit.unexpected]
    failures = wrong_in(reading)
    rest = [f"{group.first.case}: {group.sentence}" for group in breaks(unknown(reading).breakings)]
    rest += [*further(reading, grouped=True), *(text for proof in reading.proofs for text in list_refuted(proof))]
    rest += [finding.sentence for finding in reading.gate.findings if finding.outcome in FAILING]
    if failures:
        first = failures[0]
        # The card below names the law; a title says only what happened.
        what = re.sub(r"^\w+ is broken: ", "", sentence(first).splitlines()[0].rstrip("."))
        text = cut(what, limit=MAX_CHARACTERS)
        named = text if text.startswith(first.case) else f"{first.case}: {text}"
        return f"{named}. {_count_rest(reading, len(failures) - 1, len(rest) + len(audited))}"
    number = len(audited) + len(rest)
    more = f" {count(number - 1, 'more finding')} below." if number > 1 else ""
    if audited:
        line = audited[0]
        text = cut(f"{place(line)}: {line.sentence.rstrip('.')}", limit=MAX_CHARACTERS)
        return f"{text}: {line.remedy.rstrip('.')}.{more}"
    return f"{cut(rest[0].rstrip('.'), limit=MAX_CHARACTERS)}.{more}" if rest else _report_success(reading)


def _count_rest(reading: Reading, causes: int, rest: int) -> str:
    """Return a sentence on the other findings, or that the rest holds."""
    if causes + rest:
        return f"{count(causes + rest, 'more finding')} below."
    failed, ran = count_laws(select_failing(reading.verdicts)), _count_laws(reading)
    lost = count_laws(verdict for verdict in reading.verdicts if verdict.status is Status.LOST)
    if ran <= failed + lost:
        return "No checked law holds."
    digits = f"{count(lost, 'law')} {'loses' if lost == 1 else 'lose'} digits; all" if lost else "All"
    return f"{digits} other laws hold."


def _report_success(reading: Reading) -> str:
    """Return that nothing is wrong, and the number of checks."""
    if early(reading.head.work, "check") or not _count_laws(reading):
        return _report_unchecked(reading)
    cases = list(dict.fromkeys(verdict.case for verdict in reading.verdicts))
    declared_count = count_laws(verdict for verdict in reading.verdicts if verdict.status is Status.EXPECTED)
    failures = f" ({declared_count:,} fail as declared)" if declared_count else ""
    defects, laws = "new defects" if declared_count else "defects", count(_count_laws(reading), "law")
    if len(cases) == 1:
        return f"{cases[0]}: no {defects} in {laws}{failures}."
    return f"No {defects}: {len(cases):,} implementations, {laws}{failures}."


def _report_unchecked(reading: Reading) -> str:
    if reading.verdicts:
        line = verdict_line(reading.verdicts, early(reading.head.work, "check"))
        words = line.removeprefix("verdict: ").partition(" (")[0]
        return f"{words[:1].upper()}{words[1:]}."
    if reading.survey:
        return f"{count(len(reading.survey.breakings), 'ray')} surveyed: no undeclared failures."
    if reading.audits:
        steps = [audit for audit in reading.audits if audit.what_if is None]
        operations = sum(audit.operations for audit in steps)
        text = f"{count(len(steps), 'training step')} audited: no defect in {operations:,} operations"
        return f"{text}{_find_nearest(steps)}."
    if reading.proofs:
        return f"{count(len(reading.proofs), 'proof')}: no law is broken on any visited input."
    return _report_measurement(reading) or "No law was checked in this run."


def _find_nearest(audits: Iterable[Audit]) -> str:
    """Return the line that is about to break, if any."""
    near = [line for audit in audits for line in audit.headroom if 1.0 <= line.factor < NEAR]
    if not near:
        return ""
    first = min(near, key=lambda line: line.factor)
    quantity = f"{first.operation} {first.quantity}"
    return f", but {place(first)} is close to breaking: its {quantity} has only {times(first.factor)} headroom"


def _report_measurement(reading: Reading) -> str:
    """Return the main result of a run that only measured: the time budget of its loader, or the speed of its steps."""
    budgets, loaders = reading.frames.budgets, reading.frames.loaders
    if len(loaders):
        fastest = loaders.sort_values("samples_per_s", ascending=False, kind="stable").iloc[0]
        workers = workers_in_words(int(fastest["workers"]))
        text = f"{fastest['case']} delivers up to {rate(fastest['samples_per_s'])} samples per second with {workers}"
        text += f" at batch size {fastest['batch_size']:,}"
        case_budgets = budgets[budgets["case"] == fastest["case"]].sort_values("workers", kind="stable")
        name, *further = str(case_budgets["sentence"].iloc[0]).split("; ") if len(case_budgets) else [""]
        if name and case_budgets["batch_size"].iloc[0] != fastest["batch_size"]:
            name = f"at batch size {case_budgets['batch_size'].iloc[0]:,}, {name}"
        return clean(cut("; ".join(filter(None, [f"{text}: {name}" if name else text, *further[:1]])), limit=400)) + "."
    visible = figures.visible_steps(reading.frames.steps)
    for each in reading.comparisons:
        if each.case == visible["case"].iloc[0] and (sentence_ := compare_in_words(each)):
            return clean(f"{each.case}: {sentence_}.")
    return clean(figures.compare_steps(visible)[0]) if len(visible) else ""


def _count_laws(reading: Reading) -> int:
    return count_laws(verdict for verdict in reading.verdicts if verdict.status is not Status.SKIPPED)


def origin(reading: Reading) -> Iterator[tuple[str, str, str]]:
    """Yield the subject of the run, its environment and its changes: labels, texts, sheets."""
    if reading.verdicts:
        yield "Checks", _count_amount(reading), "laws"
    if reading.audits:
        yield "Audits", listing([_report_audit(audit) for audit in reading.audits], at_most=3), "audit"
    frames = reading.frames
    kinds = (("training step", frames.steps), ("data loader", frames.loaders), ("single call", frames.operations))
    if timed := [count(frame["case"].nunique(), kind) for kind, frame in kinds if len(frame)]:
        yield "Timings", listing(timed), ""
    places = dict.fromkeys(subject.place for subject in reading.head.subjects.values())
    if outer := [place for place in places if not any(place.startswith(f"{parent}/") for parent in places)]:
        yield "Source", listing(outer, at_most=3), ""
    if commands := [cut(command, limit=160) for command in dict.fromkeys(reading.head.commands)]:
        further = [f"{len(commands) - 2} more"] if len(commands) > 2 else []
        yield "Command", "; ".join([*commands[:2], *further]), ""
    environment = reading.head.environment
    machine = f"{environment.processor}, {environment.accelerator or 'no accelerator'}, torch {environment.torch}"
    yield "Machine", f"{machine}; {reading.head.created}", "environment"
    for sentence_ in since(reading):
        yield "Changes", sentence_, "runs"
    statuses, terms = {verdict.status for verdict in reading.verdicts}, []
    if statuses & {Status.EXPECTED, Status.UNEXPECTED}:
        terms.append("expected failure: declared in the code with its reason")
    if Status.LOST in statuses:
        terms.append("lost digits: as accurate as most careful code, but a more accurate algorithm exists")
    if reading.survey and reading.survey.breakings:
        terms.append("ray: a family of inputs with one parameter t, such as (t, 0, ..., 0)")
    if terms:
        yield "Terms", "; ".join(terms), ""


def _report_audit(audit: Audit) -> str:
    """Return a training step with its purpose, and the extent of its audit."""
    expected = f", expected to show {listing([kind.value for kind in audit.expected])}" if audit.expected else ""
    *_, module, function = ["", *audit.case.split(".")]
    return f"{module}.{function} ({count(audit.operations, 'operation')}{expected})".removeprefix(".")


def _count_amount(reading: Reading) -> str:
    """Return the number of implementations, operations, laws and examples, and the dtypes."""
    verdicts = reading.verdicts
    cases, contracts = ({getattr(verdict, name) for verdict in verdicts} for name in ("case", "contract"))
    subject = next(iter(cases)) if len(cases) == 1 else count(len(cases), "implementation")
    as_ = next(iter(contracts)) if len(contracts) == 1 else count(len(contracts), "operation")
    dtypes = list(dict.fromkeys(verdict.dtype for verdict in verdicts))
    kinds = [("data loader", reading.frames.loaders), ("training step", reading.frames.steps)]
    among = [count(number, kind) for kind, frame in kinds if (number := len(cases & set(frame["case"])))]
    if len(cases) > 1 and among:
        subject = f"{subject} (including {listing(among)})"
    examples = sum(verdict.examples for verdict in verdicts)
    drawn = f"{count(count_laws(verdicts), 'law')}, {count(examples, 'example')}"
    link = "as" if len(cases) == 1 and len(contracts) == 1 else "of"
    return clean(f"{subject} {link} {as_} in {listing(dtypes)}: {drawn}")
