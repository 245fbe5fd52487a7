"""Wrong loaders with their sources and expected messages, and sound ones, written before the laws were tuned.

Those in `FRESH` were written later, before a change of the laws.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from delivery import (
    blind,
    fresh_sound,
    fresh_wrong,
    own_loaders,
    sound,
    unseen_sound,
    unseen_wrong,
    wrong_ends,
    wrong_order,
    wrong_samples,
)
from delivery.wrong_samples import Squares

BATCH_SIZE = "samples_do_not_depend_on_the_batch_size"


@dataclass(frozen=True)
class Known:
    """A wrong loader.

    ``law`` is a law that it breaks, or the kind of fault if it does not deliver. ``says`` is part of the expected
    message. ``source`` is where the defect was reported. ``declares`` has the declarations of its author.
    """

    function: Any
    law: str
    says: str
    source: str
    declares: Mapping[str, Any] = field(default_factory=dict)


def _of(module: Any, rows: list[tuple[Any, ...]]) -> list[Known]:
    return [Known(getattr(module, name), *facts) for name, *facts in rows]


SAMPLES = _of(
    wrong_samples,
    [
        ("not_split_among_workers", "each_sample_once", "twice", "pytorch 30599, datasets 3423, tfrecord 78"),
        ("rest_of_the_shards_is_nobodys", "each_sample_once", "never", "webdataset 65, Megatron-Energon 145"),
        ("shards_in_the_order_of_a_set", "each_sample_once", "arrive twice", "datasets 5729, noether 180"),
        ("last_batch_dropped_unasked", "each_sample_once", "never", "fastai 1557, PromptSRC 22"),
        ("second_epoch_is_empty", "each_sample_once", "second epoch", "pytorch/text 1282, 1396, DALI 1471"),
        ("corrupt_sample_filtered_out", "each_sample_once", "7", "pytorch 57429, DeepFake-Detection 5"),
        (
            "next_sample_instead",
            "samples_are_whole",
            "7",
            "clip-retrieval 13, pytorch 1137",
            {"reference": Squares().__getitem__},
        ),
        ("last_sample_never", "lengths_are_as_declared", "40", "DALI 2607"),
        ("each_worker_drops_its_last", "each_sample_once", "never", "pytorch 33413"),
        ("rest_of_the_ranks_is_nobodys", "ranks_share_an_epoch", "never", "accelerate 2316"),
        ("ranks_shuffle_apart", "ranks_share_an_epoch", "twice", "distributed_tutorial 5"),
        ("ranks_padded_to_whole_batches", "ranks_share_an_epoch", "padding", "accelerate 781, pytorch 25162"),
        ("length_counts_samples", "lengths_are_as_declared", "41", "pytorch 36176, 37753, 40972"),
        (
            "length_counts_the_dropped",
            "lengths_are_as_declared",
            "batches",
            "DALI 2607, litData 402, jax-dataloader 33",
        ),
        ("batch_size_not_passed_on", "batches_have_the_size_asked_for", "instead of 4", "accelerate 121"),
        ("drop_last_not_respected", "batches_have_the_size_asked_for", "drop_last", "litData 442"),
        ("labels_not_shuffled", "samples_stay_together", "", "accelerate 4238"),
        ("file_shared_by_workers", "each_sample_once", "", "mxnet 10628, numpy 18124, VisCy 417, pytorch 11887"),
        ("targets_truncated", "samples_are_whole", "", "pytorch 1919"),
        ("normalized_in_place", "samples_are_whole", "", "pycls 21, doctr 840, PaddleX 720"),
        ("one_buffer_for_all_batches", "batches_stay_what_they_were", "", "spdl 1636, insitubatch 21"),
        ("batches_are_views_of_the_data", "writing_into_a_batch_changes_nothing", "", "yin_yang_data_set 4"),
    ],
)

ORDER = _of(
    wrong_order,
    [
        ("order_depends_on_workers", "order_depends_on_the_seed_alone", "workers", "MONAI 4569, DIGITS 883, trl 6351"),
        ("shuffled_once", "epochs_are_shuffled_anew", "", "pytorch 11324"),
        ("set_epoch_not_called", "epochs_are_shuffled_anew", "", "pytorch 31771, 40043, ParallelWaveGAN 177"),
        ("epoch_ignored", "epochs_are_shuffled_anew", "epoch", "DALLE-pytorch 230, SimCLR 26"),
        ("seed_ignored", "the_same_seed_gives_the_same_epoch", "", "torchtune 55, open_clip 734"),
        ("seed_constant", "order_depends_on_the_seed_alone", "seed", "torchtune 131"),
        ("always_shuffled", "epochs_are_shuffled_anew", "", "catalyst 210"),
        ("epoch_not_heard_by_workers", "set_epoch_is_heard", "", "datasets 6673, starVLA 470, VeOmni 940"),
        ("generator_inherited_by_workers", "random_numbers_differ", "", "pytorch-3dunet 32, MONAI 1066"),
        ("workers_seeded_alike", "random_numbers_differ", "", "pytorch 5059, OpenPCDet 886, fairseq 1383"),
        ("each_epoch_seeded_alike", "random_numbers_differ", "epoch", "CenterNet 233, Lightning 20412"),
        ("every_sample_seeded_alike", "random_numbers_differ", "", "PyTorchStepByStep 33, torchio 191"),
        ("global_generator_seeded", "the_global_random_state_is_left_alone", "", "vision-datasets 13, MXtalTools 156"),
        ("workers_seeded_by_the_clock", "the_same_seed_gives_the_same_epoch", "", "Open3D-ML 254"),
    ],
)

ENDS = _of(
    wrong_ends,
    [
        ("order_redrawn_on_resuming", "resumes_where_it_stopped", "", "transgenic 59, accelerate 2016"),
        ("second_resumption_lost", "resumes_where_it_stopped", "", "KempnerForge 57"),
        ("state_of_what_was_fetched", "resumes_where_it_stopped", "", "prime-rl 3299"),
        ("random_numbers_not_resumed", "resumes_where_it_stopped", "", "datasets 5454"),
        ("nothing_after_resuming_at_the_end", "resumes_where_it_stopped", "", "torchdata 1437"),
        ("batches_that_raise_are_skipped", "errors_are_not_swallowed", "", "pytorch 1137"),
        ("epoch_ends_where_its_thread_dies", "errors_are_not_swallowed", "", "ami-data-companion 140"),
        ("a_process_more_each_epoch", "nothing_is_left_behind", "process", "sentiment-discovery 60, pytorch 22133"),
        ("everything_delivered_is_kept", "memory_does_not_grow", "", "torchdata 1185, pytorch 20433"),
        ("a_file_more_each_epoch", "nothing_is_left_behind", "file", "pytorch 973"),
        ("epoch_left_early_goes_on", "an_epoch_left_early_spoils_none", "", "ignite 1094"),
    ],
)

FAULTS = _of(
    wrong_ends,
    [
        ("hangs_at_a_sample", "hung", "index 13", "ami-data-companion 140"),
        ("worker_ends_at_a_sample", "killed", "index 13", "lepard 12"),
        ("ragged_batch", "raised", "13", "ami-data-companion 88"),
        ("cannot_be_sent_to_workers", "raised", "sent to a worker", "ames 9"),
        ("length_lies", "raised", "index 41", "easytorch 145"),
        ("needs_a_gpu", "raised", "index 0", "MXtalTools 156"),
        ("shared_memory_exhausted", "memory", "shared memory is exhausted", "pytorch 92134"),
    ],
)

OWN = _of(
    own_loaders,
    [
        ("length_rounds_down", "lengths_are_as_declared", "`len` reports 33 batches", "own"),
        ("labels_of_the_first_epoch", "samples_stay_together", "epoch combine parts of different", "own"),
        ("generator_made_by_the_first_sample", "random_numbers_differ", "draw the same random numbers", "own"),
        ("rest_is_dropped", BATCH_SIZE, "with batch_size=3, 99 samples arrive; with batch_size=2, 100 arrive", "own"),
        ("rest_is_filled", BATCH_SIZE, "with batch_size=3, 102 samples arrive; with batch_size=4, 100 arrive", "own"),
        ("seeded_by_the_batch", BATCH_SIZE, "of the samples that arrive with batch_size=3 are missing with", "own"),
        ("ranks_in_blocks", "ranks_share_an_epoch", "the ranks have 32 and 34 samples over 3 ranks", "own"),
    ],
)
"""Loader classes without torch's loader."""

