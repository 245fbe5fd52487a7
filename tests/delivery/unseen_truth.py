"""Faults of the loaders of :mod:`delivery.unseen_wrong`, shown by plain execution, without the harness.

`TRUTH` has a check for each loader, which is true for it, and false for its sound counterpart.
"""

import gc
import multiprocessing
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from delivery import unseen_sound as sound
from delivery import unseen_wrong as wrong
from delivery.unseen_wrong import PICTURES, N

FIRST = {float(picture.reshape(-1)[0]): i for i, picture in enumerate(PICTURES)}


def _rows(loader: Iterable[Any]) -> list[int]:
    """Return the numbers of the pictures, in the order in which they arrive."""
    return [FIRST[float(picture.reshape(-1)[0])] for pictures, _ in loader for picture in pictures]


def _break_epochs(loader: Any) -> None:
    for _ in range(5):
        batches = iter(loader)
        next(batches)
        del batches
        gc.collect()


def _in_a_process(make: Any, *, seed: str = "0", **options: Any) -> str:
    """Return the labels or rows of an epoch in a fresh process."""
    code = (
        f"from {make.__module__} import {make.__name__} as make\n"
        f"print([float(part.sum()) for batch in make(4, **{options!r}) for part in batch])"
    )
    variables = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True
    ).stdout


def _hashes_matter(make: Any) -> bool:
    """Compare the labels of up to three processes, each of which has to import torch."""
    first = _in_a_process(make)
    return any(_in_a_process(make, seed=seed) != first for seed in ("1", "2"))


def _not_each_once(make: Any, n: int = N, world_size: int = 1, **options: Any) -> bool:
    ranks = [{"rank": rank, "world_size": world_size} for rank in range(world_size)] if world_size > 1 else [{}]
    rows = [row for rank in ranks for row in _rows(make(4, **rank, **options))]
    return sorted(rows) != list(range(n))


def _noise_repeats(make: Any) -> bool:
    """Compare the noise of two ranks, which alternate in the order of the samples."""
    ranks = [torch.cat([pictures for pictures, _ in make(4, rank=rank, world_size=2)]) for rank in range(2)]
    first, second = (pictures[:23, 0, 0, 0] - PICTURES[rank:46:2, 0, 0, 0] for rank, pictures in enumerate(ranks))
    return torch.allclose(first, second, atol=1e-6)


def _owls_per_epoch(make: Any, world_size: int) -> float:
    """Return the share of the rare kinds in twenty epochs."""
    labels = [
        int(label)
        for epoch in range(20)
        for rank in range(world_size)
        for _, batch in make(4, epoch=epoch, rank=rank, world_size=world_size)
        for label in batch
    ]
    return sum(label > 1 for label in labels) / len(labels)


def _unbalanced_in_ranks(make: Any) -> bool:
    return abs(_owls_per_epoch(make, 1) - _owls_per_epoch(make, 2)) > 0.1


def _threads_left(make: Any) -> bool:
    loader = make(4)
    _break_epochs(loader)
    before = threading.active_count()
    _break_epochs(loader)
    return threading.active_count() >= before + 5


def _processes_left(make: Any) -> bool:
    _break_epochs(make(4))
    return len(multiprocessing.active_children()) >= 5


def _first_rows(make: Any) -> bool:
    """Leave an epoch early, and look where the next begins."""
    loader = make(4)
    next(iter(loader))
    return float(next(iter(loader))[0, 0]) != 0


def _state_moves(make: Any) -> bool:
    loader = make(4)
    batches = iter(loader)
    next(batches)
    state = loader.state_dict()
    before = dict(state)
    next(batches)
    return state != before


def _wrong_length(make: Any) -> bool:
    return any(len(make(4, shuffle=shuffle)) != len(list(make(4, shuffle=shuffle))) for shuffle in (False, True))


def _last_stays(make: Any) -> bool:
    loader = make(4)
    return {_rows(loader)[-1] for _ in range(20)} == {N - 1}


def _sentences_lost(make: Any) -> bool:
    return sorted(int(row) for _, rows in make(4) for row in rows) != list(range(N))


def _epoch_is_stale(make: Any) -> bool:
    """Compare the epochs in which the second worker makes the second batch."""
    loader, seconds = make(4, num_workers=2), []
    for epoch in range(2):
        loader.set_epoch(epoch)
        seconds.append(list(loader)[1][0])
    return torch.equal(*seconds)


def _data_change(make: Any) -> bool:
    """Compare sample 5, with the same random numbers, before and after three epochs."""
    loader, samples = make(4), []
    for _ in range(2):
        torch.manual_seed(0)
        samples.append(loader.dataset[5][0].clone())
        for _ in range(3):
            list(loader)
    return not torch.equal(*samples)


def _file_changes(make: Any) -> bool:
    loader = make(4, num_workers=2)
    before = loader.dataset.path.read_bytes()
    list(loader)
    return loader.dataset.path.read_bytes() != before


