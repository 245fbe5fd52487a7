"""Linear regression: the chapter's version with half the squared loss, and torch's with the full squared loss."""

from cases.linear_regression import concise, scratch
from harness.case import Case

_FLOATS = ("float64", "float32")
_LOST = "the parameter is rounded at every step: an update below half an ulp is lost, so 1 - u / 2 stays 1"

_STOPS_AT = {("update_not_lost", "learning rate against weight"): "2^-(p + 1)"}

CASES = [
    Case(scratch.linear, "linear"),
    Case(scratch.squared_loss, "squared_error", declares={"factor": 0.5}),
    Case(scratch.sgd, "sgd", breaks_at=_STOPS_AT),
    Case(scratch.sgd_with_momentum, "sgd_with_momentum", breaks={"updates_accumulate": _LOST}, breaks_at=_STOPS_AT),
    Case(
        scratch.compensated_sgd_with_momentum, "sgd_with_momentum", attains=("updates_accumulate",), breaks_at=_STOPS_AT
    ),
    *(
        Case(step, "linear_regression_step", declares={"factor": 0.5}, dtypes=_FLOATS)
        for step in (scratch.training_step, scratch.closed_form_step)
    ),
    Case(scratch.train, "linear_regression", declares={"factor": 0.5}, dtypes=_FLOATS),
    Case(scratch.normal_equation, "least_squares", dtypes=_FLOATS),
    Case(concise.linear, "linear"),
    Case(concise.squared_loss, "squared_error"),
    Case(concise.sgd, "sgd", breaks_at=_STOPS_AT),
    Case(concise.sgd_with_momentum, "sgd_with_momentum", breaks={"updates_accumulate": _LOST}, breaks_at=_STOPS_AT),
    Case(
        concise.sgd_with_a_master_copy,
        "sgd_with_momentum",
        attains=("updates_accumulate",),
        dtypes=("float32", "bfloat16", "float16"),
        breaks_at=_STOPS_AT,
    ),
    *(
        Case(step, "linear_regression_step", dtypes=_FLOATS)
        for step in (concise.training_step, concise.fused_step, concise.foreach_step)
    ),
    Case(concise.train, "linear_regression", dtypes=_FLOATS),
    Case(concise.least_squares, "least_squares", dtypes=_FLOATS),
]
