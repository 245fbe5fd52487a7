"""Implementations that end their process or never return. Each is checked on a single law."""

import ctypes
import os
import re
import signal
import time

import torch
from torch import Tensor

from harness.case import Case


def loops(x: Tensor) -> Tensor:
    """Loops forever."""
    while True:
        pass


def sleeps(x: Tensor) -> Tensor:
    """Sleeps outside Python."""
    time.sleep(1000)
    return x.softmax(-1)


def holds_the_lock(x: Tensor) -> Tensor:
    """Stays in a C operation, during which no other Python thread runs."""
    re.match(r"(a+)+$", "a" * 64 + "b")
    return x.softmax(-1)


def ignores_the_alarm(x: Tensor) -> Tensor:
    """Ignores the alarm, so that only the parent process can end it."""
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    while True:
        pass


class EndlessError(Exception):
    """Its text never ends."""

    def __str__(self) -> str:
        """Run for ever."""
        while True:
            pass


def raises_an_endless_text(x: Tensor) -> Tensor:
    """Whoever asks for the text waits for ever."""
    raise EndlessError


def hangs_backwards(x: Tensor) -> Tensor:
    """The value is right."""
    y = x.softmax(-1)
    if y.requires_grad:
        y.register_hook(lambda _: time.sleep(1000))
    return y


def exits_with_success(x: Tensor) -> Tensor:
    """Exits without a message."""
    os._exit(0)


def exits_with_3(x: Tensor) -> Tensor:
    """Exits with code 3."""
    os._exit(3)


def kills_itself(x: Tensor) -> Tensor:
    """Sends SIGKILL to itself."""
    os.kill(os.getpid(), signal.SIGKILL)
    return x


def terminates_itself(x: Tensor) -> Tensor:
    """Sends SIGTERM to itself."""
    os.kill(os.getpid(), signal.SIGTERM)
    return x


def reads_address_zero(x: Tensor) -> Tensor:
    """Reads a wrong pointer, like a faulty kernel."""
    ctypes.string_at(0)
    return x


def aborts(x: Tensor) -> Tensor:
    """Aborts, like a failed assertion in C."""
    os.abort()


def interrupts(x: Tensor) -> Tensor:
    """Raises the exception of Ctrl-C."""
    raise KeyboardInterrupt


def fills_the_memory(x: Tensor) -> Tensor:
    """Fills the memory step by step."""
    kept = []
    while True:
        kept.append(bytearray(2**24))


def asks_for_a_terabyte(x: Tensor) -> Tensor:
    """Requests a terabyte at once."""
    return torch.zeros(2**38)


def forks(x: Tensor) -> Tensor:
    """Forks, and both processes continue."""
    os.fork()
    return x.softmax(-1)


def talks_on_every_line(x: Tensor) -> Tensor:
    """Writes to every open descriptor."""
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"all laws hold\n")
        except OSError:
            continue
    return x.softmax(-1)


def closes_every_line(x: Tensor) -> Tensor:
    """Closes every open descriptor."""
    os.closerange(3, 64)
    return x.softmax(-1)


CASES = [
    Case(function, "softmax")
    for function in list(vars().values())
    if getattr(function, "__module__", None) == __name__ and not isinstance(function, type)
]
