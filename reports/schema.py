"""The schema of every frame: name, type and meaning of each column, units in the names."""

from collections.abc import Mapping
from typing import NamedTuple

TEXT, REAL, WHOLE, TRUTH = "string", "float64", "int64", "boolean"


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
_LAW = (
    Column("contract", TEXT, "contract the case claims"),
    Column("law", TEXT, "name of the law"),
    Column("group", TEXT, "group of laws"),
    Column("dtype", TEXT, "floating-point format"),
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

RECORD = Column("record", TEXT, "place of the record in the run: file and line, or file and number of the benchmark")
"""The last column of every frame: every number can be traced to its record."""

_FRAMES: Mapping[str, tuple[Column, ...]] = {
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
    "breakings": (
        *_CASE,
        *_LAW,
        Column("ray", TEXT, "name of the ray"),
        Column("formula", TEXT, "its inputs in the parameter t"),
        Column("value", REAL, "the first parameter at which the law fails; missing where it holds to the end"),
        Column("value_hex", TEXT, "the same in hexadecimal"),
        Column("end", REAL, "the last parameter of the ray"),
        Column("certainty", TEXT, "exhausted, monotone or scanned"),
        Column("probes", WHOLE, "parameters that were tried"),
        Column("confirmed", TRUTH, "by ball arithmetic, there and one float before"),
        Column("form", TEXT, "closed form"),
        Column("form_value", REAL, "its value"),
        Column("declared", TRUTH, "whether the case declares the closed form"),
        Column("expected_break", TRUTH, "whether the case declares that the law fails"),
        Column("agrees", TRUTH, "whether the breaking point is the first number at or beyond the form"),
        Column("actual", REAL, "output at the worst place"),
        Column("expected", REAL, "the oracle's value there"),
        Column("deviation", REAL, "deviation there, in `unit`"),
        Column("bound", REAL, "bound there, in `unit`"),
        Column("unit", TEXT, "unit of deviation and bound"),
        Column("closed_form", TEXT, "form and value in words"),
        Column("happens", TEXT, "what happens there in words"),
        Column("sure", TEXT, "how sure it is that nothing fails earlier"),
        Column("replay", TEXT, "command that measures it alone"),
        Column("reason", TEXT, "text of an error"),
    ),
    "worst": (
        *_CASE,
        *_LAW,
        Column("objective", TEXT, "what was made large: deviation, or ratio to the bound"),
        Column("evidence", TEXT, "searched: a lower bound; proved: every input was tried"),
        Column("rows", WHOLE, "rows that were measured"),
        Column("deviation", REAL, "deviation of the witness, in `unit`"),
        Column("bound", REAL, "bound there, in `unit`"),
        Column("unit", TEXT, "unit of deviation and bound"),
        Column("actual", REAL, "output at the worst place"),
        Column("expected", REAL, "the oracle's value there"),
        Column("magnitude", REAL, "largest absolute input element of the witness"),
        Column("declared", TEXT, "declared reason why the law fails"),
        Column("replay", TEXT, "command that measures the witness"),
    ),
    "profiles": (
        *_CASE,
        *_LAW[:2],
        *_LAW[3:],
        Column("magnitude", REAL, "upper end of an interval of the largest absolute input"),
        Column("deviation", REAL, "worst deviation there relative to its bound, in `unit`"),
        Column("bound", REAL, "bound at that place, in `unit`"),
        Column("unit", TEXT, "unit of deviation and bound"),
    ),
    "histograms": (
        *_CASE,
        *_LAW[:2],
        *_LAW[3:],
        Column("up_to", REAL, "upper end of a class of deviations, in `unit`"),
        Column("count", WHOLE, "elements in it"),
        Column("share", REAL, "of all elements"),
        Column("unit", TEXT, "unit of the deviation"),
    ),
    "accumulators": (
        *_CASE,
        Column("contract", TEXT, "contract the case claims"),
        Column("dtype", TEXT, "floating-point format"),
        Column("width", TEXT, "format of the sum"),
        Column("order", TEXT, "order of the sum, as far as it shows"),
        Column("sums", TEXT, "both in words"),
        Column("evidence", TEXT, "what was seen"),
    ),
    "search": (
        *_CASE,
        Column("way", TEXT, "how inputs were drawn"),
        Column("seed", WHOLE, "seed of the draws"),
        Column("score", REAL, "largest deviation seen, or share of its bound"),
        Column("objective", TEXT, "deviation in ulp, or ratio to the bound"),
        Column("rows", WHOLE, "rows looked at"),
        Column("seconds", REAL, "time given"),
    ),
}

SCHEMAS: Mapping[str, tuple[Column, ...]] = {name: (*columns, RECORD) for name, columns in _FRAMES.items()}
"""Columns of each frame, in order."""

KEYS: Mapping[str, tuple[str, ...]] = {
    "verdicts": ("case", "law", "dtype", "device"),
    "proofs": ("case", "quantity", "dtype", "device", "layout"),
    "epochs": ("case", "experiment", "data", "epoch"),
    "estimates": ("case", "parameter"),
    "steps": ("case", "device", "batch_size", "dtype", "threads"),
    "loaders": ("case", "data", "batch_size", "workers"),
    "vectorization": ("case", "contract", "n"),
    "screening": ("case", "way", "classes"),
    "breakings": ("case", "law", "dtype", "ray"),
    "worst": ("case", "law", "dtype", "objective", "evidence"),
    "profiles": ("case", "law", "dtype", "magnitude"),
    "histograms": ("case", "law", "dtype", "up_to"),
    "accumulators": ("case", "dtype"),
    "search": ("case", "way", "seed"),
}
"""The columns that say what a row of each frame is about; the other numbers are what was measured."""
