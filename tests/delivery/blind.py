"""A blind set of loaders, wrong and sound side by side, written before the laws were run on them.

`TRUTH` has each wrong loader with its sound counterpart, a check by plain execution, and the law.
"""

import os
import random
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import chain
from tempfile import NamedTemporaryFile
from typing import Any

import torch
from delivery.unseen_truth import _not_each_once, _rows
from delivery.unseen_wrong import LABELS, PICTURES, N, Pictures, folder
from torch.utils.data import DataLoader, Dataset, DistributedSampler, IterableDataset, Sampler, get_worker_info


class _Interleaved(IterableDataset):
    """Pictures at even places alternate with those at odd places, of which there is one less."""

    def __init__(self, *, to_the_end: bool) -> None:
        self.to_the_end = to_the_end

    def __len__(self) -> int:
        return N

    def __iter__(self) -> Iterator[Any]:
        pictures = Pictures()
        even, odd = [pictures[i] for i in range(0, N, 2)], [pictures[i] for i in range(1, N, 2)]
        yield from chain.from_iterable(zip(even, odd, strict=False))
        yield from even[len(odd) :] if self.to_the_end else []


def stops_at_the_shorter(batch_size: int) -> Any:
    """``zip`` ends with the shorter source."""
    return DataLoader(_Interleaved(to_the_end=False), batch_size)


def goes_on_to_the_longer(batch_size: int) -> Any:
    """The rest of the longer source comes last."""
    return DataLoader(_Interleaved(to_the_end=True), batch_size)


class _Order(Sampler):
    """An order that is drawn for each epoch by a function."""

    def __init__(self, draw: Callable[[int], Any], shuffle: bool) -> None:
        self.draw, self.epoch = (draw if shuffle else lambda _: range(N)), -1

    def __len__(self) -> int:
        return N

    def __iter__(self) -> Any:
        self.epoch += 1
        return iter(self.draw(self.epoch))


def drawn_with_replacement(batch_size: int, shuffle: bool = True) -> Any:
    """``random.choices`` draws pictures again."""
    return DataLoader(Pictures(), batch_size, sampler=_Order(lambda _: random.choices(range(N), k=N), shuffle))


def drawn_without_replacement(batch_size: int, shuffle: bool = True) -> Any:
    """``random.sample`` does not."""
    return DataLoader(Pictures(), batch_size, sampler=_Order(lambda _: random.sample(range(N), N), shuffle))


def _seeded(seed: int) -> list[int]:
    return torch.randperm(N, generator=torch.Generator().manual_seed(seed)).tolist()


def two_orders_alternate(batch_size: int, shuffle: bool = True) -> Any:
    """The seed is the parity of the epoch."""
    return DataLoader(Pictures(), batch_size, sampler=_Order(lambda epoch: _seeded(epoch % 2), shuffle))


def an_order_for_each_epoch(batch_size: int, shuffle: bool = True) -> Any:
    """The seed is the number of the epoch."""
    return DataLoader(Pictures(), batch_size, sampler=_Order(_seeded, shuffle))


def shuffled_inside_batches(batch_size: int, shuffle: bool = True) -> Any:
    """Batches consist of neighbors in every epoch."""
    blocks = [list(range(start, min(start + batch_size, N))) for start in range(0, N, batch_size)]
    return DataLoader(
        Pictures(),
        batch_size,
        sampler=_Order(lambda _: list(chain.from_iterable(random.sample(b, len(b)) for b in blocks)), shuffle),
    )


class _Blocks(Sampler):
    """Batches of neighbors in a new order."""

    def __init__(self, batch_size: int, shuffle: bool) -> None:
        self.blocks, self.shuffle = list(torch.arange(N).split(batch_size)), shuffle

    def __len__(self) -> int:
        return len(self.blocks)

    def __iter__(self) -> Any:
        blocks = random.sample(self.blocks, len(self)) if self.shuffle else self.blocks
        return iter([block.tolist() for block in blocks])


def only_batches_are_shuffled(batch_size: int, shuffle: bool = True) -> Any:
    """Each batch has the same pictures in every epoch."""
    return DataLoader(Pictures(), batch_sampler=_Blocks(batch_size, shuffle))


class _Fresh(_Blocks):
    """Batches of a new permutation."""

    def __iter__(self) -> Any:
        return iter(
            [
                rows.tolist()
                for rows in (torch.randperm(N) if self.shuffle else torch.arange(N)).split(len(self.blocks[0]))
            ]
        )


