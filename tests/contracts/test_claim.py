"""Contracts inferred from the names of functions."""

import pytest
import torch
from torch import nn

import harness
from harness.contracts import contract_of, contracts
from harness.error import UsageError


def claim(name: str, arguments: str = "x") -> str:
    """Return the contract inferred from a name and arguments."""
    function = eval(f"lambda {arguments}: None")  # noqa: S307 - of this file's own words
    return contract_of(function, name, contracts().values()).name


SPELLINGS = {
    "softmax": "my_softmax softmax_v2 softmax2 FusedSoftmax.forward",
    "log_softmax": "log_softmax_kernel",
    "logsumexp": "LogSumExp",
    "layer_norm": "LayerNorm",
    "rms_norm": "LlamaRMSNorm",
    "squared_error": "squared_loss mean_squared_loss half_squared_loss MSELoss",
    "cross_entropy": "cross_entropy_loss",
    "binary_cross_entropy_with_logits": "F.binary_cross_entropy_with_logits BCEWithLogitsLoss",
    "gaussian_nll": "GaussianNLLLoss",
    "sigmoid": "expit",
    "sgd": "SGD",
}
SPELLED = [(name, contract) for contract, names in SPELLINGS.items() for name in names.split()]


@pytest.mark.parametrize(("name", "contract"), [*((name, name) for name in contracts()), *SPELLED])
def test_the_contract_is_inferred_from_any_spelling_of_its_name(name: str, contract: str) -> None:
    """The name of the contract itself always works."""
    assert claim(name) == contract


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("sigmoid_focal_loss", "`--contract sigmoid`"),
        ("softmax_backward", "`--contract softmax`"),
        ("LayerNorm2d", "`--contract layer_norm`"),
        ("T5LayerNorm", "`--contract layer_norm`"),
        ("nll_loss", "pass `--contract NAME`"),
        ("softmx", "`--contract softmax`"),
        ("<lambda>", "`harness list --contracts`"),
    ],
)
def test_an_ambiguous_name_claims_no_contract(name: str, near: str) -> None:
    """The user must name the contract, and the message lists similar names."""
    with pytest.raises(UsageError, match="cannot infer the contract of") as refused:
        claim(name)
    assert near in str(refused.value)


def test_the_arguments_decide_between_contracts_of_one_name() -> None:
    """The book's cross-entropy takes probabilities, others take logits."""
    assert claim("cross_entropy", "y_hat, y") == "nll_of_probabilities"
    assert claim("cross_entropy", "probs, labels") == "nll_of_probabilities"
    assert claim("cross_entropy", "logits, labels") == "cross_entropy"
    assert claim("cross_entropy", "a, b") == "cross_entropy"
    assert claim("kl_divergence", "p, q") == "kl_divergence_of_probabilities"
    assert claim("kl_divergence", "log_q, p") == "kl_divergence"


@pytest.mark.parametrize(
    ("function", "contract"),
    [(torch.logaddexp, "logaddexp"), (nn.Softplus, "softplus"), (nn.Sigmoid(), "sigmoid")],
    ids=["function", "class", "module"],
)
def test_python_infers_the_contract_from_the_name(function: object, contract: str) -> None:
    """A class or module is named by its class."""
    (verdict,) = harness.check(function, laws=["any_position"], dtypes=["float64"], examples=2)  # type: ignore[arg-type]
    assert verdict.contract == contract
