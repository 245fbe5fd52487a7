"""The search finds known defects, and is reproducible for a seed."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.floats.format import to_ordinal
from harness.floats.oracle import confirming
from harness.surveyor.encoding import ExampleEncoding, is_searchable
from harness.surveyor.search import MUTATIONS, Budget, Mutation, mutate_rows, search
from harness.surveyor.work_item import profile, witness
from harness.verdict.job import Job, list_jobs
from harness.verdict.replay import decode_example


def shifted(logits: Tensor) -> Tensor:
    """A sound softmax."""
    exponentials = (logits - logits.amax(-1, keepdim=True)).exp()
    return exponentials / exponentials.sum(-1, keepdim=True)


def job_of(function: Any = shifted, contract: str = "softmax", law: str = "value", dtype: str = "float32") -> Job:
    """Return the job for one law and one function."""
    (job,) = list_jobs([Case(function, contract)], laws=[law], dtypes=[dtype])
    return job


def test_the_same_seed_gives_the_same_worst_and_another_seed_another() -> None:
    """The results are equal bit by bit, for every objective."""
    one, same, other = (search(job_of(), Budget(batches=6, seed=seed)) for seed in (1, 1, 2))
    for found, again in zip(one.best, same.best, strict=True):
        assert found.score == again.score
        assert found.row is not None
        assert again.row is not None
        assert np.array_equal(found.row, again.row)
    assert one.best[0].score != other.best[0].score
    assert one.rows == 6 * 4096


@pytest.mark.parametrize(("dtype", "least"), [("float32", 55.0), ("float16", 3.0), ("bfloat16", 20.0)])
def test_a_few_batches_find_the_large_gaps_that_random_rows_do_not(dtype: str, least: float) -> None:
    """The error of a shifted softmax grows with the gap; as many normal rows stay far below."""
    job = job_of(dtype=dtype)
    found = search(job, Budget(batches=12, objectives=("deviation",), thresholds=False))
    rows = torch.randn(12 * 4096, 8, generator=torch.Generator().manual_seed(0)).to(job.format.dtype)
    random = float(job.subject.measure(job.law, {"logits": rows}).deviation.max())
    assert found.best[0].score > least
    assert found.best[0].score > 1.3 * random


def test_a_bug_that_shows_on_one_combination_of_bits_is_climbed_to() -> None:
    """The error grows as two logits approach each other, and is zero if they are equal."""

    def nearly(logits: Tensor) -> Tensor:
        p = shifted(logits)
        gap = (logits[:, :1] - logits[:, 1:2]).abs()
        return torch.where((gap > 0) & (logits.abs().amax(-1, keepdim=True) < 4), p * (1 + 1e-5 / (gap + 1e-3)), p)

    found = search(job_of(nearly), Budget(batches=60, objectives=("ratio",), thresholds=False))
    row = found.example("ratio")["logits"][0]
    assert found.best[0].score > 5e3
    assert 0 < abs(float(row[0] - row[1])) < 1e-3


def test_a_search_ends_where_nothing_worse_can_be_found() -> None:
    """Infinity is the largest deviation."""

    def overflowing(logits: Tensor) -> Tensor:
        return logits.exp() / logits.exp().sum(-1, keepdim=True)

    found = search(job_of(overflowing), Budget(batches=1000))
    assert found.rows == 4096
    assert all(one.score == np.inf for one in found.best)


def test_time_bounds_a_search_where_batches_do_not() -> None:
    """The search uses the given clock."""
    ticks = iter(range(1000))
    found = search(job_of(), Budget(batches=0, seconds=5.0), clock=lambda: float(next(ticks)))
    assert found.rows == 4 * 4096


@pytest.mark.parametrize("objective", ["deviation", "ratio"])
def test_the_witness_is_measured_by_ball_arithmetic_and_replays(objective: Any) -> None:
    """The recorded deviation is that measured on its example, and not smaller than in the search."""
    job = job_of()
    outcome = search(job, Budget(batches=6))
    record = witness(job, outcome, objective)
    with confirming():
        measurement = job.subject.measure(job.law, decode_example(record.example, job.contract))
    assert record.deviation == float(measurement.deviation[record.place])
    assert record.bound == float(measurement.bound[record.place])
    score = next(one.score for one in outcome.best if one.objective == objective)
    size = record.deviation if objective == "deviation" else record.deviation / record.bound
    assert size >= score * (1 - 1e-6)
    assert record.evidence == "searched"
    assert not record.broken


def test_rows_are_written_as_integers_and_read_back() -> None:
    """Weights of the law of the gradient are included."""
    encoding = ExampleEncoding(job_of(law="gradient"))
    rows = encoding.seeds(64, np.random.default_rng(0), near_thresholds=True)
    example = encoding.decode(rows)
    assert {name: tuple(value.shape) for name, value in example.items()} == {"logits": (64, 8), "cotangent": (64, 8)}
    assert np.array_equal(encoding.encode(example), rows)


@pytest.mark.parametrize("mutate", [one for one, _ in MUTATIONS], ids=lambda one: one.__name__)
def test_every_mutation_changes_rows_and_stays_in_the_domain(mutate: Mutation) -> None:
    """The number of rows stays the same, and no entry exceeds the limit of the contract."""
    encoding = ExampleEncoding(job_of(dtype="float16"))
    rng = np.random.default_rng(0)
    rows = encoding.seeds(256, rng, near_thresholds=False)
    before = rows.copy()
    after = encoding.clip_to_domain(mutate(rows, encoding, rng))
    assert np.array_equal(rows, before)
    assert after.shape == rows.shape
    assert (after != before).any(1).mean() > 0.2
    assert float(encoding.decode(after)["logits"].abs().max()) <= encoding.job.format.max / 16


def test_labels_are_searched_as_classes() -> None:
    """Labels of a cross-entropy stay below the number of classes, and vary."""
    job = job_of(torch.nn.functional.cross_entropy, "cross_entropy")
    found = search(job, Budget(batches=3))
    label = found.example("ratio")["labels"]
    assert label.dtype == torch.int64
    rows = mutate_rows(
        found.encoding.seeds(512, np.random.default_rng(0), near_thresholds=False),
        found.encoding,
        np.random.default_rng(1),
    )
    labels = found.encoding.decode(rows)["labels"]
    assert 0 <= int(labels.min()) < int(labels.max()) <= 7


def test_a_contract_without_searchable_inputs_is_not_searched() -> None:
    """A linear map has only rays of lengths."""
    assert not is_searchable(job_of(torch.nn.functional.linear, "linear"))
    assert is_searchable(job_of())


def test_a_profile_has_bounds_and_deviations_and_counts_every_element() -> None:
    """The result is reproducible."""
    job = job_of()
    found = profile(job, 3)
    assert found == profile(job, 3)
    assert sum(found.counts) == 4096 * 8
    assert len(found.magnitudes) == len(found.deviations) == len(found.bounds) > 40
    assert all(deviation <= bound for deviation, bound in zip(found.deviations, found.bounds, strict=True))
    assert found.deviations[-1] < max(found.deviations)


def test_thresholds_among_the_seeds_can_be_left_out() -> None:
    """With them some rows are near ln(max), without them only by chance."""
    encoding = ExampleEncoding(job_of())
    at = int(to_ordinal(torch.tensor(88.72284)))
    near, far = (encoding.seeds(4096, np.random.default_rng(0), near_thresholds=wanted) for wanted in (True, False))
    assert (np.abs(near - at) <= 4).any()
    assert not (np.abs(far - at) <= 4).any()
