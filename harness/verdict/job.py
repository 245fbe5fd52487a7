"""Jobs: the verdicts to reach, one for each law of a case in a dtype, and their declarations.

A case that cannot be called with the inputs of its contract is a usage error, with the option to paste.
"""

import inspect
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

from harness.calling.adapter import Bridge, adapter_of, compiles_each_shape, is_model
from harness.calling.adapter import find_adapter_signature as signature_of_adapter
from harness.calling.device import CPU, refuse_absent
from harness.calling.watch import TimeOnlyWatch
from harness.case import Case
from harness.contracts import claimed, contract_named
from harness.error import UsageError, did_you_mean, join_names
from harness.floats.format import Format, format_of
from harness.laws.contract import Axes, Contract, choices
from harness.laws.default_examples import count_examples
from harness.laws.law import Inputs, Law
from harness.laws.strategies import few_shapes
from harness.laws.subject import TRAITS, Subject, explain_exemption
from harness.laws.transformation import laws_on_request
from harness.record import ANY, Status, Verdict


@dataclass(frozen=True)
class Job:
    """One verdict to reach: a law of a case in a dtype, computed on a device."""

    case: Case
    contract: Contract
    law: Law
    format: Format
    device: str = CPU
    strict: bool = False
    """Whether lost digits are defects."""
    watched: bool = True
    """Check the side effects of calls, which takes a tenth of the time."""
    claimed: bool = True
    """Whether the implementation claims the format; a law that is broken in another one does not fail."""

    @property
    def subject(self) -> Subject:
        """The subject of the law."""
        return Subject(self.case, self.contract, self.format, None if self.watched else TimeOnlyWatch(), self.device)

    @property
    def identity(self) -> dict[str, Any]:
        """Return the first fields of every record about the job."""
        return {
            "case": self.case.name,
            "family": self.case.family,
            "style": self.case.style,
            "contract": self.contract.name,
            "law": self.law.name,
            "group": self.law.group,
            "dtype": ANY if self.contract.form == "delivery" else self.format.name,
            "device": self.device,
        }

    @property
    def when_broken(self) -> tuple[Status, str | None]:
        """Return the status of a broken law, and the declared or known reason."""
        status, reason = get_status_if_broken(self.law, self.case, self.format.name, strict=self.strict)
        return (status, reason) if self.claimed or status is Status.EXPECTED else (Status.UNCLAIMED, None)

    @property
    def examples(self) -> int:
        """Default number of Hypothesis examples."""
        return self.law.examples or count_examples(self.contract.examples, self.law.group)

    @property
    def exemption(self) -> str | None:
        """Return why the law does not apply to such a case; ``None`` if it does."""
        return explain_exemption(self.case.declares, self.format, self.law.name)

    @property
    def inputs(self) -> Inputs:
        """Return the inputs of the law's examples."""
        return self.law.inputs or self.contract.inputs

    def drawing(self) -> AbstractContextManager[None]:
        """Draw examples in the body in the form that the case requires."""
        return few_shapes(few=compiles_each_shape(self.case))

    @property
    def axes(self) -> dict[str, Axes]:
        """Return the axes of the inputs that the law reads."""
        return {name: axes for name, axes in self.contract.axes.items() if name in self.law.reads}


def get_status_if_broken(law: Law, case: Case, dtype: str, *, strict: bool = False) -> tuple[Status, str | None]:
    """Return the status of a law that a case breaks, and the declared or known reason.

    If ``strict``, lost digits are defects, too.
    """
    declared = case.declared_break(law.name, dtype)
    if law.lost_digits and law.name not in case.attains and not strict:
        return Status.LOST, declared or law.lost_digits
    return (Status.EXPECTED, declared) if declared else (Status.BROKEN, None)


