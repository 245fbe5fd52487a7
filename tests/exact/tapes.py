"""Tapes of calls, and their replays."""

from collections.abc import Callable

from torch import Tensor

from harness.exact.replay import Balls, Doubles, Replay
from harness.exact.tape import Recorder, Tape


def recorded(function: Callable[..., Tensor], *inputs: Tensor) -> tuple[Tape, Tensor]:
    """Return the tape of a call and its result."""
    recorder = Recorder(tape := Tape())
    with recorder:
        answer = function(*inputs)
    tape.answers.append(recorder.view(answer))
    return tape, answer


def replayed(tape: Tape, arithmetic: Balls | Doubles, rounded: int = 0) -> Tensor:
    """Return the result of a replay."""
    return Replay(tape, arithmetic, rounded).read(tape.answers[0]).hi