WRAPPED = _of(
    own_loaders,
    [
        ("wrapper_skips_a_batch", "each_sample_once", "4 of 41 samples never arrive: 0 to 3", "own"),
        ("samples_that_raise_are_left_out", "errors_are_not_swallowed", "with 40 of 41 samples", "own"),
        ("wrapper_swallows_errors", "errors_are_not_swallowed", "the epoch ends without an error", "own"),
        ("wrapper_swallows_errors_and_divides", "errors_are_not_swallowed", "the epoch ends without an error", "own"),
        ("wrapper_of_lazy_generators", "random_numbers_differ", "draw the same random numbers", "own"),
    ],
)


def _fresh(package: str, **laws: str) -> list[Known]:
    """Wrong loaders that were written before a change of the laws, if their package is installed."""
    there = not package or find_spec(package) is not None
    declares = {"labels_shifted": {"reference": lambda i: fresh_wrong.Photos()[i]}}
    return [
        Known(getattr(fresh_wrong, name), law, "", "fresh", declares.get(name, {}))
        for name, law in laws.items()
        if there
    ]


FRESH = [
    *_fresh(
        "webdataset",
        archives_not_split_among_workers="each_sample_once",
        last_batch_of_the_archives_is_dropped=BATCH_SIZE,
    ),
    *_fresh(
        "datasets",
        table_shuffled_when_made="epochs_are_shuffled_anew",
        stream_shuffled_without_its_epoch="epochs_are_shuffled_anew",
        table_sharded_by_rank="ranks_share_an_epoch",
    ),
    *_fresh(
        "torchdata",
        batcher_with_its_defaults=BATCH_SIZE,
        stream_resumes_one_too_late="resumes_where_it_stopped",
    ),
    *_fresh(
        "",
        epoch_stays_in_the_wrapper="epochs_are_shuffled_anew",
        every_third_sample="ranks_share_an_epoch",
        first_batch_lost_on_reiteration="each_sample_once",
        cycled="epochs_are_shuffled_anew",
        labels_of_the_batch_before="samples_stay_together",
        labels_shifted="samples_are_whole",
        images_shuffled_again_in_the_third_epoch="samples_stay_together",
        prefetcher_keeps_the_last_batch="each_sample_once",
        last_batch_twice="each_sample_once",
        thread_dies_quietly="errors_are_not_swallowed",
        batches_as_they_are_completed="order_depends_on_the_seed_alone",
        generator_in_a_closure="random_numbers_differ",
        generator_of_the_module="random_numbers_differ",
        workers_seeded_with_42="random_numbers_differ",
        augmented_samples_are_cached="random_numbers_differ",
        collate_appends_to_the_data="samples_are_whole",
        one_pinned_buffer="batches_stay_what_they_were",
        standardized_by_the_batch=BATCH_SIZE,
        persistent_workers_with_a_stale_epoch="set_epoch_is_heard",
        whole_turns_only="each_sample_once",
        shuffle_is_lost="epochs_are_shuffled_anew",
    ),
]

