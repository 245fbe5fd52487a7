"""What is wrong on one kind of input alone is seen by the law that draws this kind."""

import pytest
from samples.never_tried import WRONG, Wrong

import harness
from harness.record import Status


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.contract}-{wrong.name}-{wrong.dtype}")
def test_what_is_wrong_on_one_kind_of_input_is_seen(wrong: Wrong) -> None:
    """By drawing alone."""
    (verdict,) = harness.check(wrong.function, wrong.contract, laws=[wrong.law], dtypes=[wrong.dtype], corpora=())
    assert verdict.status is Status.BROKEN, verdict.reason


@pytest.mark.parametrize("seed", [1, 2])
def test_no_run_leaves_a_quarter_of_a_block_out(seed: int) -> None:
    """Whatever the seed."""
    (wrong,) = (wrong for wrong in WRONG if "modulo" in wrong.name)
    (verdict,) = harness.check(wrong.function, "softmax", laws=[wrong.law], dtypes=["float32"], corpora=(), seed=seed)
    assert verdict.status is Status.BROKEN


def test_seeds_sweep_the_lengths_between_the_edges() -> None:
    """Other ones each."""
    lengths: set[int] = set()
    for seed in range(4):
        harness.check(
            lambda x: (lengths.add(x.shape[-1]), x.softmax(-1))[1],
            "softmax",
            laws=["value_on_long_rows"],
            dtypes=["float32"],
            corpora=(),
            seed=seed,
        )
    assert len(lengths) > 30
