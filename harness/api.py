"""Checks from Python: in a script, a notebook or a test."""

import ast
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.calling.discovery import get_single_name
from harness.calling.question import Question
from harness.calling.target import complete_claim, find_known, place_of
from harness.case import Break, Case
from harness.display.notebook import Verdicts, block
from harness.error import UsageError
from harness.execution.progress import show_progress
from harness.formula.spelling import written
from harness.record import Fault, Fix, Property, Status, Verdict
from harness.repair.law_judge import find_local_fix
from harness.timing.clock import threads
from harness.verdict.campaign import Campaign
from harness.verdict.decide import make_unreached_verdict
from harness.verdict.isolated import Isolated, check_campaign, make_importable_campaign
from harness.verdict.job import Job, reject_misfit, reject_uncallable
from harness.verdict.probe import Probe
from harness.verdict.replay import CORPUS
from harness.wording.verdict import property_sentences


def check(
    function: Callable[..., Any] | str,
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
    corpora: Sequence[Path] = (CORPUS,),
    strict: bool = False,
    isolate: bool = False,
) -> Verdicts:
    """Check an implementation against a contract or a formula.

    Parameters
    ----------
    function
        The implementation: a function with the contract's signature, a module or its class, or an optimizer. With
        ``isolate`` also its target, ``"file.py:function"``; only the separate process imports it then.
    contract
        Name of the contract; by default inferred from the name of the function. Functions of torch, NumPy, SciPy, JAX
        and optax need neither a contract nor an adapter; ``docs/functions-that-can-be-checked.md`` lists them.
    formula, form, inputs, over
        Formula to check against instead of a contract; see :func:`formula_contract`.
    laws, dtypes
        Names of the laws and dtypes to check; all of the contract if empty.
    devices
        Devices to compute on: ``cpu``, and the type of this machine's accelerator.
    breaks
        Known failures: laws that the function breaks, each with its reason.
    declares
        Conventions that the function follows where the contract allows several.
    call
        Adapter for another signature or another array library: ``call(function, *inputs)``, or the name of an adapter
        such as ``numpy``.
    examples
        Number of Hypothesis examples for each law.
    seconds
        CPU time for each law, in seconds.
    seed
        Random seed; fixed by default.
    corpora
        Folders with counterexamples, which are tried first.
    strict
        Whether lost digits and undeclared properties count as failures.
    isolate
        Whether to import the function in a separate process and to judge it in another one, as ``harness check``
        does. Such a function may hang or end its process, and it cannot influence its judge.

    Returns
    -------
    Verdicts
        A list with one verdict for each law, dtype and device.

    Raises
    ------
    UsageError
        If the contract, a law, a dtype or a device does not exist; if no contract follows from the function's name;
        if the formula cannot be read; if the function does not take the inputs of
        the contract; or if it cannot be imported although it is to be isolated.

    Notes
    -----
    Without ``isolate``, a function that hangs or ends the process does so to this process.
    """
    claim = formula_contract(contract, formula, form, inputs, over)
    claim, call = complete_claim(find_known(function), claim, call)
    campaign = Campaign(
        "",
        claim,
        declares or {},
        breaks or {},
        call,
        laws=tuple(laws),
        dtypes=tuple(dtypes),
        devices=tuple(devices),
        examples=examples,
        seconds=seconds,
        seed=seed,
        replay=CORPUS in corpora,
        corpora=tuple(folder for folder in corpora if folder != CORPUS),
        strict=strict,
    )
    if isolate:
        return Verdicts(*check_campaign(make_importable_campaign(function, campaign)))
    function = _require_object(function)
    listed = campaign.jobs([case := _make_case(function, campaign)])
    if listed:
        reject_misfit(listed[0].case, listed[0].contract)
    probe = Probe()
    with _quietly():
        verdicts = [_decide_job(probe, job, campaign.decide) for job in show_progress(listed, f"checking {case.name}")]
        reject_uncallable(listed, verdicts)
        try:
            properties = {record.key: record for job in listed for record in probe.properties(job)}
        except Exception:
            # A function that disturbs its laws disturbs this too, and its verdicts say so.
            if all(verdict.status is not Status.ERROR for verdict in verdicts):
                raise
            properties = {}
        return Verdicts(verdicts, properties.values(), partial(_find_fix, function, campaign, verdicts))


def _require_object(function: Callable[..., Any] | str) -> Callable[..., Any]:
    """Return a function, or raise a usage error if it is a target, which only a separate process imports."""
    if isinstance(function, str):
        raise UsageError(f"cannot import `{function}` in this process", remedy="pass `isolate=True`")
    return function


