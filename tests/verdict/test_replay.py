"""Counterexamples in the corpus are tried first."""

from pathlib import Path

import pytest
import torch
from programs.torch_proofs import recorded
from torch import Tensor

import harness
from harness.case import Case
from harness.contracts import contract_named, contracts
from harness.error import UsageError
from harness.floats.format import format_of
from harness.record import Status, Verdict
from harness.verdict import replay
from harness.verdict.decide import decide
from harness.verdict.job import Job, list_jobs
from harness.verdict.replay import decode_example

KNOWN = [(contract, one) for contract in contracts() for one in replay.read_counterexamples(contract)]


def naive(x: Tensor) -> Tensor:
    """The definition."""
    return x.exp() / x.exp().sum(-1, keepdim=True)


def job(dtype: str = "float32") -> Job:
    """Return the job for the value of a softmax."""
    (found,) = list_jobs([Case(naive, "softmax", name="a.b.naive")], laws=["value"], dtypes=[dtype])
    return found


@pytest.fixture
def found() -> Verdict:
    """Return a failure found by drawn examples only."""
    return decide(job(), corpora=())


def test_a_frozen_counterexample_is_found_at_once(found: Verdict, tmp_path: Path) -> None:
    """Nothing is drawn, and the final example is the same."""
    assert replay.freeze([found], tmp_path) == 1
    again = decide(job(), corpora=(tmp_path,))
    assert again.status is Status.BROKEN
    assert again.examples == 1
    assert again.violation is not None
    assert found.violation is not None
    assert again.violation.example == found.violation.example


def test_what_is_known_is_not_added_again(found: Verdict, tmp_path: Path) -> None:
    """The file is unchanged, byte for byte."""
    replay.freeze([found], tmp_path)
    before = (tmp_path / "softmax.jsonl").read_bytes()
    assert replay.freeze([found], tmp_path) == 0
    assert (tmp_path / "softmax.jsonl").read_bytes() == before


def test_what_holds_leaves_no_trace(tmp_path: Path) -> None:
    """No file is written."""
    (stable,) = list_jobs([Case(lambda x: x.softmax(-1), "softmax")], laws=["value"], dtypes=["float32"])
    assert replay.freeze([decide(stable, examples=2)], tmp_path) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_counterexample_in_one_dtype_is_none_in_another(found: Verdict, tmp_path: Path) -> None:
    """Each is tried only in its dtype."""
    replay.freeze([found], tmp_path)
    contract = contract_named("softmax")
    law = job().law
    assert len(replay.list_known_examples(contract, law, format_of("float32"), (tmp_path,))) == 1
    assert replay.list_known_examples(contract, law, format_of("float64"), (tmp_path,)) == []


def test_the_shipped_corpus_names_laws_that_exist() -> None:
    """Its inputs are those that the laws read."""
    assert KNOWN
    for contract, one in KNOWN:
        laws = {law.name: law for law in contract_named(contract).laws}
        assert set(laws[one.law].reads) <= set(one.example)
        example = decode_example(one.example)
        assert all(isinstance(value, (torch.Tensor, int, float, str, list)) for value in example.values())


def test_the_shipped_corpus_has_members_only() -> None:
    """Probabilities are a distribution."""
    for contract, one in KNOWN:
        axes, format_ = contract_named(contract).axes, format_of(one.dtype)
        for name, value in decode_example(one.example).items():
            if name in axes and (restore := axes[name].restore) is not None:
                restored = restore(value, format_)
                assert restored is not None
                assert torch.equal(restored, value), (contract, one)


def test_what_a_survey_found_broken_is_kept_too(tmp_path: Path) -> None:
    """Breaking points and worst cases are each stored once.

    Rows that are too long, and results that hold, are not stored.
    """
    found = harness.survey(naive, "softmax", dtypes=["float16"], batches=1)
    broken = {(one.law, str(one.example)) for one in found.breakings if one.value is not None and one.ray != "length"}
    kept = replay.freeze([*found.breakings, *found.worst], tmp_path)
    assert len(broken) <= kept <= len(broken) + len(found.worst)
    known = replay.read_counterexamples("softmax", tmp_path)
    assert len(known) == kept
    assert {one.law for one in known} == {"value", "finite_on_extreme_logits", "gradient"}
    assert replay.freeze(found.breakings, tmp_path) == 0


def test_a_property_of_the_format_is_no_counterexample(tmp_path: Path) -> None:
    """Every implementation loses an update below half an ulp."""
    found = harness.survey(lambda parameter, gradient, lr: parameter - lr * gradient, "sgd", batches=0)
    assert any(one.value is not None for one in found.breakings)
    assert replay.freeze(found.breakings, tmp_path) == 0


def test_what_a_proof_found_broken_is_kept_too(tmp_path: Path) -> None:
    """The pair of each broken law is stored. A proof without a broken law adds nothing."""
    proofs = [proof for proof in recorded() if proof.contract == "log_softmax" and proof.quantity == "value"]
    broken = {(outcome.law, one.dtype) for one in proofs for outcome in one.laws if outcome.violation is not None}
    assert replay.freeze(proofs, tmp_path) == len(broken) == 2
    known = replay.read_counterexamples("log_softmax", tmp_path)
    assert {(one.law, one.dtype) for one in known} == broken
    assert replay.freeze([one for one in recorded() if one.contract == "softmax"], tmp_path) == 0


def test_a_damaged_corpus_is_refused(found: Verdict, tmp_path: Path) -> None:
    """A number is changed, a line is missing, or the file is truncated."""
    replay.freeze([found], tmp_path)
    file = tmp_path / "softmax.jsonl"
    whole = file.read_text(encoding="utf-8")
    lines = whole.splitlines(keepends=True)
    assert len(lines) == 2
    for damaged in (whole.replace('"0x1.', '"0x2.', 1), lines[0], lines[1], lines[0] * 2 + lines[1], ""):
        file.write_text(damaged, encoding="utf-8")
        replay.read_counterexamples.cache_clear()
        with pytest.raises(UsageError, match="the digest of the corpus does not match"):
            replay.read_counterexamples("softmax", tmp_path)
    file.write_text(whole.replace("\n", "\r\n"), encoding="utf-8", newline="")
    replay.read_counterexamples.cache_clear()
    assert len(replay.read_counterexamples("softmax", tmp_path)) == 1
