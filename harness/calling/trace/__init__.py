"""Trace a call: record its operations on a tape, and replay the tape in wider arithmetic.

The tape holds the inputs and the results of every operation. It can be replayed so that its first ``k`` operations
return their recorded results and all later ones are exact. If the result is right at ``k`` and wrong at ``k + 1``, that
operation is at fault.
"""

from harness.calling.trace.hidden_branch import hidden_branch
from harness.calling.trace.loss import first_loss
from harness.calling.trace.recording import Recording, RecordingHere
from harness.calling.trace.replay import Replay
from harness.calling.trace.step import View, is_floating
from harness.calling.trace.tape import Recorder, Tape
from harness.calling.trace.wide import Balls, Doubles

__all__ = [
    "Balls",
    "Doubles",
    "Recorder",
    "Recording",
    "RecordingHere",
    "Replay",
    "Tape",
    "View",
    "first_loss",
    "hidden_branch",
    "is_floating",
]
