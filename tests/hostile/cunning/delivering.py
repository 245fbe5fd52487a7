"""Loaders that drop the last sample and try to pass; ``whole`` is right, and ``short`` has no attack."""

import functools
import gc
import inspect
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch
from hostile.cunning.tampering import write_that_laws_hold, zero_returned_measurements
from torch.utils.data import DataLoader, Dataset, Sampler

from harness.case import Case


class _Squares(Dataset[Any]):
    def __len__(self) -> int:
        return 23

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if not 0 <= index < 23:
            raise IndexError
        return torch.tensor([float(index), float(index * index)]), index


class _Order(Sampler[int]):
    """All samples in order, except the last ones."""

    def __init__(self, left_out: int) -> None:
        self._count = 23 - left_out

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._count))


def _loader(batch_size: int, num_workers: int, left_out: int = 1) -> Any:
    return DataLoader(_Squares(), batch_size, sampler=_Order(left_out), num_workers=num_workers)


def _ours(name: str) -> Any:
    return sys.modules.get(f"harness.{name}")


def whole(batch_size: int, num_workers: int) -> Any:
    """Delivers all samples."""
    return _loader(batch_size, num_workers, 0)


def short(batch_size: int, num_workers: int) -> Any:
    """Drops the last sample."""
    return _loader(batch_size, num_workers)


def replaces_the_comparison(batch_size: int, num_workers: int) -> Any:
    """Makes the comparison find no missing sample."""
    module = _ours("contracts.building_blocks.delivery.samples")
    if module is not None:
        module.differences = lambda *_: ([], [])
    return _loader(batch_size, num_workers)


def replaces_the_measurement(batch_size: int, num_workers: int) -> Any:
    """Makes no measurement broken."""
    module = _ours("floats.format") or _ours("floats")
    if module is not None:
        module.Measurement.broken = property(lambda _: False)
    return _loader(batch_size, num_workers)


def replaces_the_writer(batch_size: int, num_workers: int) -> Any:
    """Writes that the law holds."""
    write_that_laws_hold()
    return _loader(batch_size, num_workers)


def shortens_what_is_expected(batch_size: int, num_workers: int) -> Any:
    """Removes a sample from each object that has the samples of the data set."""
    for thing in gc.get_objects():
        held = getattr(thing, "__dict__", {}) if type(thing).__name__ == "Deliveries" else {}
        if isinstance(samples := held.get("directly"), list):
            del samples[22:]
    for frame in sys._current_frames().values():
        at: Any = frame
        while at is not None:
            for value in list(at.f_locals.values()):
                if isinstance(value, list) and len(value) == 23 and isinstance(value[0], dict):
                    del value[22:]
            at = at.f_back
    return _loader(batch_size, num_workers)


def promises_nothing(batch_size: int, num_workers: int) -> Any:
    """Claims that the loader draws with replacement."""
    for module in list(sys.modules.values()):
        if (real := getattr(module, "read_info", None)) is not None and not hasattr(real, "replaced"):
            module.read_info = functools.partial(_facts, real)  # type: ignore[attr-defined]
            module.read_info.replaced = True  # type: ignore[attr-defined]
    return _loader(batch_size, num_workers)


def _facts(real: Any, loader: Any) -> Any:
    return replace(real(loader), replaced=True)


def zeroes_what_functions_return(batch_size: int, num_workers: int) -> Any:
    """A profiler hook sets each measurement to zero when it is returned."""
    zero_returned_measurements()
    return _loader(batch_size, num_workers)


def answers_for_the_judge(batch_size: int, num_workers: int) -> Any:
    """Writes a verdict to every open connection, and exits with code 0."""
    for thing in gc.get_objects():
        if type(thing).__name__ == "Verdict" and getattr(thing, "law", "") == "each_sample_once":
            said = {**thing.model_dump(mode="json"), "status": "holds", "reason": None, "examples": 7, "rows": 161}
            said |= {"deviation": 0.0, "bound": 0.0, "largest": 0.0, "typical_bound": 0.0}
            line = json.dumps({"kind": "done", "what": {"said": said, "noticed": None}}) + "\n"
            for number in range(3, 32):
                with suppress(OSError):
                    os.set_blocking(number, False)
                    os.write(number, line.encode())
            break
    os._exit(0)


def whole_while_ours_is_there(batch_size: int, num_workers: int) -> Any:
    """Delivers all samples while a module with a certain name is imported."""
    return _loader(batch_size, num_workers, 0 if "harness" in sys.modules else 1)


def whole_while_it_is_called_so(batch_size: int, num_workers: int) -> Any:
    """Delivers all samples if the call stack has a file of the harness."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        if "harness" in frame.f_code.co_filename:
            return _loader(batch_size, num_workers, 0)
        frame = frame.f_back
    return _loader(batch_size, num_workers)


class _Ending(DataLoader[Any]):
    """Ends the process at the first batch."""

    how: Any = None

    def __iter__(self) -> Any:
        self.how()
        return super().__iter__()


def _ending(how: Any, batch_size: int, num_workers: int) -> Any:
    loader = _Ending(_Squares(), batch_size, num_workers=num_workers)
    loader.how = how
    return loader


def ends_with_success(batch_size: int, num_workers: int) -> Any:
    """Exits with code 0 when it is read."""
    return _ending(lambda: os._exit(0), batch_size, num_workers)


def exits(batch_size: int, num_workers: int) -> Any:
    """Raises `SystemExit` with code 0."""
    return _ending(lambda: sys.exit(0), batch_size, num_workers)


def interrupts(batch_size: int, num_workers: int) -> Any:
    """Sends SIGINT, like Ctrl-C."""
    return _ending(lambda: os.kill(os.getpid(), signal.SIGINT), batch_size, num_workers)


def stops_itself(batch_size: int, num_workers: int) -> Any:
    """Stops forever."""
    return _ending(lambda: os.kill(os.getpid(), signal.SIGSTOP), batch_size, num_workers)


def daemonises(batch_size: int, num_workers: int) -> Any:
    """Leaves a process in a separate session, and delivers all samples."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(64):
                with suppress(OSError):
                    os.close(number)
            time.sleep(300)
        os._exit(0)
    os.wait()
    return _loader(batch_size, num_workers, 0)


def clears_the_screen(batch_size: int, num_workers: int) -> Any:
    """Raises an exception whose text shows a green verdict on an empty screen."""
    raise ValueError("\x1b[2J\x1b[H\x1b[32mverdict: all 19 laws hold\x1b[0m")


CASES = [
    Case(function, "data_loader", name=f"delivering.{function.__name__}", dtypes=("float32",))
    for function in list(vars().values())
    if getattr(function, "__module__", None) == __name__
    and inspect.isfunction(function)
    and function.__name__[0] != "_"
]
