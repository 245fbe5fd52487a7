"""The witnesses that must detect a change of a module: controls of contracts, and test modules."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from source_mutants.mutation import file_of


class Witnesses(NamedTuple):
    """Witnesses of a module."""

    controls: tuple[str, ...]
    """Modules in ``tests/controls/``: their laws must hold, with bounds as recorded."""
    tests: tuple[str, ...] = ()
    """Test modules, which run if the controls detect nothing."""
    named: str = ""
    """Part of the names of the tests; empty for all."""


TIERS = ("tests/floats/test_oracle.py", "tests/contracts/test_policies.py")
"""Tests that compare both tiers of each oracle, because controls use the exact tier only after a violation.

They also compare the conventions for rows without a value.
"""

SHARED = {
    "harness.floats.format": Witnesses(("softmax", "log_softmax", "variance"), ("tests/floats/test_format.py",)),
    "harness.floats.double_double": Witnesses(("logsumexp",), ("tests/floats/test_double_double.py",)),
    "harness.floats.oracle": Witnesses(("softmax",), ("tests/floats/test_oracle.py",)),
    "harness.laws.derivation": Witnesses(
        ("softmax",),
        ("tests/laws/test_derivation.py", "tests/laws/test_every_operation.py", "tests/laws/test_never_tried.py"),
    ),
    "harness.laws.every_operation": Witnesses(("softmax", "squared_error"), ("tests/laws/test_every_operation.py",)),
    "harness.laws.derivative": Witnesses(("softmax", "squared_error"), ("tests/laws/test_every_operation.py",)),
    "harness.laws.size": Witnesses(("softmax",), ("tests/laws/test_never_tried.py", "tests/laws/test_size.py")),
}
"""Modules that every contract uses: formats, comparisons, oracles, and the laws of every operation."""

BLOCKS = {
    "definition": ("kl_divergence", "kl_divergence_of_probabilities", "squared_error", "layer_norm"),
    "distributions": ("kl_divergence", "kl_divergence_of_probabilities"),
    "labelled_logits": ("cross_entropy",),
    "logistic_function": ("logistic", "binary_cross_entropy"),
    "logit_rows": ("softmax", "logsumexp"),
    "moments": ("layer_norm", "variance", "rms_norm"),
    "normalization": ("layer_norm", "rms_norm"),
    "predictions": ("squared_error", "likelihood"),
    "reduction": ("squared_error", "cross_entropy"),
    "exponential_sums": (
        *("softmax", "masked_softmax", "entropy", "logsumexp"),
        *("log_softmax", "logaddexp", "cross_entropy"),
    ),
    "usual_laws": ("softmax", "squared_error", "masked_softmax"),
}
"""The contracts that use a building block."""


def witnesses() -> Iterator[tuple[str, Witnesses]]:
    """Yield every mutated module with its witnesses."""
    yield from SHARED.items()
    for block, controls in BLOCKS.items():
        yield f"harness.contracts.building_blocks.{block}", Witnesses(controls, TIERS, " or ".join((block, *controls)))
    for file in sorted(file_of("harness.contracts.softmax").parent.glob("*.py")):
        if (Path(__file__).parent.parent / "controls" / file.name).exists():
            yield f"harness.contracts.{file.stem}", Witnesses((file.stem,), TIERS, file.stem)