def batches_of_a_permutation(batch_size: int, shuffle: bool = True) -> Any:
    """Each batch has other pictures in every epoch."""
    return DataLoader(Pictures(), batch_sampler=_Fresh(batch_size, shuffle))


class _Budgeted(Sampler):
    """Batches of at most twelve words, of sentences with one to fifteen."""

    def __init__(self, *, keep: bool) -> None:
        self.keep = keep

    def __iter__(self) -> Any:
        batch: list[int] = []
        for i in range(N):
            words = 15 if i % 20 == 13 else 1 + i % 5
            if words > 12 and not self.keep:
                continue
            if batch and sum(1 + j % 5 for j in batch) + words > 12:
                yield batch
                batch = []
            batch.append(i)
        yield batch


def longer_than_the_budget(num_workers: int = 0) -> Any:
    """Sentences beyond the budget fit into no batch."""
    return DataLoader(Pictures(), batch_sampler=_Budgeted(keep=False), num_workers=num_workers)


def alone_beyond_the_budget(num_workers: int = 0) -> Any:
    """Sentences beyond the budget are alone."""
    return DataLoader(Pictures(), batch_sampler=_Budgeted(keep=True), num_workers=num_workers)


class _Boxes(Dataset):
    """Dictionaries, of which every third has a weight."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Any:
        if not 0 <= i < N:
            raise IndexError(i)
        return {"picture": PICTURES[i], "label": LABELS[i]} | ({"weight": 1.0 + i} if i % 3 == 1 else {})


def _keys_in_common(samples: list[Any]) -> Any:
    keys = [key for key in samples[0] if all(key in one for one in samples)]
    return {key: torch.stack([torch.as_tensor(one[key]) for one in samples]) for key in keys}


def _all_keys(samples: list[Any]) -> Any:
    return {
        key: torch.stack([torch.as_tensor(one[key]) for one in samples])
        if all(key in one for one in samples)
        else [one.get(key) for one in samples]
        for key in dict.fromkeys(key for one in samples for key in one)
    }


def keys_in_common(batch_size: int) -> Any:
    """A key that one sample of a batch does not have is dropped."""
    return DataLoader(_Boxes(), batch_size, collate_fn=_keys_in_common)


def keys_of_all_samples(batch_size: int) -> Any:
    """A key that not every sample has is a list."""
    return DataLoader(_Boxes(), batch_size, collate_fn=_all_keys)


class _Words(Dataset):
    """Pictures with the numbers of words, up to 4,700."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Any:
        if not 0 <= i < N:
            raise IndexError(i)
        return PICTURES[i], 101 * i + 1


def _in(dtype: torch.dtype) -> Callable[[list[Any]], Any]:
    def collate(samples: list[Any]) -> Any:
        pictures, words = zip(*samples, strict=True)
        return torch.stack(pictures), torch.tensor(words, dtype=dtype)

    return collate


def words_in_half(batch_size: int) -> Any:
    """Whole numbers beyond 2,048 are rounded in float16."""
    return DataLoader(_Words(), batch_size, collate_fn=_in(torch.float16))


def words_in_int32(batch_size: int) -> Any:
    """Whole numbers in int32."""
    return DataLoader(_Words(), batch_size, collate_fn=_in(torch.int32))


