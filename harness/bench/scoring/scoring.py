"""The score of an implementation: its laws, and its speed relative to a reference.

Only correct implementations are timed. Every timed turn has new inputs, and an answer to them is compared with the
reference. If both differ, the law on values decides.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from harness.bench.scoring.pairs import Couples, Inputs, Timed, UntimedError, couples
from harness.bench.workload import standard_inputs
from harness.calling.device import CPU
from harness.calling.source import subject_of
from harness.case import Case
from harness.contracts import contract_named
from harness.error import UsageError
from harness.execution.runner import Backend
from harness.findings import findings
from harness.isolation.limits import Limits
from harness.laws.contract import Contract
from harness.record import Score, Speed, Status, Tier, Verdict
from harness.verdict.campaign import Campaign
from harness.verdict.decide import decide
from harness.verdict.job import jobs
from harness.wording import sentence, verdict_line

NOT_CORRECT = "not timed because it is not correct"
ANSWERS_OTHERWISE = "{} behaves differently while it is timed: its timed results break the law `{}`"

CORRECT = {Tier.HOLDS, Tier.LOST}
"""Grades that count as correct; careful implementations lose digits too."""


@dataclass(frozen=True)
class ScoreRequest:
    """A request for a score.

    Parameters
    ----------
    campaign
        Campaign with the laws of the implementation.
    reference
        Target of the reference.
    reference_call
        Adapter of the reference.
    inputs
        ``FILE:FUNCTION`` that returns new arguments for each call; the default is the benchmark of the contract.
    sizes
        Lengths of axes of the contract's inputs.
    seconds
        Time after which no further pair starts.
    limits
        Limits of both processes.
    """

    campaign: Campaign
    reference: str
    reference_call: str | None = None
    inputs: str | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 20.0
    limits: Limits = field(default_factory=Limits)

    @cached_property
    def recheck_seed(self) -> int:
        """Return the secret seed: that of the campaign, or a random one."""
        return secrets.randbelow(2**31) if self.campaign.recheck_seed is None else self.campaign.recheck_seed

    @property
    def device(self) -> str:
        """Return the device of both."""
        return self.campaign.devices[0]


def score(request: ScoreRequest, backend: Backend, *, on_verdict: Callable[[Verdict], None] = lambda _: None) -> Score:
    """Decide the laws, and time a correct implementation.

    Parameters
    ----------
    request
        The request.
    backend
        Executor of the campaign.
    on_verdict
        Callback for each verdict.

    Raises
    ------
    UsageError
        If the contract has no inputs, or the reference or the function of inputs cannot be loaded.
    """
    if not backend.pieces:
        place = f"`{request.campaign.target}`"
        raise UsageError(f"no law of {place} matches", remedy="select at least one law")
    contract = contract_named(backend.pieces[0]["unreached"]["contract"])
    with _problem(request, contract) as problem:
        verdicts = []
        for verdict in request.campaign.verdicts(backend):
            verdicts.append(verdict)
            on_verdict(verdict)
        result = _decided(request, verdicts)
        return _with_speed(result, request, problem) if result.correct else result


def _decided(request: ScoreRequest, verdicts: list[Verdict]) -> Score:
    """Return the score from the laws."""
    campaign = request.campaign
    subject = subject_of(campaign.target)
    return Score(
        candidate=campaign.target,
        source=None if subject is None else subject.source,
        reference=request.reference,
        contract=verdicts[0].contract,
        seed=campaign.first_seed,
        late_seed=request.recheck_seed,
        correct=(tier := _tier(verdicts)) in CORRECT,
        tier=tier,
        verdict=verdict_line(verdicts),
        laws=Counter(str(verdict.status) for verdict in verdicts),
        findings=tuple(map(sentence, findings(verdicts))),
        speed=None,
        reason=None if tier in CORRECT else NOT_CORRECT,
    )


def _tier(verdicts: list[Verdict]) -> Tier:
    statuses = {verdict.status for verdict in verdicts}
    if statuses & {Status.BROKEN, Status.UNEXPECTED, Status.EXPECTED}:
        return Tier.DEFECT
    if Status.ERROR in statuses or not statuses & {Status.HOLDS, Status.LOST}:
        return Tier.UNANSWERED
    return Tier.LOST if Status.LOST in statuses else Tier.HOLDS


def with_speed(result: Score, request: ScoreRequest) -> Score:
    """Return the score of a correct implementation with its speed, or with the reason why there is none."""
    with _problem(request, contract_named(result.contract)) as problem:
        return _with_speed(result, request, problem)


@dataclass(frozen=True)
class _Problem:
    """The reference and the inputs of the timing: ``fresh(count)`` returns inputs for as many calls."""

    contract: Contract
    reference: Timed
    fresh: Callable[[int], list[Inputs]]


@contextmanager
def _problem(request: ScoreRequest, contract: Contract) -> Iterator[_Problem]:
    """Load the problem without a call of the reference."""
    with (
        _timed(request, request.reference, contract, request.reference_call) as reference,
        _inputs(request, contract) as fresh,
    ):
        yield _Problem(contract, reference, fresh)


def _timed(request: ScoreRequest, target: str, contract: Contract, call: Any) -> Timed:
    return Timed(target, contract.name, call=call, limits=request.limits, device=request.device)


def _with_speed(result: Score, request: ScoreRequest, problem: _Problem) -> Score:
    contract = problem.contract
    with _timed(request, result.candidate, contract, request.campaign.call) as candidate:
        try:
            found = couples(
                candidate, problem.reference, problem.fresh, seconds=request.seconds, seed=request.recheck_seed
            )
        except UntimedError as error:
            return _untimed(result, str(error), of_candidate=str(error).startswith(f"{result.candidate} "))
        shapes = _shapes(contract, problem.fresh(1)[0])
    if (law := broken_while_timed(request, contract, found)) is not None:
        wrong = ANSWERS_OTHERWISE.format(result.candidate, law)
        update = {"correct": False, "tier": Tier.DEFECT, "findings": (*result.findings, wrong), "reason": NOT_CORRECT}
        return result.model_copy(update=update)
    return result.model_copy(update={"speed": _speed(found, request.device, shapes)})


def _untimed(result: Score, why: str, *, of_candidate: bool) -> Score:
    """Return the score without a time; a candidate that does not answer its inputs is not correct."""
    if not of_candidate:
        return result.model_copy(update={"reason": why})
    return result.model_copy(update={"correct": False, "tier": Tier.UNANSWERED, "reason": why})


@contextmanager
def _inputs(request: ScoreRequest, contract: Contract) -> Iterator[Callable[[int], list[Inputs]]]:
    """Return the function that makes new inputs: the user's, or that of the contract in float32."""
    if request.inputs is not None:
        with Timed(request.inputs, contract.name, call=None, limits=request.limits, device=CPU) as timed:

            def given(count: int) -> list[Inputs]:
                timed.turn([[] for _ in range(count)])
                return [list(inputs) for inputs in timed.reported(*range(count))]

            yield given
        return
    generator = torch.Generator().manual_seed(request.recheck_seed)

    def drawn(count: int) -> list[Inputs]:
        named = [standard_inputs(contract, request.sizes, generator) for _ in range(count)]
        if None in named:
            raise UsageError(
                f"cannot generate inputs for the contract `{contract.name}`",
                rule="timed functions must take only tensors and numbers",
                value=f"`{contract.signature}`",
                remedy="pass a function that returns the arguments: `--inputs FILE:FUNCTION`",
            )
        return [list(one.values()) for one in named if one is not None]

    yield drawn


