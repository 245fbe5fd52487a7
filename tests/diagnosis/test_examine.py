"""The examination of a case looks at its answers on ordinary inputs."""

import torch

from harness.case import Case
from harness.contracts import contract_named
from harness.diagnosis.examine import find_mistake


def repeats_one_element(x: torch.Tensor) -> torch.Tensor:
    """Return a view with more elements than fit in memory."""
    return x.new_zeros(1).expand(2**50)


def twice(x: torch.Tensor) -> torch.Tensor:
    """Return a softmax of a softmax."""
    return x.softmax(-1).softmax(-1)


def test_an_answer_that_is_too_large_has_no_known_mistake() -> None:
    """A search in all its elements would need petabytes. An answer of the usual size is searched."""
    contract = contract_named("softmax")
    assert find_mistake(Case(repeats_one_element, "softmax"), contract, "cpu") is None
    assert find_mistake(Case(twice, "softmax"), contract, "cpu") is not None
