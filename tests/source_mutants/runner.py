"""Decide whether a mutant is detected: a forked child imports the change.

Its parent has imported torch, but not the harness, because importing torch and Hypothesis takes seconds and a verdict
milliseconds. No file is written: the change is compiled from memory.
"""

import importlib.abc
import importlib.machinery
import io
import json
import os
import resource
import sys
import traceback
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import flint  # noqa: F401 - imported once, for all that are forked
import hypothesis.strategies  # noqa: F401
import numpy  # noqa: F401
import pydantic  # noqa: F401
import pytest
import torch
from source_mutants.mutation import Mutation, file_of
from source_mutants.witnesses import Witnesses

if TYPE_CHECKING:
    from harness.verdict.job import Job

CPU_S = 90
"""Limit of CPU time for a mutant. An endless search is detected by this limit."""

OPTIONS = ("-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
"""Options of pytest.

Its process has already imported the harness and Hypothesis, so that their plugins are not needed.
"""

TESTS = Path(__file__).parent.parent

EXAMPLES = 8
"""Number of examples per control."""


class Outcome(NamedTuple):
    """The outcome of a mutant."""

    noticed: str
    """The witness that detected it; empty if none did."""
    cpu_s: float


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a changed source."""

    def __init__(self, module: str, code: str) -> None:
        self.module, self.code = module, compile(code, str(file_of(module)), "exec")

    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        """Return a spec for the changed module only."""
        return importlib.machinery.ModuleSpec(fullname, self) if fullname == self.module else None

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed source."""
        module.__file__ = str(file_of(self.module))
        exec(self.code, module.__dict__)  # noqa: S102 - what is run is our own source, changed on purpose


def unchanged(witnesses: Witnesses) -> str:
    """Return all bounds for the controls as text, without a mutant; no witness may fail."""
    text = _forked(lambda: _unchanged(witnesses)).noticed
    assert text.startswith("["), text
    return text


def tried(mutation: Mutation, witnesses: Witnesses, usual: str) -> Outcome:
    """Try a mutant in a forked process.

    ``usual`` is the result of :func:`unchanged` for these witnesses, with which bounds are compared.
    """
    return _forked(lambda: _changed(mutation, witnesses, usual))


def _forked(ask: Callable[[], str]) -> Outcome:
    """Return the result of a forked process, or how it ended."""
    assert not any(name.partition(".")[0] == "harness" for name in sys.modules), "it is to be imported changed"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    end, own_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        with os.fdopen(own_end, "wb") as answers:
            answers.write(_answer(ask).encode())
        os._exit(0)
    os.close(own_end)
    with os.fdopen(end, "rb") as told:
        text = told.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Outcome(text if status == 0 else f"the process ended with {status}", spent)


def _answer(ask: Callable[[], str]) -> str:
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            return ask()
    except BaseException as error:  # noqa: BLE001 - whatever a change makes of an import or a law, it is noticed
        return "".join(traceback.format_exception_only(error)).strip()


def _changed(mutation: Mutation, witnesses: Witnesses, usual: str) -> str:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    torch.set_num_threads(1)
    sys.meta_path.insert(0, _Changed(mutation.module, mutation.code()))
    return _noticed(witnesses, usual)


def _jobs(witnesses: Witnesses) -> "list[Job]":
    """Return all laws of the controls, the slowest last."""
    from controls.catalogue import MODULES
    from tightness.record import DTYPES

    controls = [control for name in witnesses.controls for control in MODULES[name].CONTROLS]
    jobs = [job for control in controls for job in control.jobs(DTYPES)]
    return sorted(jobs, key=lambda job: (job.law.group == "length" or job.law.of_many, DTYPES.index(job.format.name)))


def _unchanged(witnesses: Witnesses) -> str:
    """Return the bounds for the controls, or the first failure."""
    from tightness.record import told

    from harness.record import Status
    from harness.verdict.decide import decide

    torch.set_num_threads(1)
    verdicts = [decide(job, examples=EXAMPLES, minimal=False, further=0) for job in _jobs(witnesses)]
    wrong = [f"{it.case} {it.law} is {it.status}" for it in verdicts if it.status is not Status.HOLDS]
    noticed = next(iter(wrong), "") or _failed(witnesses)
    return noticed or json.dumps([[*key, *line] for key, line in told(verdicts).items()])


def _noticed(witnesses: Witnesses, usual: str) -> str:
    """Try the stable controls, which do not depend on the oracle, then the tests, then the rounded controls."""
    from tightness.record import Tightness, key_of, moved

    from harness.record import Status
    from harness.verdict.decide import decide

    lines = {(contract, law, dtype): Tightness(*line) for contract, law, dtype, *line in json.loads(usual)}
    jobs = _jobs(witnesses)
    rounded = {
        (job.contract.name, job.law.name, job.format.name): job for job in jobs if job.case.name.startswith("rounded.")
    }

    def asked(job: "Job") -> str:
        verdict = decide(job, examples=EXAMPLES, minimal=False, further=0)
        if verdict.status is not Status.HOLDS:
            return f"{verdict.case} {verdict.law} is {verdict.status}: {verdict.reason or 'beyond its bound'}"
        line = lines[key_of(verdict)]
        decisive = rounded.get((job.contract.name, job.law.name, job.format.name))
        if decisive is not None and decisive is not job and moved(verdict, line._replace(rounded=None)):
            # The stable control has another bound; check at once whether the rounded control has too.
            return asked(decisive)
        return moved(verdict, line)

    stable = [job for job in jobs if job.case.name.startswith("stable.")]
    # The slowest come last: correct rounding takes five times as long as a stable implementation.
    noticed = next(filter(None, map(asked, stable)), "") or _failed(witnesses)
    return noticed or next(filter(None, map(asked, list(rounded.values()))), "")


def _failed(witnesses: Witnesses) -> str:
    """Run some tests, and name the first that fails."""
    if not witnesses.tests:
        return ""
    failures: list[str] = []

    class Listener:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed:
                failures.append(report.nodeid)

    files = [str(TESTS.parent / test) for test in witnesses.tests]
    code = pytest.main([*OPTIONS, "--rootdir", str(TESTS.parent), "-k", witnesses.named, *files], [Listener()])
    return "" if code == 0 else f"{failures[0] if failures else f'pytest ends with {code}'}"