def _records_mixed(make: Any) -> bool:
    """Read up to twenty epochs until a record is wrong or short: the workers race."""
    loader, records = make(4, num_workers=2), torch.arange(float(N)).repeat_interleave(1024).view(N, 1024)
    try:
        return any(not torch.equal(torch.cat(list(loader)), records) for _ in range(20))
    except RuntimeError:
        return True


def _files_left(make: Any) -> bool:
    loader = make(4)
    counts = []
    for _ in range(3):
        list(loader)
        counts.append(len(list(Path("/proc/self/fd").iterdir())))
    return counts[2] - counts[1] >= N


def _blocks_left(make: Any) -> bool:
    before = {path.name for path in Path("/dev/shm").glob("psm_*")}  # noqa: S108 - it is the place of such blocks
    list(make(4))
    left = {path.name for path in Path("/dev/shm").glob("psm_*")} - before  # noqa: S108
    for name in left:
        block = wrong.SharedMemory(name)
        block.close()
        block.unlink()
    return bool(left)


def _labels_of_others(make: Any) -> bool:
    return any(
        int(row[0]) != label + 1 for tokens, _, labels in make(4) for row, label in zip(tokens, labels, strict=True)
    )


def _tokens_lost(make: Any) -> bool:
    return any(
        int((row > 0).sum()) != 2 + label % 6
        for tokens, labels in make(4)
        for row, label in zip(tokens, labels, strict=True)
    )


def _batch_changes(make: Any) -> bool:
    batches = iter(make(4))
    first = next(batches)[0]
    before = first.clone()
    list(islice(batches, 6))
    return not torch.equal(first, before)


def _without_weights(make: Any) -> bool:
    loader = make(4)
    counts = Counter(row for _ in range(10) for row in _rows(loader))
    return set(counts.values()) == {10}


Check = Callable[[Any], bool]
TRUTH: list[tuple[Any, Any, Check]] = [
    (
        wrong.rank_plus_worker,
        sound.ranks_and_workers,
        lambda make: _not_each_once(make, N + 1, 2, num_workers=2),
    ),
    (wrong.worker_shuffles_its_own_list, None, lambda make: _not_each_once(make, num_workers=2, shuffle=True)),
    (wrong.ranks_augment_alike, sound.ranks_augment_apart, _noise_repeats),
    (wrong.split_in_each_process, None, lambda make: _in_a_process(make) != _in_a_process(make)),
    (wrong.classes_from_a_set, sound.classes_from_a_sorted_set, _hashes_matter),
    (wrong.weights_lost_in_ranks, sound.weights_in_ranks, _unbalanced_in_ranks),
    (wrong.class_weights_for_samples, None, lambda make: set(_rows(make(4))) <= set(range(4))),
    (wrong.weights_without_effect, sound.weighted_part_without_replacement, _without_weights),
    (wrong.thread_left_after_break, sound.thread_ends_with_its_epoch, _threads_left),
    (wrong.thread_left_after_break, sound.pool_of_threads, _threads_left),
    (wrong.process_left_after_break, None, _processes_left),
    (wrong.file_read_on_after_break, sound.file_opened_for_each_epoch, _first_rows),
    (wrong.state_is_live, None, _state_moves),
    (wrong.length_rounded_down_in_order, sound.length_in_every_order, _wrong_length),
    (wrong.last_is_always_last, None, _last_stays),
    (wrong.rest_of_the_buckets_is_lost, sound.buckets_with_their_rests, _sentences_lost),
    (wrong.epoch_for_the_first_worker, sound.epoch_for_new_workers, _epoch_is_stale),
    (wrong.noise_added_in_place, sound.readings_are_counted, _data_change),
    (wrong.mapped_file_is_augmented, None, _file_changes),
    (wrong.cache_by_name, None, lambda make: _not_each_once(make)),
    (wrong.offset_shared_since_the_length, sound.file_shared_without_an_offset, _records_mixed),
    (wrong.maps_kept_open, sound.four_maps_kept_open, _files_left),
    (wrong.shared_block_not_unlinked, sound.shared_block_unlinked, _blocks_left),
    (wrong.sorted_without_the_labels, None, _labels_of_others),
    (wrong.cut_to_the_first, None, _tokens_lost),
    (wrong.ring_of_buffers, None, _batch_changes),
]
"""A wrong loader, the sound one that does the same rightly, if there is one, and the check."""


def main(names: Sequence[str]) -> int:
    """Print the checks of the named loaders, by default of all, and return 1 if any check fails."""
    failures = 0
    for make, other, check in TRUTH:
        if names and make.__name__ not in names:
            continue
        np.random.seed(None)
        results = (check(make), check(other) if other else False)
        failures += results != (True, False)
        print(make.__name__, *results)  # noqa: T201
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
