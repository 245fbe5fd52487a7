"""Records: what one invocation of the harness leaves behind, and the only thing reports and gates read.

A run is one folder of plain files:

=====================  =======================================================================
``run.json``           a :class:`Run`: schema, environment, data source, the commands that filled it
``verdicts.jsonl``     one :class:`Verdict` a line: case x law x dtype
``proofs.jsonl``       one :class:`Proof` a line: case x quantity x dtype x layout
``epochs.jsonl``       one :class:`Epoch` a line: training curves
``estimates.jsonl``    one :class:`Estimate` a line: learned against true parameters
``images.jsonl``       one :class:`Image` a line: the samples drawn in the report's grid
``bench-*.json``       pytest-benchmark's own JSON, one file a suite
=====================  =======================================================================

Each file is written whole and moved into place, so a run that was cut short is a readable run of what it
finished. This package imports neither torch nor pandas.
"""

from harness.record.folder import RUNS, RunFolder, write_atomically
from harness.record.grade import Grade, grade, grades
from harness.record.proof_text import broken_blocks, differing, extent, laws_held, proof_line, witness, worst
from harness.record.schema import (
    SCHEMA,
    Counterexample,
    DataSource,
    Environment,
    Epoch,
    Estimate,
    Image,
    LawOutcome,
    Proof,
    Record,
    Row,
    Run,
    Status,
    TensorText,
    Verdict,
    Violation,
    Witness,
)
from harness.record.text import census_line, failing, verdict_line, violation_block

__all__ = [
    "RUNS",
    "SCHEMA",
    "Counterexample",
    "DataSource",
    "Environment",
    "Epoch",
    "Estimate",
    "Grade",
    "Image",
    "LawOutcome",
    "Proof",
    "Record",
    "Row",
    "Run",
    "RunFolder",
    "Status",
    "TensorText",
    "Verdict",
    "Violation",
    "Witness",
    "broken_blocks",
    "census_line",
    "differing",
    "extent",
    "failing",
    "grade",
    "grades",
    "laws_held",
    "proof_line",
    "verdict_line",
    "violation_block",
    "witness",
    "worst",
    "write_atomically",
]
