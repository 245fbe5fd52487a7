"""Records: what one invocation of the harness leaves behind, and the only thing reports and gates read.

A run is one folder of plain files:

=====================  =======================================================================
``run.json``           a :class:`Run`: schema, environment, data source, what the commands planned, how they ended
``verdicts.jsonl``     one :class:`Verdict` a line: case x law x dtype
``properties.jsonl``   one :class:`Property` a line: what a platform or an implementation does everywhere
``proofs.jsonl``       one :class:`Proof` a line: case x quantity x dtype x layout
``breakings.jsonl``    one :class:`Breaking` a line: where a law first fails along a ray
``worst.jsonl``        one :class:`Worst` a line: the input on which a law deviates most
``profiles.jsonl``     one :class:`Profile` a line: deviation against magnitude, and its distribution
``passages.jsonl``     one :class:`Passage` a line: what an implementation computes along a ray
``accumulators.jsonl`` one :class:`Accumulator` a line: how an implementation sums
``epochs.jsonl``       one :class:`Epoch` a line: training curves
``estimates.jsonl``    one :class:`LearnedParameter` a line: learned against true parameters
``fits.jsonl``         one :class:`FitData` a line: the samples that a line was fitted to
``weights.jsonl``      one :class:`ClassWeights` a line: the learned weights of a class, as an image
``confusions.jsonl``   one :class:`Confusion` a line: how often each class was taken for each
``images.jsonl``       one :class:`Image` a line: the samples drawn in the report's grid
``audits.jsonl``       an :class:`Audit` a line: which lines of a step go wrong, and how far others are from it
``findings.jsonl``     one :class:`GateFinding` a line: what the gate compared, and what came of it
``comparisons.jsonl``  one :class:`Comparison` a line: a case's time over the base's, with its interval
``slices.jsonl``       one :class:`Slices` a line: what a process of a couple measured of a case
``bench-*.json``       pytest-benchmark's own JSON, one file a suite: :mod:`harness.record.bench`
=====================  =======================================================================

Lines are appended as results come, each with a checksum of itself and all before it; the head says how many there are.
So a run that was cut short is a readable run of what it finished, which says so, and one that was altered is refused.
This package imports neither torch nor pandas.
"""

from harness.record.audit import WHAT_IF, Audit, AuditFinding, AuditKind, Headroom, Stretch
from harness.record.audit_run import AuditRun, ruin_line, run_lines
from harness.record.audit_text import audit_html, audit_line, audit_text, finding_lines, narrowest, telling
from harness.record.audit_trend import Trend, trend_line, trends
from harness.record.estimate import (
    LEVEL,
    Estimate,
    Method,
    bounded_ratio,
    geometric_mean,
    mean_ratio,
    median_ratio,
    one_sided_reach,
    standard_error,
)
from harness.record.fault import Fault
from harness.record.finding import RANKS, WRONG, Finding, by_verdict, findings, mark_of
from harness.record.finding_text import (
    TITLES,
    facts,
    finding_block,
    finding_in_full,
    finding_in_short,
    sentence,
    unclaimed_line,
)
from harness.record.folder import FILES, RUNS, Row, RunFolder, oldest_first
from harness.record.gate import Comparison, Gate, GateFinding, Outcome, Slices
from harness.record.grade import Grade, grade, grades
from harness.record.head import Run, Subject
from harness.record.learned import LEVELS, ClassWeights, Confusion, FitData
from harness.record.origin import Origin
from harness.record.passage import Passage, Stage, Station
from harness.record.proof import LawOutcome, Proof, Witness
from harness.record.proof_text import (
    broken_blocks,
    differing,
    extent,
    laws_held,
    proof_line,
    unanswered_proofs,
    where,
    witness,
    worst,
)
from harness.record.property import Property, property_sentences
from harness.record.schema import (
    ANY,
    SCHEMA,
    SEED,
    Counterexample,
    DataSource,
    Environment,
    Epoch,
    Event,
    EventKind,
    Image,
    Input,
    LearnedParameter,
    Mistake,
    Record,
    Status,
    TensorText,
    Verdict,
    Violation,
    WorstExample,
)
from harness.record.score import Score, Speed, Tier
from harness.record.storage import write_atomically
from harness.record.survey import Accumulator, Breaking, Profile, Worst, share_of_best
from harness.record.survey_text import (
    closed_form,
    disagreeing,
    how_sure,
    summing,
    survey_line,
    unanswered,
    undeclared,
    what_happens,
)
from harness.record.text import census_line, failing, skip_lines, verdict_line, violation_block
from harness.record.work import Ended, Work, early, unfinished

__all__ = [
    "ANY",
    "FILES",
    "LEVEL",
    "LEVELS",
    "RANKS",
    "RUNS",
    "SCHEMA",
    "SEED",
    "TITLES",
    "WHAT_IF",
    "WRONG",
    "Accumulator",
    "Audit",
    "AuditFinding",
    "AuditKind",
    "AuditRun",
    "Breaking",
    "ClassWeights",
    "Comparison",
    "Confusion",
    "Counterexample",
    "DataSource",
    "Ended",
    "Environment",
    "Epoch",
    "Estimate",
    "Event",
    "EventKind",
    "Fault",
    "Finding",
    "FitData",
    "Gate",
    "GateFinding",
    "Grade",
    "Headroom",
    "Image",
    "Input",
    "LawOutcome",
    "LearnedParameter",
    "Method",
    "Mistake",
    "Origin",
    "Outcome",
    "Passage",
    "Profile",
    "Proof",
    "Property",
    "Record",
    "Row",
    "Run",
    "RunFolder",
    "Score",
    "Slices",
    "Speed",
    "Stage",
    "Station",
    "Status",
    "Stretch",
    "Subject",
    "TensorText",
    "Tier",
    "Trend",
    "Verdict",
    "Violation",
    "Witness",
    "Work",
    "Worst",
    "WorstExample",
    "audit_html",
    "audit_line",
    "audit_text",
    "bounded_ratio",
    "broken_blocks",
    "by_verdict",
    "census_line",
    "closed_form",
    "differing",
    "disagreeing",
    "early",
    "extent",
    "facts",
    "failing",
    "finding_block",
    "finding_in_full",
    "finding_in_short",
    "finding_lines",
    "findings",
    "geometric_mean",
    "grade",
    "grades",
    "how_sure",
    "laws_held",
    "mark_of",
    "mean_ratio",
    "median_ratio",
    "narrowest",
    "oldest_first",
    "one_sided_reach",
    "proof_line",
    "property_sentences",
    "ruin_line",
    "run_lines",
    "sentence",
    "share_of_best",
    "skip_lines",
    "standard_error",
    "summing",
    "survey_line",
    "telling",
    "trend_line",
    "trends",
    "unanswered",
    "unanswered_proofs",
    "unclaimed_line",
    "undeclared",
    "unfinished",
    "verdict_line",
    "violation_block",
    "what_happens",
    "where",
    "witness",
    "worst",
    "write_atomically",
]