def _shapes(contract: Contract, inputs: Inputs) -> dict[str, tuple[int, ...]]:
    names = [*contract.axes, *(f"input {at}" for at in range(len(inputs)))]
    return {name: tuple(x.shape) for name, x in zip(names, inputs, strict=False) if isinstance(x, Tensor)}


def _speed(found: Couples, device: str, shapes: dict[str, tuple[int, ...]]) -> Speed:
    ratio = found.ratio
    return Speed(
        dtype="float32",
        device=device,
        inputs=shapes,
        ratio=ratio.point,
        low=ratio.low,
        high=ratio.high,
        level=ratio.level,
        couples=len(found.log_ratios),
        seconds=found.candidate_s,
        reference_seconds=found.reference_s,
    )


def broken_while_timed(request: ScoreRequest, contract: Contract, found: Couples) -> str | None:
    """Return the law that a doubtful answer breaks; ``None`` if all answers are right."""
    laws = [law for law in contract.laws if law.group == "value"][:1]
    for inputs, answer in found.doubtful:
        if not laws or not isinstance(answer, Tensor):
            return laws[0].name if laws else "value"
        case = Case(_recorded(answer), contract.name, declares=request.campaign.declares, name="answer")
        (job,) = jobs([case], laws=[laws[0].name], dtypes=["float32"], watched=False)
        example = dict(zip(contract.axes, inputs, strict=False))
        if decide(job, example=example, corpora=(), minimal=False).status is Status.BROKEN:
            return laws[0].name
    return None


def _recorded(result: Tensor) -> Callable[..., Tensor]:
    """Return an implementation that gives the recorded answers."""

    def recorded(*_: Any) -> Tensor:
        return result.clone()

    return recorded
