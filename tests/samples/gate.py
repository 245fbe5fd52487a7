"""Made-up records of the gate, which the tests of the report read."""

from typing import Any

from harness.record import Comparison, Gate, GateFinding, Outcome, Slices

CASES = ("softmax_regression.scratch.softmax", "softmax_regression.concise.softmax")


def findings() -> list[GateFinding]:
    """Return a regression and an unchanged case."""
    slow, same = CASES
    return [
        _finding(same, Outcome.UNCHANGED, f"{same} is as fast as it was: +0.1 % (-0.4 to +0.6 %) in 5 couples."),
        _finding(slow, Outcome.REGRESSED, f"{slow} got slower: +10.0 % (+9.1 to +10.9 %) in 10 couples."),
    ]


def _finding(case: str, outcome: Outcome, sentence: str) -> GateFinding:
    return GateFinding(gate=Gate.TIME, case=case, subject="", outcome=outcome, sentence=sentence)


def comparisons() -> list[Comparison]:
    """Return both cases in both arms, and the control."""
    slow, same = CASES
    found = [_comparison(slow, "candidate", 1.1, Outcome.REGRESSED), _comparison(slow, "null", 1.001)]
    found += [_comparison(same, "candidate", 1.001), _comparison(same, "null", 0.999)]
    return [*found, _comparison(same, "control", 1.099, Outcome.REGRESSED)]


def _comparison(case: str, arm: Any, ratio: float, outcome: Outcome = Outcome.UNCHANGED) -> Comparison:
    limits: dict[str, Any] = {"margin": 0.02, "tolerance": 0.05, "visible": 0.035}
    bounds: dict[str, Any] = {"ratio": ratio, "low": ratio - 0.009, "high": ratio + 0.009}
    return Comparison(case=case, arm=arm, outcome=outcome, couples=10, **bounds, **limits)


def slices() -> list[Slices]:
    """Return the slices of the slower case."""
    facts: dict[str, Any] = {"rounds": 100, "iterations": 1, "load": 1.2, "steal": 0.0, "frequency_hz": None}
    arms: dict[Any, float] = {"base": 1.0, "candidate": 1.1, "null": 1.001}
    return [
        Slices(
            couple=couple,
            case=CASES[0],
            arm=arm,
            starts_s=tuple(3.0 * couple + 0.1 * number for number in range(6)),
            minima_s=tuple(1e-4 * ratio * (1.0 + 0.002 * (number % 3)) for number in range(6)),
            medians_s=(1.1e-4 * ratio,) * 6,
            cpu_s=(1.1e-4 * ratio,) * 6,
            **facts,
        )
        for couple in range(10)
        for arm, ratio in arms.items()
    ]