def list_jobs(
    cases: Iterable[Case],
    *,
    laws: Iterable[str] = (),
    dtypes: Iterable[str] = (),
    devices: Sequence[str] = (CPU,),
    strict: bool = False,
    watched: bool = True,
    unclaimed: Collection[str] = (),
) -> list[Job]:
    """List the verdicts to reach, in a fixed order.

    Parameters
    ----------
    cases
        The cases.
    laws, dtypes
        Names to select; all if empty.
    devices
        Devices of the computation. An accelerator excludes trainers and loaders, which move data themselves.
    strict
        Whether lost digits are defects.
    watched
        Whether to observe side effects of calls.
    unclaimed
        Dtypes that the cases do not claim.

    Raises
    ------
    UsageError
        If a name matches nothing, a device does not exist, or a case declares a violation of an unknown law.
    """
    wanted_laws, wanted_dtypes = set(laws), [format_of(name).name for name in dtypes]
    for device in devices:
        if device != CPU:
            refuse_absent(device)
    job = partial(Job, strict=strict, watched=watched)
    selected, known_laws = [], set()
    for case in map(claimed, cases):
        contract = contract_named(case.contract)
        on_request = laws_on_request(contract)
        known_laws |= {law.name for law in (*contract.laws, *on_request)}
        _validate(case, contract)
        for law in (*contract.laws, *(on_request if wanted_laws else ())):
            if wanted_laws and law.name not in wanted_laws:
                continue
            selected += [
                job(case, contract, law, format_of(name), device, claimed=name not in unclaimed)
                for device in devices
                if device == CPU or contract.output is not None
                for name in contract.dtypes
                if name in case.dtypes and (not wanted_dtypes or name in wanted_dtypes)
            ]
    unknown = wanted_laws - known_laws
    if unknown:
        name = min(unknown)
        otherwise = "see `harness list --laws` for the laws of each contract"
        raise UsageError(f"unknown law `{name}`", remedy=did_you_mean(name, known_laws, otherwise))
    return selected


def _validate(case: Case, contract: Contract) -> None:
    """Check that the laws and conventions of a declaration exist in the contract, and that its adapter exists."""
    if case.call is not None and not hasattr(case.function, "host"):
        adapter_of(case.call)
    names = {law.name for law in (*contract.laws, *laws_on_request(contract))}
    lossy = {law.name for law in contract.laws if law.lost_digits}
    for attained in case.attains:
        if attained not in lossy:
            raise UsageError(
                f"unknown law `{attained}` in `attains` of {case.name}",
                rule=f"the laws of lost digits of `{contract.name}` are {join_names(sorted(lossy)) or 'none'}",
            )
    for declared in case.breaks:
        if declared not in names:
            raise UsageError(
                f"unknown law `{declared}` in `breaks` of {case.name}",
                rule=f"the laws of `{contract.name}` are {join_names(sorted(names))}",
                remedy=did_you_mean(declared, names),
            )
    admissible = {**contract.conventions, **(TRAITS if contract.output is not None else {})}
    for name, value in case.declares.items():
        if name not in admissible:
            conventions = join_names(contract.conventions) or "none"
            raise UsageError(
                f"unknown convention `{name}` declared for {case.name}",
                rule=f"the conventions of `{contract.name}` are {conventions}",
                remedy=did_you_mean(name, admissible),
            )
        if value not in admissible[name]:
            raise UsageError(
                f"invalid value of the convention `{name}` declared for {case.name}",
                rule=f"`{contract.name}` allows {choices(admissible[name])}",
                value=f"`{value}`",
                remedy=did_you_mean(str(value), admissible[name]),
            )


# Functions that cannot be called with the inputs of their contract

_DEFAULTS = {
    "dim": "-1",
    "axis": "-1",
    "normalized_shape": "{first}.shape[-1:]",
    "num_groups": "1",
    "kernel_size": "2",
    "running_mean": "None",
    "running_var": "None",
}
"""Usual values of arguments with these names."""

_OTHERWISE = {
    "linear": "lambda f, x, weight, bias: f(x, weight.T, bias)",
    "sgd": "lambda f, parameter, gradient, lr: (p := parameter.clone().requires_grad_(), "
    "setattr(p, 'grad', gradient.clone()), f([p], lr, 1))[0].detach()",
}
"""Adapters of the forms in the book: weights with a column for each output, and parameters changed in place."""

_RAISED = re.compile(r" raises (\w+: .*?)(; it is called as .*)?")
_OF_SHAPES = re.compile(r"shape|size|dimension")
_IN_PLACE = ("params", "parameters")
"""Names of a list of parameters with their gradients, which an optimizer step changes in place."""

