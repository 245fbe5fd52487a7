"""Records: the files of one run, which are the only input of reports and gates.

A run is one folder of plain files:

=====================  =======================================================================
``run.json``           the :class:`Run`: schema, environment, data source, plans and outcomes of commands
``verdicts.jsonl``     :class:`Verdict`: case x law x dtype
``properties.jsonl``   :class:`Property`: consistent behavior of a platform or an implementation
``proofs.jsonl``       :class:`Proof`: case x quantity x dtype x layout
``breakings.jsonl``    :class:`Breaking`: the first failure of a law along a ray
``worst.jsonl``        :class:`Worst`: the input with the largest deviation from a law
``profiles.jsonl``     :class:`Profile`: deviation against magnitude, and its distribution
``passages.jsonl``     :class:`RayTrace`: the output of an implementation along a ray
``accumulators.jsonl`` :class:`Accumulator`: the format and order of the sums of an implementation
``epochs.jsonl``       :class:`Epoch`: training curves
``estimates.jsonl``    :class:`LearnedParameter`: learned against true parameters
``fits.jsonl``         :class:`FitData`: the samples of a fitted line
``weights.jsonl``      :class:`ClassWeights`: the learned weights of a class, as an image
``confusions.jsonl``   :class:`Confusion`: a confusion matrix
``images.jsonl``       :class:`Image`: the samples in the report's grid
``audits.jsonl``       :class:`Audit`: the lines of a training step that fail, and the headroom of others
``fixes.jsonl``        :class:`Fix`: a verified change of code that repairs a finding
``judgments.jsonl``    :class:`Judgment`: whether two computations differ by more than rounding
``tolerances.jsonl``   :class:`ComparedLine`: a line of a test suite with the verdict on its tolerance
``findings.jsonl``     :class:`GateFinding`: the comparisons of the gate and their outcomes
``comparisons.jsonl``  :class:`Comparison`: a case's time over the base's, with its interval
``slices.jsonl``       :class:`Slices`: the measurements of one case by one process of a pair
``bench-*.json``       pytest-benchmark's own JSON, one file for each suite: :mod:`harness.record.bench`
=====================  =======================================================================

Each ``.jsonl`` file has one record a line. Lines are appended as results arrive. Each line has a checksum of itself and
all lines before it, and the head has the number of lines. An interrupted run is therefore a valid, incomplete run, and
an altered run is refused. This package imports neither torch nor pandas.
"""

from harness.record.audit import WHAT_IF, Audit, AuditFinding, AuditKind, AuditRun, Headroom, Stretch
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
from harness.record.fix import Edit, Fix
from harness.record.gate import Comparison, Gate, GateFinding, Outcome, Slices
from harness.record.head import Ended, Origin, Parts, Run, Subject, Work, early, find_unfinished
from harness.record.learned import LEVELS, ClassWeights, Confusion, FitData
from harness.record.proof import Departure, LawOutcome, Proof, Witness
from harness.record.property import Property
from harness.record.sameness import Accuracy, Judgment, Sameness
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
from harness.record.storage import FILES, RUNS, RunFolder, sort_by_age, write_atomically
from harness.record.survey import Accumulator, Breaking, Profile, RayTrace, RecordedCall, Stage, Worst
from harness.record.tolerance import ComparedLine, Tolerance