def _find_fix(
    function: Callable[..., Any], campaign: Campaign, verdicts: Sequence[Verdict], *, unsafe: bool
) -> Fix | None:
    """Return a verified fix of a function of this process."""

    def recheck(changed: Callable[..., Any], laws: Sequence[str] | None, dtypes: Sequence[str] | None) -> list[Verdict]:
        question = replace(campaign, laws=tuple(laws or campaign.laws), dtypes=tuple(dtypes or campaign.dtypes))
        return _check_all(changed, question)

    return find_local_fix(function, verdicts, recheck, unsafe=unsafe)


def _check_all(function: Callable[..., Any], campaign: Campaign) -> list[Verdict]:
    """Return the verdicts of a campaign in this process, without making counterexamples minimal."""
    question, probe = replace(campaign, minimal=False), Probe()
    with _quietly():
        return [_decide_job(probe, job, question.decide) for job in question.jobs([_make_case(function, question)])]


def _decide_job(probe: Probe, job: Job, decide_: Callable[[Job], Verdict]) -> Verdict:
    """Decide a job; where the function disturbs the check itself, the verdict is an error that says so."""
    try:
        return probe.decide(job, decide_)
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a replaced function of torch or a tensor subclass leads to
        frame = traceback.extract_tb(error.__traceback__)[-1]
        location = f"{Path(frame.filename).name}:{frame.lineno}"
        reason = (
            f"{job.case.name} disturbs the check, which raises {type(error).__name__} in {location}: it replaces "
            "functions of the process or returns a misleading tensor subclass; `isolate=True` protects the check"
        )
        return make_unreached_verdict(job).model_copy(
            update={"status": Status.ERROR, "reason": reason, "fault": Fault.STATE}
        )


def _make_case(function: Callable[..., Any], question: Question) -> Case:
    """Return the case of a function, which has the name that the command gives it if it is a library's."""
    location = place_of(function) or ""
    name = get_single_name(*location.split(":")) if location else ""
    case = Case(function, question.contract or "", style="foreign", name=name, target=location, call=question.call)
    return replace(case, breaks=question.breaks, declares=question.declares)


def formula_contract(
    contract: str | None, formula: str | None, form: str | None, inputs: Mapping[str, str] | None, over: str
) -> str | None:
    """Return the name of a contract, or the contract of a formula.

    Parameters
    ----------
    contract
        Name of the contract, if there is no formula.
    formula
        The exact mathematics, such as ``"x * tanh(x)"``; or ``file.py:function``, a function written with the same
        operations.
    form
        The formula as the code evaluates it, if it is written differently. Error bounds follow this form.
    inputs
        Values that an input may have: ``{"x": "positive", "p": "distribution", "t": "-1..1", "keep": "mask"}``.
    over
        Elements that reductions cover: ``rows`` or ``all``. With ``mean`` or ``sum``, the results of the rows are
        reduced as well.

    Raises
    ------
    UsageError
        If both a contract and a formula are given, or if the formula cannot be read.
    """
    if formula is None:
        return contract
    if contract is not None:
        raise UsageError("cannot use a contract together with a formula", remedy="leave one out")
    return written(formula, form, inputs, over=over).text


@contextmanager
def _quietly() -> Iterator[None]:
    """Compute on one thread, and ignore the warnings of an implementation."""
    with threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Failed(AssertionError):  # noqa: N818 - a verdict, not an error of ours
    """A law does not hold; the verdict contains the reason.

    Parameters
    ----------
    verdict
        The verdict.
    """

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__(block(verdict))

    def __repr__(self) -> str:
        """Return the first line of the message."""
        return str(self).partition("\n")[0]


class Inapplicable(Exception):  # noqa: N818 - a verdict, not an error of ours
    """A law does not apply to the function; the message gives the reason, and a test is skipped."""


class LawBroken(Failed):
    """A law is broken: the failure that a declared break expects.

    Parameters
    ----------
    verdict
        The verdict.
    """


class Undeclared(AssertionError):  # noqa: N818 - a verdict, not an error of ours
    """A property was not declared, and the user is strict; the message names the declaration."""


