"""Functions that cannot be called with the inputs of their contract: a usage error with the option to paste."""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

from harness.calling.adapter import Bridge, is_model
from harness.calling.adapter import adapter_signature as signature_of_adapter
from harness.case import Case
from harness.error import UsageError
from harness.laws.contract import Contract
from harness.record import Status, Verdict
from harness.verdict.job import Job

_USUAL = {
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


def refuse_misfit(case: Case, contract: Contract) -> None:
    """Refuse a function whose signature does not take the inputs of its contract.

    Raises
    ------
    UsageError
        If it does not; the message has the option that makes it fit.
    """
    signature = _signature(case)
    if contract.form != "function" or signature is None:
        return
    inputs = _inputs(contract)
    if contract.name == "sgd" and case.call is None and next(iter(signature.parameters), "") in _IN_PLACE:
        raise _otherwise(case, contract, "it changes a list of parameters in place")
    try:
        signature.bind(*inputs)
    except TypeError as error:
        raise _unfit(case, contract, str(error), _required(signature)[len(inputs) :]) from None


def refuse_uncallable(jobs: Sequence[Job], verdicts: Sequence[Verdict]) -> None:
    """Refuse a compiled function whose first ordinary call ends with a TypeError about its arguments.

    Raises
    ------
    UsageError
        If a verdict on the first law of the contract says so.
    """
    for job, verdict in zip(jobs, verdicts, strict=True):
        _refuse_uncallable(job, verdict)


def _refuse_uncallable(job: Job, verdict: Verdict) -> None:
    reason = (verdict.reason or "").removeprefix(job.case.name)
    if verdict.status is not Status.ERROR:
        return
    raised, is_adapted = _RAISED.fullmatch(reason), signature_of_adapter(job.case) is not None
    if raised and job.contract.name == "linear" and not is_adapted and _OF_SHAPES.search(raised[1]):
        raise _otherwise(job.case, job.contract, raised[1])
    found = _TYPE_ERROR.fullmatch(reason)
    if job.law is not job.contract.laws[0] or found is None:
        return
    words = found[1].removeprefix("TypeError: ")
    if _OF_JAX.search(words) and job.case.call is None:
        problem = f"cannot call `{job.case.target}` with tensors: it takes arrays of JAX"
        raise UsageError(problem, remedy="pass `--call jax`")
    if _signature(job.case) is None and not _is_object(job.case.function):
        raise _unfit(job.case, job.contract, words, [])


def _signature(case: Case) -> inspect.Signature | None:
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


def _inputs(contract: Contract) -> tuple[str, ...]:
    return contract.laws[0].reads


def _required(signature: inspect.Signature) -> list[str]:
    return [
        one.name
        for one in signature.parameters.values()
        if one.default is one.empty and one.kind not in {one.VAR_POSITIONAL, one.VAR_KEYWORD}
    ]


def _otherwise(case: Case, contract: Contract, words: str) -> UsageError:
    return UsageError(
        f"cannot call `{case.target}` as {contract.signature}: {words.rstrip('.')}",
        remedy=f'pass `--call "{_OTHERWISE[contract.name]}"`',
    )


def _unfit(case: Case, contract: Contract, words: str, missing: Sequence[str]) -> UsageError:
    inputs = [name.lower() for name in _inputs(contract)]
    names = ", ".join(inputs)
    if "too many" in words:
        remedy = "name another contract with `--contract`, or give its mathematics with `--formula`"
    else:
        others = [f"{name}={_USUAL.get(name, '...').format(first=inputs[0])}" for name in missing] or ["..."]
        remedy = f"pass `--call 'lambda f, {names}: f({names}, {', '.join(others)})'`"
        remedy += ", or give its mathematics with `--formula`" if "..." in remedy else ""
    return UsageError(
        f"cannot call `{case.target}` as {contract.signature}: {words.rstrip('.')}",
        remedy=remedy,
    )
