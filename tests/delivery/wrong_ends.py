"""Loaders that resume wrongly, swallow errors or leave resources behind, as found in real code."""

import os
import queue
import tempfile
import threading
import time
from multiprocessing import Process
from typing import Any

import numpy as np
import torch
from delivery.wrong_samples import N, Squares
from torch.utils.data import DataLoader


class Resuming:
    """A loader with a state: the epoch and the number of batches."""

    noise = False

    def __init__(self, batch_size: int, seed: int = 0) -> None:
        self.dataset, self.batch_size, self.seed, self.epoch, self.at = Squares(), batch_size, seed, 0, 0
        self.rng = np.random.default_rng(seed)

    def order(self) -> Any:
        """Return the order of the epoch."""
        return np.random.default_rng([self.seed, self.epoch]).permutation(N)

    def __len__(self) -> int:
        return -(-N // self.batch_size)

    def __iter__(self) -> Any:
        order = self.order()
        while self.at < len(self):
            rows = torch.from_numpy(order[self.at * self.batch_size : (self.at + 1) * self.batch_size].copy())
            self.at += 1
            x = self.dataset.x[rows]
            yield (x + self.rng.random() if self.noise else x), self.dataset.y[rows]
        self.epoch, self.at = self.epoch + 1, 0

    def state_dict(self) -> Any:
        """Return the position."""
        return {"epoch": self.epoch, "at": self.at}

    def load_state_dict(self, state: Any) -> None:
        """Restore the position."""
        self.epoch, self.at = state["epoch"], state["at"]


class Redrawn(Resuming):
    """Draws a new order from the global generator when it resumes."""

    def order(self) -> Any:
        """Return an order that cannot be repeated."""
        return torch.randperm(N).numpy()


def order_redrawn_on_resuming(batch_size: int, shuffle: bool = True) -> Any:
    """Skips as many batches, but of another order."""
    return Redrawn(batch_size)


class SecondLost(Resuming):
    """Counts from its last resumption."""

    def __init__(self, batch_size: int, seed: int = 0) -> None:
        super().__init__(batch_size, seed)
        self.since = 0

    def __iter__(self) -> Any:
        self.since = 0
        for batch in super().__iter__():
            self.since += 1
            yield batch

    def state_dict(self) -> Any:
        """Return the batches since the last resumption."""
        return {"epoch": self.epoch, "at": self.since}


def second_resumption_lost(batch_size: int, seed: int = 0) -> Any:
    """Resumes right once, and too early the second time."""
    return SecondLost(batch_size, seed)


class Ahead(Resuming):
    """Its state counts fetched batches, not delivered ones."""

    def __iter__(self) -> Any:
        ready = None
        for batch in super().__iter__():
            if ready is not None:
                yield ready
            ready = batch
        if ready is not None:
            yield ready


def state_of_what_was_fetched(batch_size: int, seed: int = 0) -> Any:
    """Loses the prefetched batch."""
    return Ahead(batch_size, seed)


class Noisy(Resuming):
    """Augments, but omits random numbers from its state."""

    noise = True


def random_numbers_not_resumed(batch_size: int, seed: int = 0) -> Any:
    """The augmentation differs after resuming."""
    return Noisy(batch_size, seed)


class StuckAtTheEnd(Resuming):
    """Delivers nothing after resuming at the end of an epoch."""

    def __iter__(self) -> Any:
        yield from super().__iter__()
        self.epoch, self.at = self.epoch - 1, len(self)

    def load_state_dict(self, state: Any) -> None:
        """Restore the position."""
        super().load_state_dict(state)
        self.loaded = True

    def order(self) -> Any:
        """Start the next epoch at the last position, unless a state was loaded."""
        if self.at >= len(self) and not getattr(self, "loaded", False):
            self.epoch, self.at = self.epoch + 1, 0
        self.loaded = False
        return super().order()


def nothing_after_resuming_at_the_end(batch_size: int, seed: int = 0) -> Any:
    """Loses an epoch if the state is that at its end."""
    return StuckAtTheEnd(batch_size, seed)


class Skipping(DataLoader):
    """Continues after a batch that raises."""

    def __iter__(self) -> Any:
        for indices in self.batch_sampler:
            try:
                yield self.collate_fn([self.dataset[i] for i in indices])
            except Exception:  # noqa: BLE001, S112 - the mistake
                continue


def batches_that_raise_are_skipped(batch_size: int) -> Any:
    """An exception becomes a missing batch."""
    return Skipping(Squares(), batch_size)


class Threaded(DataLoader):
    """Prefetches in a thread, whose end ends the epoch for any reason."""

    def __iter__(self) -> Any:
        ready: Any = queue.Queue(2)

        def fill() -> None:
            try:
                for batch in super(Threaded, self).__iter__():
                    ready.put(batch)
            except Exception:  # noqa: BLE001, S110 - the mistake
                pass
            finally:
                ready.put(None)

        threading.Thread(target=fill, daemon=True).start()
        yield from iter(ready.get, None)


def epoch_ends_where_its_thread_dies(batch_size: int) -> Any:
    """An exception becomes a short epoch."""
    return Threaded(Squares(), batch_size)


class LeavesProcess(DataLoader):
    """Starts a manager per epoch and never closes it."""

    def __iter__(self) -> Any:
        Process(target=time.sleep, args=(600,), daemon=True).start()
        return super().__iter__()


def a_process_more_each_epoch(batch_size: int) -> Any:
    """The number of processes grows."""
    return LeavesProcess(Squares(), batch_size)


class KeepsAll(DataLoader):
    """Keeps all delivered batches."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.__dict__["seen"] = []

    def __iter__(self) -> Any:
        for batch in super().__iter__():
            self.seen.append([batch, torch.ones(2**14)])
            yield batch


def everything_delivered_is_kept(batch_size: int) -> Any:
    """Memory grows with each epoch."""
    return KeepsAll(Squares(), batch_size)


class LeavesFiles(Squares):
    """Opens its file again at each reading."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[Any] = []

    def __getitem__(self, i: int) -> Any:
        if i == 0:
            self.opened.append(os.open(tempfile.gettempdir(), os.O_RDONLY))
        return super().__getitem__(i)


def a_file_more_each_epoch(batch_size: int) -> Any:
    """The number of open files grows."""
    return DataLoader(LeavesFiles(), batch_size)


class GoesOn:
    """Has a single iterator, so that an interrupted epoch continues in the next."""

    def __init__(self, batch_size: int) -> None:
        self.loader = DataLoader(Squares(), batch_size)
        self.running: Any = None

    def __iter__(self) -> Any:
        if self.running is None:
            self.running = iter(self.loader)
        for batch in self.running:  # noqa: UP028 - what is left is to stay
            yield batch
        self.running = None


def epoch_left_early_goes_on(batch_size: int) -> Any:
    """The next epoch starts where the last one stopped."""
    return GoesOn(batch_size)


# Loaders that do not deliver


class Hangs(Squares):
    """Waits forever at an index."""

    def __getitem__(self, i: int) -> Any:
        if i == 13:
            time.sleep(10_000)
        return super().__getitem__(i)


def hangs_at_a_sample(batch_size: int, num_workers: int = 0) -> Any:
    """Hangs without delivering the sample."""
    return DataLoader(Hangs(), batch_size, num_workers=num_workers)


class Kills(Squares):
    """Ends the worker at an index."""

    def __getitem__(self, i: int) -> Any:
        if i == 13 and torch.utils.data.get_worker_info() is not None:
            os._exit(9)
        return super().__getitem__(i)


def worker_ends_at_a_sample(batch_size: int, num_workers: int = 0) -> Any:
    """The worker dies."""
    return DataLoader(Kills(), batch_size, num_workers=num_workers)


class Ragged(Squares):
    """One sample has another shape."""

    def __getitem__(self, i: int) -> Any:
        x, y = super().__getitem__(i)
        return (torch.zeros(3) if i == 13 else x), y


def ragged_batch(batch_size: int, num_workers: int = 0) -> Any:
    """The collate function cannot stack."""
    return DataLoader(Ragged(), batch_size, num_workers=num_workers)


def cannot_be_sent_to_workers(batch_size: int, num_workers: int = 0) -> Any:
    """Has a lambda, and spawns its workers."""
    method = "spawn" if num_workers else None
    return DataLoader(
        Squares(),
        batch_size,
        num_workers=num_workers,
        collate_fn=lambda samples: samples,
        multiprocessing_context=method,
    )


class Liar(Squares):
    """Claims a length beyond its samples."""

    def __len__(self) -> int:
        return len(self.x) + 3

    def __getitem__(self, i: int) -> Any:
        return self.x[i], int(self.y[i])


def length_lies(batch_size: int, num_workers: int = 0) -> Any:
    """Raises beyond its last sample."""
    return DataLoader(Liar(), batch_size, num_workers=num_workers)


class OnGpu(Squares):
    """Moves samples to a missing accelerator."""

    def __getitem__(self, i: int) -> Any:
        x, y = super().__getitem__(i)
        return x.to("cuda"), y


def needs_a_gpu(batch_size: int) -> Any:
    """The accelerator is missing."""
    return DataLoader(OnGpu(), batch_size)


class Huge(torch.utils.data.Dataset):
    """Raises torch's message about full shared memory, because really filling it would harm other processes."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, i: int) -> Any:
        raise RuntimeError(
            "unable to allocate shared memory(shm) for file </torch_1_2_3>: No space left on device (28)"
        )


def shared_memory_exhausted(batch_size: int, num_workers: int = 0) -> Any:
    """Raises torch's message about a full /dev/shm."""
    return DataLoader(Huge(), batch_size, num_workers=num_workers)