UNSEEN = _of(
    unseen_wrong,
    [
        ("rank_plus_worker", "ranks_share_an_epoch", "over 2 ranks with 2 workers each", "own"),
        ("worker_shuffles_its_own_list", "each_sample_once", "arrive twice", "own"),
        ("ranks_augment_alike", "random_numbers_differ", "of rank 0 and sample 1 of rank 1", "own"),
        ("split_in_each_process", "ranks_share_an_epoch", "are not in the data set", "own"),
        ("classes_from_a_set", "samples_are_whole", "the order of a set", "own"),
        ("weights_lost_in_ranks", "ranks_share_an_epoch", "the weights are lost in ranks", "own"),
        ("class_weights_for_samples", "each_sample_once", "not for each class", "own"),
        ("weights_without_effect", "each_sample_once", "its weights have no effect", "own"),
        ("thread_left_after_break", "nothing_is_left_behind", "one thread remains", "own"),
        ("process_left_after_break", "an_epoch_left_early_spoils_none", "", "own"),
        ("file_read_on_after_break", "an_epoch_left_early_spoils_none", "the next one has 39 of 47", "own"),
        ("state_is_live", "resumes_where_it_stopped", "", "own"),
        ("length_rounded_down_in_order", "lengths_are_as_declared", "`len` reports 11 batches", "own"),
        ("last_is_always_last", "epochs_are_shuffled_anew", "sample 46 has place 46", "own"),
        ("rest_of_the_buckets_is_lost", "each_sample_once", "never arrive", "own"),
        ("epoch_for_the_first_worker", "set_epoch_is_heard", "23 of 47 samples are the same", "own"),
        ("noise_added_in_place", "samples_are_whole", "with the same random numbers", "own"),
        ("mapped_file_is_augmented", "samples_are_whole", "with the same random numbers", "own"),
        ("cache_by_name", "samples_are_whole", "in another order", "own"),
        ("offset_shared_since_the_length", "state", "share the place in the open file `records.bin`", "own"),
        ("maps_kept_open", "nothing_is_left_behind", "47 more files are open after each epoch", "own"),
        ("shared_block_not_unlinked", "nothing_is_left_behind", "block of shared memory", "own"),
        ("sorted_without_the_labels", "samples_stay_together", "", "own"),
        ("cut_to_the_first", "samples_are_whole", "has shape", "own"),
        ("ring_of_buffers", "batches_stay_what_they_were", "", "own"),
    ],
)
"""Wrong loaders that were written before the second change of the laws."""

