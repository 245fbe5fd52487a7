"""Made-up records of a survey, which the tests of the report read."""

import math
from typing import Any

from harness.record import Accumulator, Breaking, Profile, RayTrace, RecordedCall, Stage, TensorText, Worst

DTYPES = ("float64", "float32", "bfloat16", "float16")
CASES = {
    "softmax": ["softmax_regression.scratch.softmax", "softmax_regression.concise.softmax"],
    "log_softmax": ["softmax_regression.scratch.log_softmax", "softmax_regression.concise.log_softmax"],
}
OVERFLOW = dict(zip(DTYPES, (709.7827128933841, 88.72283935546875, 89.0, 11.09375), strict=True))


def _head(case: str, contract: str, dtype: str) -> dict[str, Any]:
    """Return the fields that all records of a survey share."""
    family, style, _ = case.split(".")
    return {
        "case": case, "family": family, "style": style, "contract": contract, "dtype": dtype, "device": "cpu",
    }  # fmt: skip


def breaking(case: str, contract: str, dtype: str, **changes: Any) -> Breaking:
    """Return a breaking point where the exponential overflows, or none for a case that is no naive softmax."""
    broken = case.endswith("scratch.softmax")
    value = OVERFLOW[dtype] if broken else None
    facts: dict[str, Any] = {
        **_head(case, contract, dtype),
        "law": "value",
        "group": "value",
        "ray": "spike",
        "formula": "(t, 0, ..., 0)",
        "value": value,
        "value_hex": value.hex() if value else None,
        "end": 1e30,
        "certainty": "monotone" if broken else "scanned",
        "probes": 2048,
        "confirmed": True if broken else None,
        "form": "ln(max + ulp/2)" if broken else None,
        "form_value": value,
        "declared": broken,
        "agrees": True if broken else None,
        "expected_break": broken,
        "actual": math.nan if broken else None,
        "expected": 1.0 if broken else None,
        "deviation": math.inf if broken else None,
        "bound": 15.1 if broken else None,
    }
    return Breaking(**(facts | changes))


def breakings() -> list[Breaking]:
    """Return a ray for each case and dtype."""
    return [breaking(case, contract, dtype) for contract, cases in CASES.items() for case in cases for dtype in DTYPES]


def call(t: float, *, overflows_from: float | None) -> RecordedCall:
    """Return a call of a softmax on (t, 0), as defined for a case that overflows."""
    lost = overflows_from is not None and t >= overflows_from
    exact = 1.0 / (1.0 + math.exp(-t))
    exponential = math.inf if lost else math.exp(t)
    stages = (Stage(operation="exp", values=(exponential, 1.0)), Stage(operation="sum", values=(exponential + 1.0,)))
    return RecordedCall(
        t=t,
        t_hex=t.hex(),
        given=(t, 0.0, 0.0),
        stages=() if overflows_from is None else stages,
        actual=(math.nan, 0.0, 0.0) if lost else (exact, 1.0 - exact, 1.0 - exact),
        expected=(exact, 1.0 - exact, 1.0 - exact),
        deviation=math.inf if lost else 1.0,
        bound=15.1,
    )


def traces() -> list[RayTrace]:
    """Return traces of two softmaxes along a ray in two dtypes; one of the functions overflows."""
    return [
        RayTrace(
            **_head(case, "softmax", dtype),
            law="value",
            group="value",
            ray="spike",
            formula="(t, 0, ..., 0)",
            breaks_at=value,
            form=None if value is None else "ln(max + ulp/2)",
            expected_break=value is not None,
            stations=tuple(call(t, overflows_from=value) for t in sorted({0.0, 40.0, 133.0, *around})),
        )
        for dtype, point, before in (
            ("float32", OVERFLOW["float32"], 2.0**-17),
            ("float16", OVERFLOW["float16"], 2.0**-7),
        )
        for case in CASES["softmax"]
        for value in [point if "scratch" in case else None]
        for around in [(point - before, point) if value else ()]
    ]


def worst() -> list[Worst]:
    """Return the largest deviation and the largest share for each case and dtype."""
    return [
        Worst(
            **_head(case, contract, dtype),
            law="value",
            group="value",
            objective=objective,
            rows=40_960,
            deviation=math.inf if case.endswith("scratch.softmax") else 71.4,
            bound=83.0,
            place=(0, 0),
            actual=0.25,
            expected=0.2500001,
            magnitude=86.0,
            example={"logits": TensorText(dtype="float32", shape=(1, 2), values=("0x1.0p+0", "0x0.0p+0"))},
            replay=f"harness check cases:{case}",
        )
        for contract, cases in CASES.items()
        for case in cases
        for dtype in DTYPES
        for objective in ("deviation", "ratio")
    ]


def profiles() -> list[Profile]:
    """Return deviations that grow with the magnitude, up to infinity for the naive softmax."""
    magnitudes = tuple(2.0 ** (step / 2) for step in range(-6, 22))
    found = []
    for contract, cases in CASES.items():
        for case in cases:
            naive = case.endswith("scratch.softmax")
            deviations = tuple(math.inf if naive and t > 88 else 1.0 + min(t, 80.0) for t in magnitudes)
            found += [
                Profile(
                    **_head(case, contract, dtype),
                    law="value",
                    group="value",
                    magnitudes=magnitudes,
                    deviations=deviations,
                    bounds=tuple(8.0 + min(t, 80.0) for t in magnitudes),
                    edges=(0.5, 1.0, 2.0, 64.0, math.inf),
                    counts=(8000, 1000, 500, 400, 100 if naive else 0),
                )
                for dtype in DTYPES
            ]
    return found


def accumulators() -> list[Accumulator]:
    """Return the accumulator of each case."""
    return [
        Accumulator(
            **_head(case, contract, dtype),
            width="float32",
            order="in about 16 parts",
            evidence=("of terms of 3/4 u of float32 beside 1, 6.25 % are lost",),
        )
        for contract, cases in CASES.items()
        for case in cases
        for dtype in DTYPES
    ]
