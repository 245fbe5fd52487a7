"""Laws of loaders: each defect of a real loader is found and described, and no sound loader is flagged.

``python -m delivery`` checks all loaders against all laws. These tests check each wrong loader against the law that it
breaks, and the sound loaders without workers against all laws.
"""

from typing import Any

import pytest
from delivery import fresh_sound, sound
from delivery.judging import is_found, name_of, said, verdicts
from delivery.known import ENDS, FAULTS, FRESH, ORDER, OWN, SAMPLES, UNSEEN, UNSEEN_SOUND, WRAPPED, Known
from delivery.shipped import SHIPPED

from harness.record import Status, Verdict

pytestmark = pytest.mark.judged

AT_ONCE = [known for known in (*SAMPLES, *ORDER, *ENDS, *OWN, *WRAPPED) if known.law != "nothing_is_left_behind"]
IN_A_WHOLE_CHECK = {"process_left_after_break", "offset_shared_since_the_length"}
"""The finding is that of another law, or a fault."""
AT_ONCE_UNSEEN = [known for known in UNSEEN if known.function.__name__ not in IN_A_WHOLE_CHECK]
QUICK = [
    *(sound.slices, sound.generator, sound.generator_of_an_epoch, sound.stream_of_batches, sound.resumes_exactly),
    *(sound.in_a_thread, sound.talkative, sound.WEIGHTED, sound.nothing_collated),
]
QUICK_UNSEEN = {
    *("ranks_augment_apart", "weights_in_ranks", "thread_ends_with_its_epoch", "pool_of_threads"),
    *("file_opened_for_each_epoch", "length_in_every_order", "readings_are_counted", "four_maps_kept_open"),
    "shared_block_unlinked",
}
"""Those without workers."""
UNRAISABLE = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
FAULTY = [known for known in FAULTS if known.law != "hung" and known.function.__name__ != "cannot_be_sent_to_workers"]


@pytest.mark.parametrize(
    "known",
    [*AT_ONCE, *(pytest.param(known, marks=UNRAISABLE) for known in (*FRESH, *AT_ONCE_UNSEEN))],
    ids=lambda known: name_of(known.function),
)
def test_the_defect_of_a_loader_is_found_and_described(known: Known) -> None:
    """The law about the defect breaks, and its message describes the defect."""
    reached = verdicts(known.function, known.declares, laws=[known.law])
    assert is_found(known, reached), [said(one) for one in reached]


@pytest.mark.parametrize("known", FAULTY, ids=lambda known: name_of(known.function))
def test_a_loader_that_does_not_deliver_is_an_error_with_its_index(known: Known) -> None:
    """No law holds."""
    reached = verdicts(known.function, known.declares, laws=["each_sample_once"])
    assert is_found(known, reached), [said(one) for one in reached]


@pytest.mark.parametrize("target", QUICK, ids=name_of)
def test_a_sound_loader_of_an_unusual_kind_is_not_flagged(target: Any) -> None:
    """No law breaks, and at least eight hold."""
    reached = verdicts(target, {})
    assert not [said(one) for one in reached if one.status.fails]
    assert sum(one.status is Status.HOLDS for one in reached) >= 8


@UNRAISABLE
@pytest.mark.parametrize("name", ["shuffled_in_a_buffer", "distributed_in_a_wrapper", "sentences_of_similar_length"])
def test_a_sound_fresh_loader_is_not_flagged(name: str) -> None:
    """By no law."""
    assert not [said(one) for one in verdicts(getattr(fresh_sound, name), {}) if one.status.fails]


@UNRAISABLE
@pytest.mark.parametrize("target", [target for target, _ in UNSEEN_SOUND if target.__name__ in QUICK_UNSEEN])
def test_a_sound_loader_next_to_a_wrong_one_is_not_flagged(target: Any) -> None:
    """It does the same work correctly."""
    assert not [said(one) for one in verdicts(target, {}) if one.status.fails]


@UNRAISABLE
def test_a_process_that_is_left_after_break_is_found_by_another_law() -> None:
    """The law about processes that outlive a loader reports it, even if an epoch is too slow to be repeated."""
    (known,) = (known for known in UNSEEN if known.function.__name__ == "process_left_after_break")
    *_, verdict = verdicts(known.function, {}, laws=["an_epoch_left_early_spoils_none", "nothing_is_left_behind"])
    assert "processes still running" in said(verdict)


@UNRAISABLE
def test_workers_that_share_the_place_in_a_file_are_named() -> None:
    """The race between them may end in any error."""
    (known,) = (known for known in UNSEEN if known.function.__name__ == "offset_shared_since_the_length")
    assert is_found(known, verdicts(known.function, {}, laws=["each_sample_once"]))


def test_a_sampler_of_index_tensors_hears_of_an_error_too() -> None:
    """The law counts samples and not batches."""
    (loader,) = (one for one in SHIPPED if name_of(one) == "index_tensor_loader")
    (verdict,) = verdicts(loader, {}, laws=["errors_are_not_swallowed"])
    assert verdict.status is Status.HOLDS, said(verdict)


def test_a_law_about_an_argument_that_a_factory_lacks_is_skipped() -> None:
    """The law is skipped with the reason."""
    (verdict,) = verdicts(sound.slices, {}, laws=["ranks_share_an_epoch"])
    assert (verdict.status, verdict.reason) == (
        Status.SKIPPED,
        "slices has no parameter `rank`, so this law does not apply",
    )


def test_a_verdict_on_a_loader_has_no_dtype_and_replays_its_options() -> None:
    """The dtype of the verdict is `any`, and the replay has the options of the loader."""
    verdict: Verdict
    (verdict,) = verdicts(AT_ONCE[0].function, {}, laws=["each_sample_once"])
    assert verdict.dtype == "any"
    assert verdict.violation is not None
    assert verdict.violation.example == {"num_workers": 2, "shuffle": False, "drop_last": False}
    assert "--dtypes" not in verdict.violation.replay
