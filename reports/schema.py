"""The schema of every frame: name, type and meaning of each column, units in the names."""

from collections.abc import Mapping
from typing import NamedTuple

TEXT, REAL, WHOLE = "string", "float64", "int64"


class Column(NamedTuple):
    """Name, type and meaning of a column."""

    name: str
    dtype: str
    meaning: str


_CASE = (
    Column("case", TEXT, "family.module.function"),
    Column("family", TEXT, "folder the case belongs to"),
    Column("style", TEXT, "scratch, concise or foreign"),
)
_TIMING = (
    Column("median_s", REAL, "median of the rounds, seconds a call"),
    Column("q1_s", REAL, "first quartile of the rounds"),
    Column("q3_s", REAL, "third quartile of the rounds"),
    Column("min_s", REAL, "fastest round"),
    Column("mean_s", REAL, "mean of the rounds"),
    Column("rounds", WHOLE, "rounds measured, all in one process"),
    Column("iterations", WHOLE, "calls a round"),
    Column("cold_s", REAL, "first call, before any warm-up"),
)

LIMITS = (1, 2, 4, 8, 16, 64, 1024)
"""Deviations in ulp beyond which proofs count inputs."""

SCHEMAS: Mapping[str, tuple[Column, ...]] = {
    "verdicts": (
        *_CASE,
        Column("contract", TEXT, "contract the case claims"),
        Column("law", TEXT, "name of the law"),
        Column("group", TEXT, "group of laws"),
        Column("dtype", TEXT, "floating-point format"),
        Column("device", TEXT, "device the law was checked on"),
        Column("status", TEXT, "holds, broken, expected, unexpected, skipped or error"),
        Column("examples", WHOLE, "examples that ran"),
        Column("rows", WHOLE, "independent rows in those examples"),
        Column("deviation", REAL, "largest deviation relative to its bound, in `unit`"),
        Column("bound", REAL, "bound at that place, in `unit`"),
        Column("ratio", REAL, "deviation / bound; 0 where nothing deviates, inf beyond an exact law"),
        Column("unit", TEXT, "unit of deviation and bound"),
        Column("statement", TEXT, "the law as a sentence"),
        Column("source", TEXT, "where the law comes from"),
        Column("reason", TEXT, "declared reason, reason of a skip, or text of an error"),
        Column("actual", REAL, "output of the case at the worst place of the counterexample"),
        Column("expected", REAL, "the oracle's value there"),
        Column("magnitude", REAL, "largest absolute input element of the counterexample"),
        Column("cause", TEXT, "likely cause"),
        Column("replay", TEXT, "command that replays the counterexample"),
        Column("duration_s", REAL, "seconds the check took"),
    ),
    "proofs": (
        *_CASE,
        Column("contract", TEXT, "contract the case claims"),
        Column("quantity", TEXT, "value or gradient"),
        Column("dtype", TEXT, "floating-point format"),
        Column("device", TEXT, "device it was visited on"),
        Column("layout", TEXT, "how the inputs lie in memory"),
        Column("kernel", TEXT, "what torch runs on the layout"),
        Column("proved", "bool", "whether every input was visited exactly once"),
        Column("inputs", WHOLE, "inputs there are"),
        Column("visited", WHOLE, "inputs visited"),
        Column("checksum", TEXT, "count and moments of the codes visited"),
        Column("deviation", REAL, "largest deviation, ulp; missing where every output is correctly rounded"),
        Column("at", TEXT, "input with the largest deviation, hexadecimal"),
        Column("not_correctly_rounded", WHOLE, "inputs with an output more than 1/2 ulp off"),
        *(Column(f"beyond_{limit}", WHOLE, f"inputs with an output more than {limit} ulp off") for limit in LIMITS),
        Column("not_finite", WHOLE, "inputs whose output is not finite where it should be"),
        Column("differing", REAL, "inputs whose output bits differ from the reference layout's"),
        Column("laws_held", TEXT, "laws that held on every input visited"),
        Column("laws_broken", TEXT, "laws that broke on some input"),
        Column("cpu_capability", TEXT, "CPU capability that torch ran with"),
        Column("torch", TEXT, "version of torch"),
        Column("threads", WHOLE, "threads within one operation"),
        Column("duration_s", REAL, "time of one core"),
        Column("floor_s", REAL, "of this, in the implementation alone"),
    ),
    "epochs": (
        *_CASE,
        Column("experiment", TEXT, "what was trained on what"),
        Column("data", TEXT, "label of the data"),
        Column("epoch", WHOLE, "0 is the state before the first step"),
        Column("train_loss", REAL, "loss on the training data"),
        Column("held_out_loss", REAL, "loss on held-out data"),
        Column("train_accuracy", REAL, "fraction of the training data classified rightly"),
        Column("held_out_accuracy", REAL, "fraction of the held-out data classified rightly"),
        Column("duration_s", REAL, "seconds of the training steps, evaluation excluded"),
    ),
    "estimates": (
        *_CASE,
        Column("parameter", TEXT, "name of the parameter"),
        Column("true", REAL, "value the data was made with"),
        Column("learned", REAL, "value after training"),
        Column("standard_error", REAL, "standard error of the least-squares estimator on the same data"),
        Column("error", REAL, "(learned - true) / standard error"),
    ),
    "steps": (
        *_CASE,
        Column("device", TEXT, "cpu or the type of an accelerator"),
        Column("batch_size", WHOLE, "samples a step"),
        Column("dtype", TEXT, "floating-point format"),
        Column("threads", WHOLE, "threads torch computed with"),
        *_TIMING,
        Column("device_s", REAL, "time on the accelerator by its events, seconds a step"),
        Column("samples_per_s", REAL, "batch_size / median_s"),
    ),
    "loaders": (
        *_CASE,
        Column("data", TEXT, "label of the data"),
        Column("batch_size", WHOLE, "samples a batch"),
        Column("workers", WHOLE, "worker processes"),
        Column("samples", WHOLE, "samples an epoch"),
        Column("batches", WHOLE, "batches an epoch"),
        *_TIMING,
        Column("first_batch_s", REAL, "time to the first batch of an epoch"),
        Column("samples_per_s", REAL, "samples / median_s"),
        Column("samples_per_s_q1", REAL, "samples / q3_s"),
        Column("samples_per_s_q3", REAL, "samples / q1_s"),
    ),
    "vectorization": (
        *_CASE,
        Column("contract", TEXT, "operation"),
        Column("n", WHOLE, "size: elements of a vector; rows, features and outputs of a linear map"),
        *_TIMING,
    ),
    "screening": (
        *_CASE,
        Column("way", TEXT, "how rows are drawn: one batch, recipes of batches, one at a time"),
        Column("rows", WHOLE, "rows checked in a call"),
        Column("classes", WHOLE, "entries a row"),
        *_TIMING,
        Column("rows_per_s", REAL, "rows / median_s"),
    ),
}
"""Columns of each frame, in order."""
