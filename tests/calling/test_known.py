"""The tables of known functions: every adapter binds to the installed function and computes what the entry claims."""

import os
import re
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import torch
from sweep.functions import COMPLETE, MODULES, UNASKED, public, targets
from sweep.page import PAGE
from torch.nn import functional

import harness
from harness.calling.known import TABLES
from harness.calling.target import complete_claim, entry, find_known, place_of
from harness.case import Case
from harness.contracts import claimed, contract_named
from harness.error import UsageError
from harness.floats import FORMATS
from harness.laws.contract import Contract
from harness.laws.law import Law
from harness.laws.subject import Subject
from harness.verdict.campaign import Campaign
from harness.verdict.declaration import find_convention
from harness.verdict.draw import HALF, compute_share, draw_few_examples, measure_sample

FLOAT32 = FORMATS["float32"]


def _needs(module: str) -> None:
    package = module.partition(".")[0]
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    if package == "keras" and os.environ.get("KERAS_BACKEND") != "torch":
        pytest.skip("Keras computes on torch tensors with KERAS_BACKEND=torch")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("module", MODULES)
def test_every_adapter_computes_what_its_entry_claims(module: str) -> None:
    """Most ordinary rows hold under a convention of the contract; with another formula, hardly any would."""
    _needs(module)
    wrong = {}
    for name, known in TABLES[module].items():
        function = attrgetter(name)(import_module(module))
        case = claimed(Case(function, known.claim, target=f"{module}:{name}", name=name, call=known.call or None))
        contract = contract_named(case.contract)
        law = next((law for law in contract.laws if law.name == "value"), contract.laws[0])
        held = _held(case, contract, law)
        if held < HALF:
            held = _held(replace(case, declares=find_convention(case, contract, FLOAT32, "cpu")), contract, law)
        if held < HALF:
            wrong[name] = held
    assert not wrong


def _held(case: Case, contract: Contract, law: Law) -> float:
    """Return the share of ordinary rows that hold."""
    subject = Subject(case, contract, FLOAT32)
    drawn = draw_few_examples(law.inputs or contract.inputs, FLOAT32)[:2]
    return compute_share([measure_sample(subject, law, example) for example in drawn])


@pytest.mark.parametrize("module", COMPLETE)
def test_every_public_function_is_known_or_has_a_reason(module: str) -> None:
    """A new version of torch with a new function fails here."""
    listed = {target.partition(":")[2] for target in targets(module)}
    assert set(public(module)) <= listed | UNASKED[module].keys()
    assert not UNASKED[module].keys() & TABLES[module].keys()


def test_the_page_names_every_function() -> None:
    """It is written by `python -m sweep --page`."""
    text = PAGE.read_text(encoding="utf-8")
    for module in MODULES:
        section = re.split(r"^## ", text.partition(f"## {module}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
        named = set(re.findall(r"`([\w.]+)`", section))
        assert {target.partition(":")[2] for target in targets(module)} <= named, module


def test_a_function_is_found_by_its_object() -> None:
    """Compiled functions of torch know neither their module nor their public name."""
    assert place_of(functional.gelu) == "torch.nn.functional:gelu"
    assert place_of(torch.logsumexp) == "torch:logsumexp"
    assert place_of(test_a_function_is_found_by_its_object) is None


def test_a_known_function_needs_no_options() -> None:
    """In Python as by the command, which fills in its campaign."""
    verdicts = harness.check(functional.layer_norm, laws=["value"], dtypes=["float32"], examples=2)
    assert [verdict.case for verdict in verdicts] == ["torch.nn.functional.layer_norm"]
    assert verdicts.failing == []
    campaign = Campaign("torch.nn.functional:layer_norm")
    assert (campaign.contract, campaign.call) == ("layer_norm", "lambda f, x: f(x, x.shape[-1:])")


def test_what_the_user_names_comes_first() -> None:
    """Another contract has no known adapter, and an adapter of the user's stays."""
    known = entry("torch.nn.functional:softmax")
    assert known is not None
    assert complete_claim(known, "log_softmax", None) == ("log_softmax", None)
    assert complete_claim(known, None, "numpy") == ("softmax", "numpy")
    assert complete_claim(known, "softmax", None) == ("softmax", known.call)
    assert complete_claim(None, None, None) == (None, None)


OWN = """
import torch.nn.functional

def layer_norm(x, normalized_shape, weight=None):
    return torch.nn.functional.layer_norm(x, normalized_shape, weight)

def rms_norm(x, size):
    return x
"""


def test_a_wrapper_with_the_parameters_of_a_known_function_is_called_like_it(tmp_path: Path) -> None:
    """It is read and not run; other parameters are a usage error, as before."""
    file = tmp_path / "own.py"
    file.write_text(OWN, encoding="utf-8")
    assert entry(f"{file}:layer_norm") == entry("torch.nn.functional:layer_norm")
    assert entry(f"{file}:rms_norm") is None
    assert entry(f"{tmp_path}/missing.py:layer_norm") is None
    space: dict[str, Any] = {}
    exec(OWN, space)  # noqa: S102 - the text above
    assert find_known(space["layer_norm"]) == entry("torch.nn.functional:layer_norm")
    assert find_known(space["rms_norm"]) is None


def test_a_variant_of_a_catalogued_formula_is_told_to_pass_its_own() -> None:
    """The message has a formula to start from."""

    def quick_gelu(x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(1.702 * x)

    with pytest.raises(UsageError, match=r"variant of `gelu`, .* `--formula 'x \* \(1 \+ erf"):
        harness.check(quick_gelu)


def test_a_function_of_jax_has_gradients() -> None:
    """Its own vjp computes them, also twice, without a compilation for each call."""
    _needs("jax")
    import jax

    from harness.calling.adapter import call_on_jax

    x = torch.randn(3, 4, requires_grad=True)
    y = call_on_jax(jax.nn.softmax, x, axis=-1)
    (slope,) = torch.autograd.grad((y**2).sum(), x, create_graph=True)
    (twice,) = torch.autograd.grad((slope**2).sum(), x)
    exact = x.detach().requires_grad_()
    (expected,) = torch.autograd.grad((exact.softmax(-1) ** 2).sum(), exact, create_graph=True)
    (expected_twice,) = torch.autograd.grad((expected**2).sum(), exact)
    torch.testing.assert_close(slope, expected)
    torch.testing.assert_close(twice, expected_twice)