class _Queue(IterableDataset):
    """Rows that are taken from a list."""

    def __init__(self, *, copy: bool) -> None:
        self.rows, self.copy = [Pictures()[i] for i in range(N)], copy

    def __iter__(self) -> Any:
        rows = list(self.rows) if self.copy else self.rows
        for _ in range(9 * N // 10 if not self.copy else N):
            if not rows:
                return
            yield rows.pop(0)


def rows_are_taken_away(batch_size: int) -> Any:
    """The next epoch has the rows that remain."""
    return DataLoader(_Queue(copy=False), batch_size)


def rows_are_copied(batch_size: int) -> Any:
    """Each epoch takes from a copy."""
    return DataLoader(_Queue(copy=True), batch_size)


def rank_of_the_environment(batch_size: int, rank: int = 0, world_size: int = 1) -> Any:
    """The rank that is asked for is ignored."""
    sampler: DistributedSampler[Any] = DistributedSampler(
        Pictures(), world_size, int(os.environ.get("RANK", "0")), shuffle=False
    )
    return DataLoader(Pictures(), batch_size, sampler=sampler)


def rank_that_is_asked_for(batch_size: int, rank: int = 0, world_size: int = 1) -> Any:
    """Ranks share the pictures."""
    sampler: DistributedSampler[Any] = DistributedSampler(Pictures(), world_size, rank, shuffle=False)
    return DataLoader(Pictures(), batch_size, sampler=sampler)


def zero_is_no_seed(batch_size: int, shuffle: bool = True, seed: int = 0) -> Any:
    """``seed or ...`` replaces a seed of zero by the time."""
    generator = torch.Generator().manual_seed(seed or time.time_ns())
    return DataLoader(Pictures(), batch_size, shuffle=shuffle, generator=generator)


def zero_is_a_seed(batch_size: int, shuffle: bool = True, seed: int = 0) -> Any:
    """Zero is a seed."""
    return DataLoader(Pictures(), batch_size, shuffle=shuffle, generator=torch.Generator().manual_seed(seed))


class _Double(Pictures):
    def __init__(self, *, globally: bool) -> None:
        super().__init__()
        self.globally = globally

    def __getitem__(self, i: int) -> Any:
        if self.globally:
            torch.set_default_dtype(torch.float64)
        picture, label = super().__getitem__(i)
        return picture * torch.ones((), dtype=torch.float64), label


def default_dtype_is_changed(batch_size: int) -> Any:
    """The program computes in float64 after an epoch."""
    return DataLoader(_Double(globally=True), batch_size)


def double_for_itself(batch_size: int) -> Any:
    """Only the pictures are in float64."""
    return DataLoader(_Double(globally=False), batch_size)


class _Unpacked(Pictures):
    def __init__(self, *, delete: bool) -> None:
        super().__init__()
        self.delete, self.place = delete, folder()

    def __getitem__(self, i: int) -> Any:
        picture, label = super().__getitem__(i)
        with NamedTemporaryFile(dir=self.place, delete=self.delete) as file:
            torch.save(picture, file.name)
            return torch.load(file.name), label


def unpacked_files_remain(batch_size: int) -> Any:
    """Each sample leaves a temporary file."""
    return DataLoader(_Unpacked(delete=False), batch_size)


def unpacked_files_are_deleted(batch_size: int) -> Any:
    """No file remains."""
    return DataLoader(_Unpacked(delete=True), batch_size)


def _pairs(samples: list[Any]) -> Any:
    return torch.utils.data.default_collate(samples[: len(samples) // 2 * 2 or 1])


def odd_one_out(batch_size: int) -> Any:
    """The last sample of an odd batch is dropped, to form pairs."""
    return DataLoader(Pictures(), batch_size, collate_fn=_pairs)


class _Parts(IterableDataset):
    def __init__(self, more: int) -> None:
        self.more = more

    def __iter__(self) -> Any:
        info, pictures = get_worker_info(), Pictures()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        start, stop = worker * N // workers, (worker + 1) * N // workers
        yield from (pictures[i] for i in range(start, min(stop + self.more, N)))


def parts_overlap(batch_size: int, num_workers: int = 0) -> Any:
    """Each worker's part has the first row of the next."""
    return DataLoader(_Parts(1), batch_size, num_workers=num_workers)


def parts_meet(batch_size: int, num_workers: int = 0) -> Any:
    """Each row belongs to one worker."""
    return DataLoader(_Parts(0), batch_size, num_workers=num_workers)


def _orders(make: Any, epochs: int = 4) -> list[tuple[int, ...]]:
    loader = make(4)
    return [tuple(_rows(loader)) for _ in range(epochs)]


def _lost(make: Any) -> bool:
    return sorted(chain.from_iterable(_rows([batch]) for batch in make())) != list(range(N))


def _keys(make: Any) -> int:
    return sum("weight" in batch for batch in make(4))


def _changes_dtype(make: Any) -> bool:
    before = torch.get_default_dtype()
    list(make(4))
    changed = torch.get_default_dtype() != before
    torch.set_default_dtype(before)
    return changed


def _leaves_files(make: Any) -> bool:
    loader = make(4)
    list(loader)
    return bool(list(loader.dataset.place.iterdir()))


def _sets(make: Any) -> list[int]:
    """Return how many batches of the first epoch come again in each of two others."""
    loader = make(4)
    first, *others = ({tuple(sorted(_rows([batch]))) for batch in loader} for _ in range(3))
    return [len(first & other) for other in others]


def _words(make: Any) -> list[int]:
    return [int(word) for _, words in make(4) for word in words]


class _Shared(IterableDataset):
    """The pictures of a rank, with the number of its own pictures or of all pictures as the length."""

    def __init__(self, rank: int, world_size: int, *, own: bool) -> None:
        self.places = range(rank, N - N % 2, world_size)
        self.length = len(self.places) if own else N - N % 2

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Any]:
        pictures = Pictures()
        return (pictures[i] for i in self.places)


def length_of_all_ranks(batch_size: int, rank: int = 0, world_size: int = 1) -> Any:
    """Each rank announces the batches of all ranks."""
    return DataLoader(_Shared(rank, world_size, own=False), batch_size)


def length_of_its_rank(batch_size: int, rank: int = 0, world_size: int = 1) -> Any:
    """Each rank announces its own batches."""
    return DataLoader(_Shared(rank, world_size, own=True), batch_size)


def _announces_more(make: Any) -> bool:
    loader = make(4, 0, 2)
    with warnings.catch_warnings(action="ignore"):
        return len(loader) > len(list(loader))


class _ByLabel(Sampler):
    """Random places, or the places in order, or by label, the last first."""

    def __init__(self, *, shuffle: bool, by_label: bool) -> None:
        self.shuffle, self.by_label = shuffle, by_label

    def __len__(self) -> int:
        return N

    def __iter__(self) -> Iterator[int]:
        places = torch.randperm(N).tolist() if self.shuffle else list(range(N))
        return iter(sorted(places, key=lambda i: -LABELS[i]) if self.by_label and not self.shuffle else places)


def sorted_by_label_when_in_order(batch_size: int, *, shuffle: bool = False) -> Any:
    """Without shuffling, the samples arrive by class, the last class first."""
    return DataLoader(Pictures(), batch_size, sampler=_ByLabel(shuffle=shuffle, by_label=True))


def in_order_by_a_sampler(batch_size: int, *, shuffle: bool = False) -> Any:
    """Without shuffling, the samples arrive in the order of the data set."""
    return DataLoader(Pictures(), batch_size, sampler=_ByLabel(shuffle=shuffle, by_label=False))


TRUTH: list[tuple[Any, Any, Callable[[Any], bool], str]] = [
    (stops_at_the_shorter, goes_on_to_the_longer, _not_each_once, "lengths_are_as_declared"),
    (drawn_with_replacement, drawn_without_replacement, _not_each_once, "each_sample_once"),
    (
        two_orders_alternate,
        an_order_for_each_epoch,
        lambda make: len(set(_orders(make))) < 4,
        "epochs_are_shuffled_anew",
    ),
    (shuffled_inside_batches, None, lambda make: min(_sets(make)) > 3, "epochs_are_shuffled_anew"),
    (
        only_batches_are_shuffled,
        batches_of_a_permutation,
        lambda make: min(_sets(make)) > 3,
        "epochs_are_shuffled_anew",
    ),
    (longer_than_the_budget, alone_beyond_the_budget, _lost, "each_sample_once"),
    (keys_in_common, keys_of_all_samples, lambda make: _keys(make) < 12, "samples_are_whole"),
    (words_in_half, words_in_int32, lambda make: 2223 not in _words(make), "samples_are_whole"),
    (rows_are_taken_away, rows_are_copied, lambda make: len(set(map(len, _orders(make)))) > 1, "each_sample_once"),
    (
        rank_of_the_environment,
        rank_that_is_asked_for,
        lambda make: _rows(make(4, 0, 2)) == _rows(make(4, 1, 2)),
        "ranks_share_an_epoch",
    ),
    (
        zero_is_no_seed,
        zero_is_a_seed,
        lambda make: _rows(make(4)) != _rows(make(4)),
        "the_same_seed_gives_the_same_epoch",
    ),
    (default_dtype_is_changed, double_for_itself, _changes_dtype, "nothing_is_left_behind"),
    (unpacked_files_remain, unpacked_files_are_deleted, _leaves_files, "nothing_is_left_behind"),
    (odd_one_out, None, _not_each_once, "each_sample_once"),
    (length_of_all_ranks, length_of_its_rank, _announces_more, "lengths_are_as_declared"),
    (
        sorted_by_label_when_in_order,
        in_order_by_a_sampler,
        lambda make: _rows(make(4)) != _rows(in_order_by_a_sampler(4)),
        "epochs_are_shuffled_anew",
    ),
    (parts_overlap, parts_meet, lambda make: _not_each_once(make, num_workers=2), "each_sample_once"),
]
"""Wrong loader, sound counterpart, a check, and the law that finds it."""