_TYPE_ERROR = re.compile(r" raises (TypeError: .*?)(; it is called as .*)?")
_OF_JAX = re.compile(r"\bJAX\b|abstract array|jax\.")


def reject_misfit(case: Case, contract: Contract) -> None:
    """Refuse a function whose signature does not take the inputs of its contract.

    Raises
    ------
    UsageError
        If it does not; the message has the option that makes it fit.
    """
    signature = _find_signature(case)
    if contract.form != "function" or signature is None:
        return
    inputs = _get_inputs(contract)
    if contract.name == "sgd" and case.call is None and next(iter(signature.parameters), "") in _IN_PLACE:
        raise _make_call_error(case, contract, "it changes a list of parameters in place")
    try:
        signature.bind(*inputs)
    except TypeError as error:
        raise _make_misfit_error(case, contract, str(error), _list_required(signature)[len(inputs) :]) from None


def reject_uncallable(jobs: Sequence[Job], verdicts: Sequence[Verdict]) -> None:
    """Refuse a compiled function whose first ordinary call ends with a TypeError about its arguments.

    Raises
    ------
    UsageError
        If a verdict on the first law of the contract says so.
    """
    for job, verdict in zip(jobs, verdicts, strict=True):
        _reject_uncallable(job, verdict)


def _reject_uncallable(job: Job, verdict: Verdict) -> None:
    reason = (verdict.reason or "").removeprefix(job.case.name)
    if verdict.status is not Status.ERROR:
        return
    raised, is_adapted = _RAISED.fullmatch(reason), signature_of_adapter(job.case) is not None
    if raised and job.contract.name == "linear" and not is_adapted and _OF_SHAPES.search(raised[1]):
        raise _make_call_error(job.case, job.contract, raised[1])
    match = _TYPE_ERROR.fullmatch(reason)
    if job.law is not job.contract.laws[0] or match is None:
        return
    words = match[1].removeprefix("TypeError: ")
    if _OF_JAX.search(words) and job.case.call is None:
        problem = f"cannot call `{job.case.target}` with tensors: it takes arrays of JAX"
        raise UsageError(problem, remedy="pass `--call jax`")
    if _find_signature(job.case) is None and not _is_object(job.case.function):
        raise _make_misfit_error(job.case, job.contract, words, [])


def _find_signature(case: Case) -> inspect.Signature | None:
    """Return the signature that a call meets; ``None`` where it is not known, or modules and classes are called."""
    if (signature := signature_of_adapter(case)) is not None:
        return signature
    function: Callable[..., Any] = case.function
    if _is_object(function) or (hasattr(function, "host") and not hasattr(function, "__signature__")):
        return None
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _is_object(function: Any) -> bool:
    """Whether the harness has a special way to call it: a module, or a class."""
    return isinstance(function, (type, Bridge)) or is_model(function) or getattr(function, "is_object", False) is True


def _get_inputs(contract: Contract) -> tuple[str, ...]:
    return contract.laws[0].reads


def _list_required(signature: inspect.Signature) -> list[str]:
    return [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
    ]


def _make_call_error(case: Case, contract: Contract, words: str) -> UsageError:
    return _make_uncallable_error(case, contract, words, f'pass `--call "{_OTHERWISE[contract.name]}"`')


def _make_uncallable_error(case: Case, contract: Contract, words: str, remedy: str) -> UsageError:
    return UsageError(f"cannot call `{case.target}` as {contract.signature}: {words.rstrip('.')}", remedy=remedy)


def _make_misfit_error(case: Case, contract: Contract, words: str, missing: Sequence[str]) -> UsageError:
    inputs = [name.lower() for name in _get_inputs(contract)]
    names = ", ".join(inputs)
    if "too many" in words:
        remedy = "name another contract with `--contract`, or give its mathematics with `--formula`"
    else:
        rest = [f"{name}={_DEFAULTS.get(name, '...').format(first=inputs[0])}" for name in missing] or ["..."]
        remedy = f"pass `--call 'lambda f, {names}: f({names}, {', '.join(rest)})'`"
        remedy += ", or give its mathematics with `--formula`" if "..." in remedy else ""
    return _make_uncallable_error(case, contract, words, remedy)
