"""Loader classes without torch's loader: their defects are found, and a sound one holds."""

from typing import Any

import pytest
from delivery import own_loaders, sound
from delivery.judging import said, verdicts

from harness.loading.delivery import Deliveries
from harness.loading.reader import Reader
from harness.loading.source import Source
from harness.record import Status

pytestmark = pytest.mark.judged


@pytest.mark.parametrize(
    "loader",
    [
        own_loaders.own,
        own_loaders.ranks_padded,
        own_loaders.noisy,
        own_loaders.item_by_item,
        own_loaders.wrapped,
        own_loaders.wrapped_and_scaled,
        own_loaders.wrapped_and_divided,
    ],
)
def test_a_sound_custom_loader_class_is_not_flagged(loader: Any) -> None:
    """No law breaks, and at least six hold; a wrapper hides no data set, so that at least 15 hold for it."""
    reached = verdicts(loader, {})
    assert not [said(one) for one in reached if one.status.fails]
    assert sum(one.status is Status.HOLDS for one in reached) >= (15 if loader is own_loaders.wrapped else 6)


def test_an_error_reaches_the_reader_of_a_custom_loader_class() -> None:
    """The law holds if the loader reads its data set sample by sample, and is skipped otherwise."""
    (verdict,) = verdicts(own_loaders.item_by_item, {}, laws=["errors_are_not_swallowed"])
    assert verdict.status is Status.HOLDS, said(verdict)
    (verdict,) = verdicts(sound.slices, {}, laws=["errors_are_not_swallowed"])
    assert verdict.status is Status.SKIPPED


def test_a_single_loader_object_is_unchanged_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Later laws are not affected by the error."""
    monkeypatch.setattr(own_loaders.ONE_OBJECT, "__name__", "ONE_OBJECT", raising=False)
    reached = verdicts(own_loaders.ONE_OBJECT, {}, laws=["errors_are_not_swallowed", "nothing_is_left_behind"])
    assert [one.status for one in reached] == [Status.HOLDS, Status.HOLDS], [said(one) for one in reached]


def test_what_is_written_into_a_batch_spoils_no_other_law() -> None:
    """Only the law about writing breaks, although the batches share the memory of the data."""
    reached = verdicts(own_loaders.views, {})
    assert [one.law for one in reached if one.status.fails] == ["writing_into_a_batch_changes_nothing"]


def test_random_numbers_that_cannot_be_observed_are_not_called_absent() -> None:
    """The samples differ from epoch to epoch, so that random numbers are used."""
    (verdict,) = verdicts(own_loaders.numbers_of_the_system, {}, laws=["random_numbers_differ"])
    assert (verdict.status, said(verdict)) == (
        Status.SKIPPED,
        "its samples differ each time they are read, but it draws from no generator that can be watched",
    )


def test_the_batch_size_leaves_a_rest_of_the_epoch_that_was_read() -> None:
    """The loader shows no data set, so that its samples are counted."""
    deliveries = Deliveries(Reader(Source(own_loaders.own, "own")), {})
    assert deliveries.info.samples is None
    assert own_loaders.HUNDRED % deliveries.batch_size
    assert len(deliveries.epochs(deliveries.request())[0].sizes) >= 10
