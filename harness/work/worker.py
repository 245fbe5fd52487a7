"""The process in which foreign code runs: it does one piece of work after the other, and may be lost at any.

It is a fresh interpreter, not a fork: a fork of a process that has used torch's threads may hang, and would share with
the side that reports what foreign code is to be kept away from. Both sides speak lines of JSON, so that nothing which
comes from there is ever executed here.
"""

import faulthandler
import gc
import json
import logging
import os
import resource
import signal
import sys
import traceback
import warnings
from typing import IO, Any

import psutil

from harness.calling import watch
from harness.error import UsageError
from harness.record import Fault
from harness.work.limits import GIBIBYTE, Limits
from harness.work.lost_worker import OUT_OF_MEMORY, SILENT
from harness.work.plan import Pieces, from_document


def main() -> None:
    """Read what to do from standard input, and answer on standard output, until there is no more to read."""
    requests, answers = _lines()
    code = 1
    try:
        _converse(requests, answers)
        code = 0
    except MemoryError:
        code = OUT_OF_MEMORY
    except _Silenced:
        code = SILENT
    finally:
        # At once: threads that were left running are not waited for.
        os._exit(code)


def _converse(requests: IO[str], answers: IO[str]) -> None:
    setup = json.loads(requests.readline())
    try:
        pieces = from_document(setup["plan"]).load()
        about = list(pieces.about())
        _prepare(limits := Limits(**setup["limits"]))
        _say(answers, "ready", about)
        for line in requests:
            request = json.loads(line)
            watch.limit_calls(request["call_s"], request["first_call_s"], limits.first_call_s)
            _say(answers, "done", _done(pieces, request["index"]))
    except UsageError as error:
        facts = {"rule": error.rule, "value": error.value, "place": error.place, "remedy": error.remedy}
        _say(answers, "usage", facts)
    except (MemoryError, _Silenced):
        raise
    except Exception:  # noqa: BLE001 - it is raised again on the other side
        _say(answers, "bug", traceback.format_exc())


def _done(pieces: Pieces, index: int) -> dict[str, Any]:
    """Do one piece, and look at what its code did to this process besides."""
    sys.stdout.flush()
    before = os.fstat(2).st_size
    try:
        said = pieces.do(index)
    except KeyboardInterrupt:
        # None of the user's: the terminal sends that to the other side alone.
        return {"said": None, "noticed": (Fault.RAISED, "raises KeyboardInterrupt")}
    return {"said": said, "noticed": _noticed(before)}


def _noticed(before: int) -> tuple[Fault, str] | None:
    """What was printed past Python's streams since, or left running."""
    sys.stdout.flush()
    if printed := os.pread(2, 4 * watch.KEPT, before):
        return Fault.PRINTED, watch.PRINTS.format(watch.quoted(printed))
    return (Fault.STATE, "starts a process and leaves it to itself") if _has_children() else None


def _has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def _lines() -> tuple[IO[str], IO[str]]:
    """Take the standard streams for the conversation, and leave the code that is checked others in their place."""
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return requests, answers


class _Silenced(Exception):  # noqa: N818 - a signal within this module
    """The line to the other side was closed."""


def _say(answers: IO[str], kind: str, what: Any) -> None:
    try:
        answers.write(json.dumps({"kind": kind, "what": what}) + "\n")
        answers.flush()
    except (OSError, ValueError) as error:
        raise _Silenced from error


def _prepare(limits: Limits) -> None:
    """Set the limits, once the code is loaded."""
    import torch

    torch.set_num_threads(1)
    # A warning is no failure, and the stream it would be printed to is listened to.
    warnings.simplefilter("ignore")
    # Neither is what a library logs, as the compiler does of its limits.
    logging.disable()
    _warm_up()
    # What was imported stays to the end.
    gc.freeze()
    gc.enable()
    _limit_memory(limits)
    # Writes the stack of the main thread, then ends the process wherever it is; it needs no lock of Python's.
    faulthandler.register(signal.SIGALRM, all_threads=False, chain=True)


def _warm_up() -> None:
    """Let torch import what the first backward pass needs, which takes longer than a call may."""
    import torch

    x = torch.ones(1, requires_grad=True)
    torch.autograd.grad(x * 1.0, x, torch.ones(1))


def _limit_memory(limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    data = getattr(psutil.Process().memory_info(), "data", None)
    if limits.memory_gib is not None and data is not None:
        # What is private and written to, not the address space, of which accelerators reserve far more than they use.
        most = data + int(limits.memory_gib * GIBIBYTE)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
