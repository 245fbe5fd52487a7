"""The sections of the page, in the order in which a reader asks: what broke, what was to break, and then the rest."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from harness.record import Status, Verdict, broken_blocks, failing, violation_block
from reports import summary
from reports.figure import Figure
from reports.figures.accuracy import accuracy_against_speed
from reports.figures.balance import waiting
from reports.figures.gate import evidence
from reports.figures.image import Grid, grid
from reports.figures.law import room
from reports.figures.loader import throughput
from reports.figures.loader_scaling import scaling
from reports.figures.overfitting import overfitting
from reports.figures.step import step_times
from reports.figures.step_ratio import floor, phases, step_ratios
from reports.figures.survey import DTYPE, histogram, magnitudes
from reports.figures.training import training_curves
from reports.figures.trend import trend
from reports.figures.vectorization import ratios, speedup
from reports.part import Block, Findings, Legend, Note, Tally
from reports.reading import Reading
from reports.table import Table
from reports.tables import balance, benchmark, environment, gate, law, loader, proof, run, step, survey, training
from reports.tables.matrix import MEANINGS, SYMBOLS, Matrix, matrices
from reports.text import count, cut

Part = Note | Findings | Tally | Legend | Block | Table | Figure | Matrix | Grid

MOST_BLOCKS = 40
"""More failures than these are named in sentences, but not shown block by block."""

MOST_CHARACTERS = 4000
"""More of one block is cut."""


READING = (
    "In each cell, one sign for each dtype, in the order of the heading: 64 is float64, 32 float32, b16 bfloat16, "
    "16 float16. Pointing at a sign shows the worst deviation and its bound."
)
"""How a cell of the law matrix is read."""


@dataclass(frozen=True)
class Section:
    """One section: identifier, title and parts; a run without such records has one sentence in their place."""

    name: str
    title: str
    parts: tuple[Part, ...]


def sections(reading: Reading) -> tuple[Section, ...]:
    """Return every section of a report, those without records included."""
    return tuple(Section(name, title, build(reading) or (Note(absence),)) for name, title, build, absence in _CONTENTS)


def _attention(reading: Reading) -> tuple[Part, ...]:
    """Return the tally, a sentence on each finding, and the block of each failure."""
    found = failing(reading.verdicts)
    shown = {f"failure-{number}": verdict for number, verdict in enumerate(found[:MOST_BLOCKS], 1)}
    blocks = [
        Block(name, verdict.law, _text(verdict), folded=False) for name, verdict in shown.items() if _has_block(verdict)
    ]
    items = [(summary.finding(verdict), name if _has_block(verdict) else "") for name, verdict in shown.items()]
    if len(found) > len(shown):
        items.append((f"{count(len(found) - len(shown), 'further failure')} in the law matrix below.", "laws"))
    items += [(sentence, "proofs") for one in reading.proofs for sentence in summary.refuted(one)]
    items += [(sentence, "survey") for sentence in summary.surveyed(reading.survey)]
    items += [(sentence, "changes") for sentence in summary.since(reading)]
    items += [(one.sentence, "gate") for one in reading.gate.findings if one.outcome in gate.ORDER[:2]]
    items += [(remark, "") for remark in summary.remarks(reading.head)]
    return (_tally(reading), Findings(tuple(items), _calm(reading)), *blocks)


def _calm(reading: Reading) -> str:
    """Return what stands where no finding needs attention."""
    if reading.verdicts or reading.survey or reading.proofs:
        return "Nothing: every law holds or fails as declared."
    return "No law was checked in this run."


def _tally(reading: Reading) -> Tally:
    """Return the number of verdicts of each status, and of what ran."""
    counts = Counter(verdict.status for verdict in reading.verdicts)
    statuses = [(f"{counts[status]:,}", _word(status, counts[status]), status.fails) for status in Status]
    examples = sum(verdict.examples for verdict in reading.verdicts)
    rows = sum(verdict.rows for verdict in reading.verdicts)
    return Tally((*statuses, (f"{examples:,}", "examples", False), (f"{rows:,}", "rows checked", False)))


def _word(status: Status, number: int) -> str:
    """Return the word for a number of verdicts."""
    several = {Status.HOLDS: "hold", Status.ERROR: "errors"}
    return status.value if number == 1 else several.get(status, status.value)


def _changes(reading: Reading) -> tuple[Part, ...]:
    """Return what changed since the run before."""
    if reading.changes is None:
        return ()
    before = reading.before.name
    return (run.changes(reading.changes, before=before, same_machine=reading.same_machine),)


def _runs(reading: Reading) -> tuple[Part, ...]:
    """Return the runs side by side, and the trend over them."""
    return (run.side_by_side(reading.digests), trend(reading.digests)) if reading.digests else ()


def _gate(reading: Reading) -> tuple[Part, ...]:
    """Return what the gate found, and what its verdicts on time rest on."""
    found = reading.gate
    if not found.findings:
        return ()
    timed = any(one.arm == "candidate" for one in found.comparisons)
    rest = (evidence(found.comparisons, found.slices), gate.comparisons(found.comparisons)) if timed else ()
    return (gate.findings(found.findings), *rest)


def _declared(reading: Reading) -> tuple[Part, ...]:
    """Return the declared failures that were found, with a counterexample of each."""
    witnesses: dict[str, list[Verdict]] = {}
    for group in law.declared_groups(reading.verdicts):
        witnesses.setdefault(group[0].case, []).append(law.representative(group))
    blocks = [
        Block(f"declared-{number}", f"{case}: {count(len(found), 'law')}", "\n\n".join(map(_text, found)), folded=True)
        for number, (case, found) in enumerate(witnesses.items(), 1)
    ]
    note = Note("The smallest counterexample of each, with its replay and what to look at:", folded=True)
    return (law.declared(reading.verdicts), note, *blocks) if witnesses else ()


def _laws(reading: Reading) -> tuple[Part, ...]:
    """Return the contracts at a glance, the room below the bounds, and the matrices."""
    if not reading.verdicts:
        return ()
    verdicts = reading.frames.verdicts
    legend = Legend(tuple((SYMBOLS[status], status.value, MEANINGS[status]) for status in Status), READING)
    measured = (room(verdicts), law.closest(verdicts)) if verdicts["ratio"].notna().any() else ()
    return (law.contracts(verdicts), law.graded(reading.verdicts), *measured, legend, *matrices(reading.verdicts))


def _proofs(reading: Reading) -> tuple[Part, ...]:
    """Return what was visited input by input, the kernels, the laws that held, and what is broken."""
    if not reading.proofs:
        return ()
    blocks = [
        Block(f"proof-{number}", text.partition("\n")[0], cut(text, most=MOST_CHARACTERS), folded=True)
        for number, text in enumerate(broken_blocks(reading.proofs)[:MOST_BLOCKS], 1)
    ]
    return (proof.proofs(reading.proofs), proof.kernels(reading.proofs), proof.held(reading.proofs), *blocks)


def _survey(reading: Reading) -> tuple[Part, ...]:
    """Return breaking points, deviations against magnitude and by size, the worst, and how sums are formed."""
    found = reading.frames
    parts: list[Part] = []
    if len(found.breakings):
        declared = found.breakings["declared"].any()
        parts += [survey.breaking_points(found.breakings)] if declared else []
        parts += [survey.every_point(found.breakings)]
    if (found.profiles["dtype"] == DTYPE).any():
        parts += [magnitudes(found.profiles, found.breakings), histogram(found.histograms)]
    parts += [survey.worst(found.worst)] if len(found.worst) else []
    parts += [survey.accumulators(found.accumulators)] if len(found.accumulators) else []
    return (*parts, *([survey.ways(found.search)] if len(found.search) else []))


def _steps(reading: Reading) -> tuple[Part, ...]:
    """Return step times, ratios, distances to the floor and phases, as far as the run has them."""
    found, accelerator = reading.frames, reading.head.environment.accelerator
    frame, parts = found.steps, list[Part]()
    if len(frame):
        parts += [step_times(frame, accelerator=accelerator)]
        parts += [*_in_turns(reading), step.steps(frame, accelerator=accelerator)]
        parts += [step.crossovers(frame)] if (frame["device"] != "cpu").any() else []
    parts += [step.agreement(found.agreement)] if len(found.agreement) else []
    return tuple(parts)


def _in_turns(reading: Reading) -> tuple[Part, ...]:
    """Return what only steps have that were measured in turns; a sentence where they were not."""
    found = reading.frames
    if found.steps["floor_s"].isna().all():
        return (
            Note("These steps were timed one after the other: no ratios, no floor and no phases are known of them."),
        )
    figures = [step_ratios(found.step_ratios)] if len(found.step_ratios) else []
    by_phase = [phases(found.phases)] if len(found.phases) else []
    tables = (step.ratios(found.step_ratios, found.steps), step.floors(found.steps), step.equality(found.steps))
    apart = [step.phases(found.phases, found.steps)] if len(found.phases) else []
    return (*figures, floor(found.steps), *by_phase, *tables, *apart)


def _loaders(reading: Reading) -> tuple[Part, ...]:
    """Return loader throughput as heat map and tables."""
    frame, source = reading.frames.loaders, reading.head.data
    if frame.empty:
        return ()
    shares = (loader.shares(frame, source),) if frame["share"].notna().any() else ()
    lines = (scaling(frame, source),) if frame["workers"].nunique() > 1 else ()
    tables = (loader.best_loaders(frame, source), *shares, loader.loaders(frame, source))
    return (throughput(frame, source), *lines, *tables)


def _balance(reading: Reading) -> tuple[Part, ...]:
    """Return whether loading keeps ahead of the step, and how near the tuner comes to the best loader."""
    frame, tuned, source = reading.frames.balance, reading.frames.tuner, reading.head.data
    kept = (waiting(frame, source), balance.balance(frame, source)) if len(frame) else ()
    return (*kept, *((balance.tuner(tuned),) if len(tuned) else ()))


def _operations(reading: Reading) -> tuple[Part, ...]:
    """Return how accurate and how fast the implementations of each contract are."""
    frame = reading.frames.operations
    return (accuracy_against_speed(frame), benchmark.operations(frame)) if len(frame) else ()


def _vectorization(reading: Reading) -> tuple[Part, ...]:
    """Return the gain of vectorisation."""
    return (speedup(reading.frames.vectorization),) if ratios(reading.frames.vectorization) else ()


def _screening(reading: Reading) -> tuple[Part, ...]:
    """Return how fast rows are checked."""
    frame = reading.frames.screening
    return (benchmark.screening(frame),) if len(frame) else ()


def _training(reading: Reading) -> tuple[Part, ...]:
    """Return the curves of each experiment and where they ended."""
    frame, source = reading.frames.epochs, reading.head.data
    return (*training_curves(frame, source), training.results(frame, source)) if len(frame) else ()


def _estimates(reading: Reading) -> tuple[Part, ...]:
    """Return learned against true parameters."""
    return (training.estimates(reading.frames.estimates),) if len(reading.frames.estimates) else ()


def _overfitting(reading: Reading) -> tuple[Part, ...]:
    """Return the experiments in which the held-out loss turns up."""
    return overfitting(reading.frames.epochs, reading.head.data)


def _images(reading: Reading) -> tuple[Part, ...]:
    """Return the image grid."""
    return (grid(reading.images, reading.head.data),) if reading.images else ()


def _environment(reading: Reading) -> tuple[Part, ...]:
    """Return machine and software."""
    return (environment.machine(reading.head), environment.build(reading.head.environment))


def _data(reading: Reading) -> tuple[Part, ...]:
    """Return where the images came from."""
    return (environment.data(reading.head),) if reading.head.data else ()


def _skipped(reading: Reading) -> tuple[Part, ...]:
    """Return what was skipped and why."""
    table = law.skipped(reading.frames.verdicts)
    return (table,) if table.rows else ()


def _has_block(verdict: Verdict) -> bool:
    """Whether there is more to show of a failure than its sentence."""
    return verdict.violation is not None or verdict.status is Status.ERROR


def _text(verdict: Verdict) -> str:
    """Return the violation as the terminal prints it, or the text of an error below what it is about."""
    text = f"{verdict.case} {verdict.law} [{verdict.where}]\n{verdict.reason or 'no reason was recorded'}"
    return cut(violation_block(verdict) if verdict.violation else text, most=MOST_CHARACTERS)


_CONTENTS: tuple[tuple[str, str, Callable[[Reading], tuple[Part, ...]], str], ...] = (
    ("attention", "What needs attention", _attention, ""),
    ("changes", "What changed", _changes, "This run alone is reported: name an earlier one beside it to see changes."),
    ("gate", "Gate", _gate, "The gate has not compared this run with anything."),
    ("declared", "Declared failures", _declared, "No declared failure was found in this run."),
    ("laws", "Laws", _laws, "No law was checked in this run."),
    ("proofs", "Proofs", _proofs, "Nothing was proved in this run: not every input of a 16-bit format was visited."),
    ("survey", "Where it breaks, and the worst found", _survey, "No case was surveyed in this run."),
    ("steps", "Training steps", _steps, "No training step was timed in this run."),
    ("loaders", "Data loaders", _loaders, "No loader was timed in this run."),
    ("balance", "Loading against the step", _balance, "No training loop was timed in this run."),
    ("operations", "Accuracy and speed", _operations, "No operation was timed in this run."),
    ("vectorization", "Vectorisation", _vectorization, "No vectorised operation was timed in this run."),
    ("screening", "Speed of checking", _screening, "The speed of checking was not measured in this run."),
    ("training", "Training curves", _training, "There is no training in this run."),
    ("estimates", "Learned parameters", _estimates, "No parameter with a known true value was learned in this run."),
    ("overfitting", "Overfitting", _overfitting, "No held-out loss turns up again in this run."),
    ("images", "Images", _images, "There are no images in this run."),
    ("runs", "Runs", _runs, "This run alone is reported."),
    ("environment", "Environment", _environment, ""),
    ("data", "Data", _data, "This run used no data set."),
    ("skipped", "Skipped, and why", _skipped, "Nothing was skipped in this run."),
)
"""Identifier, title, builder and the sentence of a run without such records, in the order of the page."""
