"""``python -m delivery.fresh [NAMES]`` in ``tests/``: loaders that were written before a change of the laws."""

import sys
from importlib.util import find_spec
from typing import Any

from delivery import fresh_sound, fresh_wrong
from delivery.judging import judged
from delivery.known import Known

WEBDATASET, DATASETS, TORCHDATA = "webdataset", "datasets", "torchdata"

WRONG: list[tuple[str, str, str]] = [
    ("archives_not_split_among_workers", "each_sample_once", WEBDATASET),
    ("last_batch_of_the_archives_is_dropped", "samples_do_not_depend_on_the_batch_size", WEBDATASET),
    ("table_shuffled_when_made", "epochs_are_shuffled_anew", DATASETS),
    ("stream_shuffled_without_its_epoch", "epochs_are_shuffled_anew", DATASETS),
    ("table_sharded_by_rank", "ranks_share_an_epoch", DATASETS),
    ("batcher_with_its_defaults", "samples_do_not_depend_on_the_batch_size", TORCHDATA),
    ("stream_resumes_one_too_late", "resumes_where_it_stopped", TORCHDATA),
    ("epoch_stays_in_the_wrapper", "epochs_are_shuffled_anew", ""),
    ("every_third_sample", "ranks_share_an_epoch", ""),
    ("first_batch_lost_on_reiteration", "each_sample_once", ""),
    ("cycled", "epochs_are_shuffled_anew", ""),
    ("labels_of_the_batch_before", "samples_stay_together", ""),
    ("labels_shifted", "samples_are_whole", ""),
    ("images_shuffled_again_in_the_third_epoch", "samples_stay_together", ""),
    ("prefetcher_keeps_the_last_batch", "each_sample_once", ""),
    ("last_batch_twice", "each_sample_once", ""),
    ("thread_dies_quietly", "errors_are_not_swallowed", ""),
    ("batches_as_they_are_completed", "order_depends_on_the_seed_alone", ""),
    ("generator_in_a_closure", "random_numbers_differ", ""),
    ("generator_of_the_module", "random_numbers_differ", ""),
    ("workers_seeded_with_42", "random_numbers_differ", ""),
    ("augmented_samples_are_cached", "random_numbers_differ", ""),
    ("collate_appends_to_the_data", "samples_are_whole", ""),
    ("one_pinned_buffer", "batches_stay_what_they_were", ""),
    ("standardized_by_the_batch", "samples_do_not_depend_on_the_batch_size", ""),
    ("persistent_workers_with_a_stale_epoch", "set_epoch_is_heard", ""),
    ("whole_turns_only", "each_sample_once", ""),
    ("shuffle_is_lost", "epochs_are_shuffled_anew", ""),
]
"""Each with a law that it breaks, and the package that it needs."""

SOUND: list[tuple[str, str]] = [
    ("archives", WEBDATASET),
    ("nodes_prefetched", TORCHDATA),
    ("table_in_order", DATASETS),
    ("table_augmented", DATASETS),
    ("stream_with_its_epoch", DATASETS),
    ("shuffled_in_a_buffer", ""),
    ("moved_to_the_device", ""),
    ("in_the_background", ""),
    ("lines_in_turns", ""),
    ("distributed_in_a_wrapper", ""),
    ("file_opened_by_the_worker", ""),
    ("generator_of_the_worker", ""),
    ("decoded_once_augmented_each_time", ""),
    ("drawn_with_replacement", ""),
    ("mixed_up", ""),
    ("several_scales", ""),
    ("sentences_of_similar_length", ""),
]


def reference(i: int) -> Any:
    """The photo of an index, as it should be."""
    return fresh_wrong.Photos()[i]


DECLARED: dict[str, dict[str, Any]] = {
    "labels_shifted": {"reference": reference},
    "stream_with_its_epoch": {"order": "workers"},
}
"""Declarations: a reference for faults that need one, and an order that depends on the workers."""


def known() -> list[Known]:
    """Return the wrong loaders whose packages are installed."""
    return [
        Known(getattr(fresh_wrong, name), law, "", "fresh", DECLARED.get(name, {}))
        for name, law, package in WRONG
        if _is_there(package)
    ]


def sound() -> list[tuple[Any, dict[str, Any]]]:
    """Return the sound loaders whose packages are installed."""
    return [(getattr(fresh_sound, name), DECLARED.get(name, {})) for name, package in SOUND if _is_there(package)]


def _is_there(package: str) -> bool:
    return not package or find_spec(package) is not None


if __name__ == "__main__":
    sys.exit(judged(known(), sound(), sys.argv[1:]))