@dataclass(repr=False)
class Check:
    """One law in one dtype; a test calls it on a function.

    Parameters
    ----------
    job
        The law, on an implementation that the test names later.
    campaign
        The question of the test.
    probe
        The first examination of the function, shared by all checks of a test.
    isolated
        The processes in which the function is called and judged; ``None`` for this process.
    verdicts, properties
        The verdicts, and the properties of the function.
    function
        The function that was checked last.
    """

    job: Job
    campaign: Campaign
    probe: Probe = field(default_factory=Probe)
    isolated: Isolated | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    properties: list[Property] = field(default_factory=list)
    function: Callable[..., Any] | None = None

    def fix(self) -> Fix | None:
        """Return a verified fix of the function that was checked last; all laws are checked first."""
        if self.function is None:
            return None
        return _find_fix(self.function, self.campaign, _check_all(self.function, self.campaign), unsafe=False)

    def __repr__(self) -> str:
        """Return the law and the dtype, also in a traceback."""
        return self.id

    @property
    def id(self) -> str:
        """The law and the dtype, as the end of a test's name."""
        return f"{self.job.law.name}-in-{self.job.format.name}"

    @property
    def declared(self) -> str | None:
        """The reason of a known failure; ``None`` if the law should hold or may lose digits."""
        job = replace(self.job, strict=True) if self.job.law.loses_digits_only else self.job
        status, reason = job.when_broken
        return reason if status is Status.EXPECTED else None

    def __call__(self, function: Callable[..., Any] | str) -> Verdict:
        """Check the law on a function; with ``isolate`` also on a target, ``"file.py:function"``.

        Returns
        -------
        Verdict
            The law holds, or loses digits.

        Raises
        ------
        LawBroken
            If the law is broken, declared or not.
        Failed
            If the function raised an error.
        Undeclared
            If the user is strict, and the function has an undeclared property that affected the verdict.
        Inapplicable
            If the law does not apply to the function.
        """
        __tracebackhide__ = True
        self.function = None if isinstance(function, str) else function
        if self.isolated is not None:
            verdict, self.properties = self.isolated.decide(function, self.job.identity)
        else:
            verdict = self._decide_here(_require_object(function))
        self.verdicts.append(verdict)
        if verdict.violation is not None and verdict.status not in {Status.LOST, Status.UNCLAIMED}:
            raise LawBroken(verdict)
        if verdict.status is Status.ERROR:
            raise Failed(verdict)
        undeclared = [record for record in self.properties if record.fails(strict=self.job.strict)]
        if undeclared:
            raise Undeclared("\n".join(property_sentences(undeclared)))
        if verdict.status is Status.SKIPPED:
            raise Inapplicable(f"{verdict.law} [{verdict.where}]: {verdict.reason}")
        return verdict

    def _decide_here(self, function: Callable[..., Any]) -> Verdict:
        contract = self.job.case.contract
        _, call = complete_claim(find_known(function), contract, self.campaign.call)
        case = _make_case(function, replace(self.campaign, contract=contract, call=call))
        with _quietly():
            job = replace(self.job, case=case)
            verdict = self.probe.decide(job, self.campaign.decide)
            self.properties = self.probe.properties(job)
            return verdict


def checks(question: Campaign, *, isolate: bool = False) -> list[Check]:
    """Return the checks of a question, one for each law and dtype; the checks of a test share their processes.

    Raises
    ------
    UsageError
        If a name does not exist.
    """
    contract = formula_contract(question.contract, question.formula, question.form, question.inputs, question.over)
    if contract is None:
        raise UsageError("nothing to check against", remedy="pass a contract or `formula` to `parametrize_laws`")
    campaign = question.claiming(contract)
    listed = campaign.jobs([_make_case(_nothing, campaign)])
    probe, isolated = Probe(), Isolated(campaign) if isolate else None
    return [Check(job, campaign, probe, isolated) for job in listed]


def _nothing(*_: Any) -> None:
    """Stand in for the implementation until the test names it."""


def load_ipython_extension(shell: Any) -> None:
    """Add the cell magic ``%%check`` to a notebook: ``%load_ext harness``, then ``%%check softmax float32``.

    Parameters
    ----------
    shell
        The IPython shell.

    Notes
    -----
    The first word of the line is the contract; without it, the contract follows from the function's name. Further
    words are dtypes. The cell runs as usual, and its last function or class is checked.
    """
    shell.register_magic_function(lambda line, cell: _check_cell(shell, line, cell), "cell", "check")


def _check_cell(shell: Any, line: str, cell: str) -> Verdicts:
    defined = [node.name for node in ast.parse(cell).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    if not defined:
        first = cell.strip().partition("\n")[0]
        raise UsageError("nothing to check in this cell", value=f"`{first}`", remedy="define a function or class in it")
    shell.run_cell(cell).raise_error()
    words = [word for word in line.split() if word != "--dtypes"]
    return check(shell.user_ns[defined[-1]], words[0] if words else None, dtypes=words[1:])
