"""Checks: the Python door to verdicts, for a script, a notebook or a test."""

import ast
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness.case import UNCLAIMED, Break, Case
from harness.error import UsageError
from harness.formula.spelling import written
from harness.record import SEED, Property, Status, Verdict, property_sentences
from harness.show.notebook import Verdicts, block
from harness.timing.clock import threads
from harness.verdict.apart import Apart, campaign_of, checked
from harness.verdict.corpus import FOLDER
from harness.verdict.decide import decide
from harness.verdict.job import Job, jobs
from harness.verdict.misfit import refuse_misfit, refuse_uncallable
from harness.verdict.probe import Probe
from harness.work.progress import followed


def check(
    function: Callable[..., Any],
    contract: str | None = None,
    *,
    formula: str | None = None,
    form: str | None = None,
    inputs: Mapping[str, str] | None = None,
    over: str = "rows",
    laws: Sequence[str] = (),
    dtypes: Sequence[str] = (),
    devices: Sequence[str] = ("cpu",),
    breaks: Mapping[str, str | Break] | None = None,
    declares: Mapping[str, Any] | None = None,
    call: str | Callable[..., Any] | None = None,
    examples: int | None = None,
    seconds: float | None = None,
    seed: int | None = None,
    corpora: Sequence[Path] = (FOLDER,),
    strict: bool = False,
    isolate: bool = False,
) -> Verdicts:
    """Check an implementation against a contract, in this process or out of its reach.

    Parameters
    ----------
    function
        The implementation: a function with the contract's signature, a module or a class of one, an optimizer.
    contract
        Name of the contract; that of the function where absent.
    formula, form, inputs, over
        The mathematics that it computes in place of a contract: see :func:`formula_contract`.
    laws, dtypes
        Names of the laws and dtypes to check; all of the contract's where empty.
    devices
        Where it computes: ``cpu``, and the type of this machine's accelerator.
    breaks
        Laws it is known to break, with the reason.
    declares
        Conventions in which the contract leaves a choice.
    call
        How it is called where it has another signature, or computes on other arrays: ``call(function, *inputs)``, or
        the name of an adapter such as ``numpy``.
    examples
        Hypothesis examples a law.
    seconds
        After how many no law draws further examples.
    seed
        Seed of the draws; a fixed one when absent.
    corpora
        Folders of counterexamples that are tried first.
    strict
        Whether lost digits are defects.
    isolate
        Whether it is imported anew in a process of its own and judged in another one, as ``harness check`` does it: so
        that it may hang, or end its process, and has nothing of its judge's. What cannot be imported is refused.

    Returns
    -------
    Verdicts
        A list with one verdict for each law, dtype and device.

    Raises
    ------
    UsageError
        If the contract, a law, a dtype or a device does not exist, the function's name says no contract, the formula
        is none, the function does not take the contract's inputs, or it cannot be imported where it is to be isolated.

    Notes
    -----
    A function that hangs or ends the process takes this one with it, unless it is isolated.
    """
    claim = formula_contract(contract, formula, form, inputs, over)
    if isolate:
        said = {"laws": tuple(laws), "dtypes": tuple(dtypes), "devices": tuple(devices), "strict": strict}
        said |= {"breaks": breaks or {}, "declares": declares or {}, "examples": examples, "seconds": seconds}
        return Verdicts(*checked(campaign_of(function, claim, call=call, corpora=corpora, seed=seed, **said)))
    case = Case(function, claim or "", breaks=breaks or {}, declares=declares or {}, style="foreign", call=call)
    known = SEED if seed is None else seed
    unclaimed = () if dtypes else UNCLAIMED
    listed = jobs([case], laws=laws, dtypes=dtypes, devices=devices, strict=strict, unclaimed=unclaimed)
    if listed:
        refuse_misfit(listed[0].case, listed[0].contract)
    probe = Probe()
    with _quietly():
        verdict_of = partial(decide, examples=examples, seed=known, seconds=seconds, corpora=corpora)
        verdicts = [probe.decided(job, verdict_of) for job in followed(listed, f"checking {case.name}")]
        refuse_uncallable(listed, verdicts)
        properties = {one.key: one for job in listed for one in probe.properties(job)}
        return Verdicts(verdicts, properties.values())


def formula_contract(
    contract: str | None, formula: str | None, form: str | None, inputs: Mapping[str, str] | None, over: str
) -> str | None:
    """Return the contract that is meant: by its name, or that of a formula.

    Parameters
    ----------
    contract
        Its name, where there is no formula.
    formula
        What is true, such as ``"x * tanh(x)"``; or ``file.py:function``, a function in the same words.
    form
        How one computes it, where that is not how the formula is written.
    inputs
        What each input may be: ``{"x": "positive", "p": "distribution", "t": "-1..1", "keep": "mask"}``.
    over
        Whether an implementation reduces over ``rows``, or over ``all`` that it is given.

    Raises
    ------
    UsageError
        If both are given, or the formula is none.
    """
    if formula is None:
        return contract
    if contract is not None:
        raise UsageError(rule="a function is checked against a contract or a formula", value="both")
    return written(formula, form, inputs, over=over).text


