"""Implementations that take the process with them, or never give it back. Each is checked on one law alone."""

import ctypes
import os
import re
import signal
import time

import torch
from torch import Tensor

from harness.case import Case


def loops(x: Tensor) -> Tensor:
    """For ever."""
    while True:
        pass


def sleeps(x: Tensor) -> Tensor:
    """Outside Python."""
    time.sleep(1000)
    return x.softmax(-1)


def holds_the_lock(x: Tensor) -> Tensor:
    """In one operation of C, during which no other thread of Python runs."""
    re.match(r"(a+)+$", "a" * 64 + "b")
    return x.softmax(-1)


def ignores_the_alarm(x: Tensor) -> Tensor:
    """So that only the other side can end it."""
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
    """Its value is right."""
    y = x.softmax(-1)
    if y.requires_grad:
        y.register_hook(lambda _: time.sleep(1000))
    return y


def exits_with_success(x: Tensor) -> Tensor:
    """Without a word."""
    os._exit(0)


def exits_with_3(x: Tensor) -> Tensor:
    """Likewise."""
    os._exit(3)


def kills_itself(x: Tensor) -> Tensor:
    """With what cannot be caught."""
    os.kill(os.getpid(), signal.SIGKILL)
    return x


def terminates_itself(x: Tensor) -> Tensor:
    """With what can be."""
    os.kill(os.getpid(), signal.SIGTERM)
    return x


def reads_address_zero(x: Tensor) -> Tensor:
    """As a kernel with a wrong pointer does."""
    ctypes.string_at(0)
    return x


def aborts(x: Tensor) -> Tensor:
    """As an assertion in C does."""
    os.abort()


def interrupts(x: Tensor) -> Tensor:
    """As if somebody had pressed Ctrl-C."""
    raise KeyboardInterrupt


def fills_the_memory(x: Tensor) -> Tensor:
    """Bit by bit."""
    kept = []
    while True:
        kept.append(bytearray(2**24))


def asks_for_a_terabyte(x: Tensor) -> Tensor:
    """At once."""
    return torch.zeros(2**38)


def forks(x: Tensor) -> Tensor:
    """And both go on."""
    os.fork()
    return x.softmax(-1)


def talks_on_every_line(x: Tensor) -> Tensor:
    """Into whatever is open."""
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, b"all laws hold\n")
        except OSError:
            continue
    return x.softmax(-1)


def closes_every_line(x: Tensor) -> Tensor:
    """Whoever opened it."""
    os.closerange(3, 64)
    return x.softmax(-1)


CASES = [
    Case(function, "softmax")
    for function in list(vars().values())
    if getattr(function, "__module__", None) == __name__ and not isinstance(function, type)
]
