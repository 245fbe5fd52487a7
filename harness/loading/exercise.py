"""Exercises: operations on loaders in their process, which return the results as data.

A :class:`~.reader.Reader` runs ``exercise(reader, request, ...)``, in this process or in another. The laws judge the
results. A result from another process is validated by the annotation of its exercise; see :data:`RESULTS`.
"""

import copy
import gc
import inspect
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from harness.loading.accounting import SHARED_FOLDER, count_files, measure_bytes_in_use
from harness.loading.content import Count, Number, Sample, get_validator, named_parts, split_samples
from harness.loading.generators import find_generators, get_setter, global_states, seed_all
from harness.loading.reader import (
    EPOCH_S,
    FEW,
    SEED,
    Epoch,
    Exercise,
    Reader,
    call_until,
    collate_alone,
    is_generator,
    tell_epoch,
)
from harness.loading.source import LoaderInfo, Request, find_torch_loader, get_length, is_map_style, read_info
from harness.loading.tagged import Injection, inject_failure, load_indices

_TWO, _THREE, _FOUR = (Field(min_length=number, max_length=number) for number in (2, 3, 4))

_temporary: list[str] = []
"""Temporary files that were created while loaders were in use."""


def _note_temporary(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "tempfile.mkstemp" and _IS_USED.is_set():
        _temporary.append(str(arguments[0]))


_IS_USED = threading.Event()
_HOOKS: list[Any] = []


def show(reader: Reader, request: Request) -> LoaderInfo:
    """Return the facts about a loader that need no reading."""
    return replace(read_info(reader.make(request)), data_set=None)


def deliver(reader: Reader, request: Request, count: int, tags: bool, world_seed: int) -> list[Epoch]:  # noqa: FBT001 - goes over a line
    """Return some epochs, after seeding the global generators."""
    return reader.epochs(request, count, tags=tags, world_seed=world_seed)


def deliver_wrapped(reader: Reader, request: Request, count: int) -> list[Epoch]:
    """Return epochs with tags of a wrapped loader, without its wrapper."""
    return reader.epochs(request, count, tags=True, inner=True)


def deliver_indices(reader: Reader, request: Request, count: int) -> list[tuple[list[Number], list[Count]]] | None:
    """Return the indices that epochs ask for and the sizes of their batches, without reading a sample."""
    epochs: list[tuple[list[int], list[int]]] = []
    before = None
    for loader in reader.make_each(request, range(request.epoch, request.epoch + count)):
        if loader is not before and load_indices(loader) is None:
            return None
        before, batches = loader, list(loader)
        epochs.append(([index for batch in batches for index in batch], [len(batch) for batch in batches]))
    return epochs


def fail(reader: Reader, request: Request, at: int, ends: bool) -> Epoch | None:  # noqa: FBT001 - as above
    """Let a sample raise, or its process end; ``None`` if no error can be injected."""
    injection = Injection(at, ends=ends)
    loader = inject_failure(reader.make(request), injection)
    epoch = None if loader is None else reader.epoch_of(loader)
    return epoch if injection.happened else None


# Data sets


def read_directly(reader: Reader, request: Request) -> list[Sample] | None:
    """Return the samples of the data set, each collated alone; ``None`` if there is no access to it."""
    loader = reader.make(request)
    info = read_info(loader)
    if not info.by_index or info.samples is None:
        return None
    limit = len(info.data_set) if reader.limit_s >= EPOCH_S else min(2 * FEW, len(info.data_set))
    return list(call_until(reader.limit_s, lambda i: collate_alone(loader, i), range(limit)))


def read_twice(reader: Reader, request: Request, count: int) -> Annotated[list[list[Sample]], _THREE]:
    """Return the first samples: read once, read again, and read by another loader with another seed."""
    loader = reader.make(request)
    again = [[collate_alone(loader, i) for i in range(count)] for _ in range(2)]
    seed_all(SEED)
    loader = reader.make(request)
    seed_all(SEED + 1)
    return [*again, [collate_alone(loader, i) for i in range(count)]]


def replay(reader: Reader, request: Request, places: list[int]) -> Annotated[list[list[Sample]], _THREE]:
    """Return samples: read, read again, and read backwards by another loader, with the same random numbers."""
    readings: list[list[Sample]] = []
    for order in (places, places[::-1]):
        seed_all(SEED)
        loader = reader.make(request)
        collate_alone(loader, order[0])  # the first sample may create generators
        states = [get_setter(source) for _, source in find_generators(read_info(loader).data_set)]
        times = 1 if readings else 2
        readings += [[_read_again(loader, states, place) for place in order] for _ in range(times)]
    return [*readings[:2], readings[2][::-1]]


def _read_again(loader: Any, states: list[tuple[Callable[[Any], object], Any]], place: int) -> Sample:
    for set_state, state in states:
        set_state(state)
    seed_all(place)
    return collate_alone(loader, place)


def count_by_hash(reader: Reader, request: Request, count: int) -> Count:
    """Return how many of the first samples differ between new processes whose string hashes differ.

    It is zero without a look if the code has no set and no hash, or cannot be imported by another process.
    """
    target = reader.source.target
    is_importable = reader.source.is_factory and target.__module__ != "__main__"
    if not is_importable or not _uses_hashes(target, reader.make(request)):
        return 0
    question = json.dumps([sys.path, target.__module__, target.__qualname__, asdict(request), count])

    def read(seed: str) -> list[str]:
        words, variables = [sys.executable, "-c", _READ_FIRST, question], os.environ | {"PYTHONHASHSEED": seed}
        try:
            printed = subprocess.run(words, env=variables, capture_output=True, check=True, timeout=_IMPORT_S).stdout
        except subprocess.SubprocessError:  # it cannot import the code, or takes too long: no answer
            return []
        marks: list[str] = json.loads(printed.splitlines()[-1])
        return marks

    first, second = read("1"), read("2")
    differing = sum(mark != another for mark, another in zip(first, second, strict=False))
    return differing if differing and read("1") == first else 0


_IMPORT_S = 15.0
"""Longest time for a process, in seconds."""

_READ_FIRST = (
    "import json, sys; path, *question = json.loads(sys.argv[1]); sys.path[:] = path; "
    "from harness.loading.reader import read_first; print(json.dumps(read_first(*question)))"
)


def _uses_hashes(target: Any, loader: Any) -> bool:
    """Whether a factory, the class of its data set or the first level of its module has a set that is not sorted."""
    kinds = [kind for kind in type(read_info(loader).data_set).__mro__ if kind.__module__ == target.__module__]
    try:
        module = inspect.getsource(sys.modules[target.__module__])
        texts = [line for line in module.splitlines() if line[:1].strip()] + [*map(inspect.getsource, (target, *kinds))]
    except (OSError, TypeError, KeyError):
        return False
    return any(_BY_HASH.search(text) for text in texts)


_BY_HASH = re.compile(r"(?<!sorted\()(?<!\.)(\b(set|frozenset|hash)\(|\{[^{}:]*\bfor\b)")
"""Code whose result may depend on the hashes of strings."""


def collate(reader: Reader, request: Request, count: int) -> list[tuple[Sample, Sample]]:
    """Return the first samples before and after collation; none if the data set returns batches."""
    loader = find_torch_loader(reader.make(request))
    assert loader is not None
    if read_info(loader).whole or getattr(loader.dataset, "__getitems__", None) or loader.batch_sampler is None:
        return []
    return [(split_samples(loader.dataset[i], whole=True)[0], collate_alone(loader, i)) for i in range(count)]


def announce(reader: Reader, request: Request) -> tuple[Count | None, Count | None]:
    """Return the announced number of batches, and the length of a data set that has a sample beyond it."""
    loader = reader.make(request)
    data_set = read_info(loader).data_set
    if data_set is None or not is_map_style(data_set):
        return get_length(loader), None
    n = len(data_set)
    # A data set with two more samples accepts any index, or is shortened intentionally.
    return get_length(loader), n if _has(data_set, n) and not _has(data_set, n + 1) else None


def _has(data_set: Any, index: int) -> bool:
    try:
        data_set[index]
    except Exception:  # noqa: BLE001 - any error shows that there is no sample
        return False
    return True


# Batches


def keep_batches(reader: Reader, request: Request, count: int) -> list[tuple[list[Sample], list[Sample]]]:
    """Return the first batches, each on arrival and after the arrival of all."""
    loader = reader.make(request)
    tell_epoch(loader, 0)
    batches, before = [], []
    for batch in islice(loader, count):
        batches.append(batch)
        before.append(split_samples(batch, whole=True))
    return list(zip(before, [split_samples(batch, whole=True) for batch in batches], strict=True))


def write_into(reader: Reader, request: Request, count: int) -> tuple[bool, Epoch]:
    """Write into the first batches of an epoch; return whether that can be, and the next epoch.

    The batches are restored, because batches that are views would spoil the data of every later exercise.
    """
    loaders = reader.make_each(request, (0, 0))
    written = []
    for batch in islice(next(loaders), count):
        for array in list(_arrays(batch)):
            before = array.clone() if isinstance(array, Tensor) else array.copy()
            if _fill(array):
                written.append((array, before))
    epoch = reader.epoch_of(next(loaders))
    for array, before in reversed(written):
        array[...] = before
    return bool(written), epoch


def _arrays(part: Any) -> Iterator[Tensor | np.ndarray[Any, Any]]:
    """Yield the tensors and arrays of a batch."""
    if isinstance(part, Tensor | np.ndarray):
        yield part
    named = named_parts(part)
    for value in part if isinstance(part, list | tuple) else () if named is None else named.values():
        yield from _arrays(value)


def _fill(array: Any) -> bool:
    """Write something else into an array, where it can be written to."""
    try:
        array[...] = ~array if array.dtype in _BOOLEAN else array + 1
    except (RuntimeError, ValueError, TypeError):
        return False
    return True


_BOOLEAN = (np.dtype(bool), torch.bool)


# Random numbers


def seed_and_read(reader: Reader, request: Request, count: int) -> list[dict[str, str]]:
    """Return the states of the global generators after each of the first samples, with a new seed before each."""
    loader = reader.make(request)
    after = []
    for i in range(count):
        seed_all(1000 + i)
        collate_alone(loader, i)
        after.append(global_states())
    return after


def seed_and_begin(reader: Reader, request: Request, seeds: list[int]) -> Annotated[list[dict[str, str]], _TWO]:
    """Return the states of the global generators after a few batches, begun with each of some seeds."""
    after = []
    for seed in seeds:
        seed_all(seed)
        reader.epoch_of(reader.make(request), limit=3)
        after.append(global_states())
    return after


# Epochs


def set_epochs(reader: Reader, request: Request, numbers: list[int]) -> Annotated[list[Epoch], _THREE] | None:
    """Return the epochs of a loader after ``set_epoch``; ``None`` if it and its data set have no such method."""
    loader = reader.make(request)
    teller = loader if callable(getattr(loader, "set_epoch", None)) else read_info(loader).data_set
    if not callable(getattr(teller, "set_epoch", None)):
        return None
    epochs = []
    for number in numbers:
        tell_epoch(teller, number)
        epochs.append(reader.epoch_of(loader))
    return epochs


def leave_early(reader: Reader, request: Request, batches: int) -> Epoch | None:
    """Read some batches, and return an epoch; ``None`` if the loader has one epoch only, or may continue."""
    loader = reader.make(request)
    if _has_state(loader) or (reader.source.is_factory and is_generator(loader)):
        return None
    tell_epoch(loader, 0)
    reader.epoch_of(loader, limit=batches)
    tell_epoch(loader, 1)
    return reader.epoch_of(loader)


def go_straight_on(reader: Reader, request: Request) -> Annotated[list[Epoch], _TWO] | None:
    """Return two epochs of a loader with a state; ``None`` if it has no state."""
    seed_all(5)
    loader = reader.make(request)
    return [reader.epoch_of(loader), reader.epoch_of(loader)] if _has_state(loader) else None


def _has_state(loader: Any) -> bool:
    return all(callable(getattr(loader, name, None)) for name in ("state_dict", "load_state_dict"))


def resume(reader: Reader, request: Request, stops: list[int]) -> Annotated[list[Epoch], _TWO]:
    """Read batches with several loaders, each from the state of the previous loader; return two epochs."""
    seed_all(5)
    loader = reader.make(request)
    for stop in stops:
        iterator = iter(loader)
        for _ in range(stop):
            next(iterator, None)
        state = loader.state_dict()
        next(iterator, None)  # a state that is saved does not go on with the loader
        state = copy.deepcopy(state)
        del iterator
        seed_all(6)  # the global state differs after a restart
        loader = reader.make(request)
        loader.load_state_dict(state)
    return [reader.epoch_of(loader), reader.epoch_of(loader)]


# Leftovers


def stay(reader: Reader, request: Request) -> bool:
    """Whether its workers outlive an epoch."""
    return bool(getattr(reader.make(request), "persistent_workers", False))


def use_memory(
    reader: Reader, request: Request, count: int, warm: int, max_s: float
) -> list[tuple[Count, Count]] | None:
    """Return the bytes in use and the open files after each epoch, from the last warm-up epoch on.

    Return ``None`` if epochs take long.
    """
    used, end = [], time.monotonic() + max_s
    for number, loader in enumerate(reader.make_each(request, range(count + warm))):
        for _ in loader:
            pass
        gc.collect()
        if time.monotonic() > end:
            return None
        if number >= warm - 1:
            workers = request.num_workers > 0
            used.append((measure_bytes_in_use(workers=workers), count_files(workers=workers)))
    return used


def use(reader: Reader, request: Request) -> list[Count]:
    """Read an epoch, leave the next one early if it has no workers, and discard the loader."""
    with _noting_temporary_files():
        return _use(reader, request)


@contextmanager
def _noting_temporary_files() -> Iterator[None]:
    if not _HOOKS:  # an audit hook stays until the process ends
        _HOOKS.append(_note_temporary)
        sys.addaudithook(_note_temporary)
    _IS_USED.set()
    yield
    _IS_USED.clear()


def _use(reader: Reader, request: Request) -> list[Count]:
    samples = []
    for number, loader in enumerate(reader.make_each(request, range(1 if request.num_workers else 2))):
        samples.append(len(reader.epoch_of(loader, limit=number or None).samples))
    return samples


def count_open(_: Reader, __: Request, pause_s: float) -> Annotated[list[Count], _FOUR]:
    """Return the numbers of open files, threads, blocks of shared memory and temporary files, after a pause."""
    gc.collect()
    time.sleep(pause_s)
    files = [file for file in _temporary if Path(file).exists()]
    return [count_files(), threading.active_count(), len(list(Path(SHARED_FOLDER).glob("psm_*"))), len(files)]


def change_settings(reader: Reader, request: Request) -> list[str]:
    """Return the settings of torch that an epoch changes; they are restored."""
    before = torch.get_default_dtype(), torch.is_grad_enabled()
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    try:
        reader.epoch_of(reader.make(request))
        dtype, has_grad = str(torch.get_default_dtype()), torch.is_grad_enabled()
    finally:
        torch.set_default_dtype(before[0])
        torch.set_grad_enabled(before[1])
    changes = {
        f"the default dtype of the whole program to {dtype.removeprefix('torch.')}": dtype != "torch.float32",
        "whether the program records gradients": not has_grad,
    }
    return [change for change, is_changed in changes.items() if is_changed]


EXERCISES: Mapping[str, Exercise] = {
    name: thing
    for name, thing in list(globals().items())
    if inspect.isfunction(thing) and thing.__module__ == __name__ and not name.startswith("_")
}
"""Exercises by name."""

RESULTS = {
    name: get_validator(get_type_hints(exercise, include_extras=True)["return"]) for name, exercise in EXERCISES.items()
}
"""Validators of their results."""