WRONG = [*SAMPLES, *ORDER, *ENDS, *FAULTS]

SOUND: list[tuple[Any, dict[str, Any]]] = [
    (loader, {})
    for loader in (
        *(sound.slices, sound.generator, sound.generator_of_an_epoch, sound.stream_of_batches, sound.sharded),
        *(sound.padded, sound.BUCKETS, sound.fetched_at_once, sound.sampler_of_batches, sound.dictionaries_with_words),
        *(sound.epoch_in_shared_memory, sound.ordinary_augmentation, sound.WEIGHTED, sound.distributed),
        *(sound.resumes_exactly, sound.equal_samples, sound.cached, sound.memory_mapped, sound.one_sample),
        *(sound.lists_of_tensors, sound.endless, sound.in_a_thread, sound.spawned, sound.talkative),
        *(sound.nothing_collated, sound.DATA_SET, sound.STREAM),
    )
]
"""Sound loaders with the declarations of their authors."""

NEEDS = {
    "archives": "webdataset",
    "nodes_prefetched": "torchdata",
    **dict.fromkeys(("table_in_order", "table_augmented", "stream_with_its_epoch"), "datasets"),
}

FRESH_SOUND: list[tuple[Any, dict[str, Any]]] = [
    (loader, {"order": "workers"} if loader is fresh_sound.stream_with_its_epoch else {})
    for loader in (
        *(fresh_sound.archives, fresh_sound.nodes_prefetched, fresh_sound.table_in_order, fresh_sound.table_augmented),
        *(fresh_sound.stream_with_its_epoch, fresh_sound.shuffled_in_a_buffer, fresh_sound.moved_to_the_device),
        *(fresh_sound.in_the_background, fresh_sound.lines_in_turns, fresh_sound.distributed_in_a_wrapper),
        *(fresh_sound.file_opened_by_the_worker, fresh_sound.generator_of_the_worker),
        *(fresh_sound.decoded_once_augmented_each_time, fresh_sound.drawn_with_replacement, fresh_sound.mixed_up),
        *(fresh_sound.several_scales, fresh_sound.sentences_of_similar_length),
    )
    if find_spec(NEEDS.get(loader.__name__, "torch"))
]
"""Sound loaders that were written before a change of the laws, if their package is installed."""

UNSEEN_SOUND: list[tuple[Any, dict[str, Any]]] = [
    (loader, {})
    for name, loader in vars(unseen_sound).items()
    if getattr(loader, "__module__", "") == unseen_sound.__name__ and name[0].islower()
]
"""Sound loaders that were written before the second change of the laws."""

BLIND = [Known(wrong, law, "", "own") for wrong, _, _, law in blind.TRUTH]
BLIND_SOUND: list[tuple[Any, dict[str, Any]]] = [(sound, {}) for _, sound, _, _ in blind.TRUTH if sound]
"""Loaders of the blind set, which were written before the third change of the laws."""