@contextmanager
def _quietly() -> Iterator[None]:
    """On one thread, and without the warnings of an implementation, which are no failure."""
    with threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Failed(AssertionError):  # noqa: N818 - a verdict, not an error of ours
    """A law was not found to hold; the verdict says why.

    Parameters
    ----------
    verdict
        The verdict.
    """

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(block(verdict))

    def __repr__(self) -> str:
        """Return the first line of what it says."""
        return str(self).partition("\n")[0]


class LawBroken(Failed):
    """A law is broken: the failure of a test that a declared break expects."""


class Undeclared(AssertionError):  # noqa: N818 - a verdict, not an error of ours
    """What kind of thing the function is was not declared, and the user is strict: the words say what to declare."""


@dataclass(repr=False)
class Check:
    """One law in one dtype, which a test calls on its function.

    Parameters
    ----------
    job
        The law, on an implementation that is not named yet.
    settings
        As :func:`harness.verdict.decide.decide` takes them.
    probe
        What looks at the function first, once for all checks of a test.
    apart
        The processes in which the function is called and judged; this one when absent.
    verdicts, properties
        What was reached, and what was found of the function.
    """

    job: Job
    settings: Mapping[str, Any]
    probe: Probe = field(default_factory=Probe)
    apart: Apart | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    properties: list[Property] = field(default_factory=list)

    def __repr__(self) -> str:
        """Return what is claimed, in a traceback too."""
        return self.id

    @property
    def id(self) -> str:
        """What is claimed, as the end of a test's name."""
        return f"{self.job.law.name}-in-{self.job.format.name}"

    @property
    def declared(self) -> str | None:
        """Why the law is known to be broken; ``None`` where it is to hold, or may lose digits."""
        status, reason = self.job.when_broken
        return reason if status is Status.EXPECTED else None

    def __call__(self, function: Callable[..., Any]) -> Verdict:
        """Check the law on a function.

        Returns
        -------
        Verdict
            That it holds, or loses digits.

        Raises
        ------
        LawBroken
            If it is broken, declared or not.
        Failed
            If the function did not answer.
        Undeclared
            If the user is strict, and the law was judged under a property that the function has undeclared.
        """
        __tracebackhide__ = True
        if self.apart is not None:
            verdict, self.properties = self.apart.decide(function, self.job.identity)
        else:
            verdict = self._decided_here(function)
        self.verdicts.append(verdict)
        if verdict.violation is not None and verdict.status not in {Status.LOST, Status.UNCLAIMED}:
            raise LawBroken(verdict)
        if verdict.status is Status.ERROR:
            raise Failed(verdict)
        undeclared = [one for one in self.properties if one.fails(strict=self.job.strict)]
        if undeclared:
            raise Undeclared("\n".join(property_sentences(undeclared)))
        if verdict.status is Status.SKIPPED:
            pytest.skip(f"{verdict.law} [{verdict.where}]: {verdict.reason}")
        return verdict

    def _decided_here(self, function: Callable[..., Any]) -> Verdict:
        own, at = self.job.case, Case(function, self.job.case.contract)
        case = replace(own, function=function, name=at.name, target=at.target)
        with _quietly():
            job = replace(self.job, case=case)
            verdict = self.probe.decided(job, partial(decide, **self.settings))
            self.properties = self.probe.properties(job)
            return verdict


def checks(
    contract: str,
    claims: Mapping[str, Any],
    *,
    laws: Sequence[str],
    dtypes: Sequence[str],
    strict: bool = False,
    isolate: bool = False,
    **settings: Any,
) -> list[Check]:
    """List the checks of a contract, one for each law and dtype; those of one test share the processes they have.

    Raises
    ------
    UsageError
        If a name does not exist.
    """
    known = {name: value for name, value in settings.items() if value is not None}
    unclaimed = () if dtypes else UNCLAIMED
    listed = jobs([Case(_nothing, contract, **claims)], laws=laws, dtypes=dtypes, strict=strict, unclaimed=unclaimed)
    probe = Probe()
    said = {**claims, **known, "contract": contract, "laws": tuple(laws), "dtypes": tuple(dtypes), "strict": strict}
    apart = Apart(said) if isolate else None
    return [Check(job, known, probe, apart) for job in listed]


def _nothing(*_: Any) -> None:
    """Stand in for the implementation until the test names it."""


def load_ipython_extension(shell: Any) -> None:
    """Have a notebook check the function that a cell defines: ``%load_ext harness``, then ``%%check softmax float32``.

    Parameters
    ----------
    shell
        That of IPython.

    Notes
    -----
    The contract is that of the function's name where the line names none; further words are dtypes. The cell is run as
    any other, and its last function, or class, is checked.
    """
    shell.register_magic_function(lambda line, cell: _check_cell(shell, line, cell), "cell", "check")


def _check_cell(shell: Any, line: str, cell: str) -> Verdicts:
    defined = [node.name for node in ast.parse(cell).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    if not defined:
        first = cell.strip().partition("\n")[0]
        raise UsageError(rule="`%%check` checks what its cell defines", value=f"`{first}`", remedy="define a function")
    shell.run_cell(cell).raise_error()
    words = [word for word in line.split() if word != "--dtypes"]
    return check(shell.user_ns[defined[-1]], words[0] if words else None, dtypes=words[1:])
