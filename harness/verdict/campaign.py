"""A campaign: many verdicts, independent of the way they are computed.

Jobs are independent and seeded. Therefore, the result does not depend on the number of processes, their order or
isolation. This module does not import torch, so a process that only reports starts at once.
"""

import fnmatch
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from harness.calling.question import CALLING, THOROUGH, option_field
from harness.calling.target import Loader, Target
from harness.case import UNCLAIMED, Case
from harness.error import UsageError, join_names
from harness.execution.plan import Answer, Document
from harness.execution.runner import Backend, carry_out
from harness.record import SEED, Fault, Property, Status, Verdict

if TYPE_CHECKING:
    from harness.verdict.job import Job
    from harness.verdict.probe import Probe


def _has_loaders(cases: Sequence[Case]) -> bool:
    """Return whether any case is a data loader."""
    from harness.contracts import claimed, contract_named

    return any(contract_named(claimed(case).contract).form == "delivery" for case in cases)


@dataclass(frozen=True)
class Campaign(Target):
    """The laws to check for a :class:`~harness.calling.target.Target`; every process derives the same list of jobs.

    Parameters
    ----------
    devices
        Devices of the computation.
    examples
        Hypothesis examples per law; the contracts' numbers when absent.
    seconds
        Time after which a law draws no further examples.
    seed
        Seed of the examples; a fixed one when absent.
    replay
        Whether to try known counterexamples first.
    corpora
        Folders with more of them.
    example
        A single example to try, as printed for a replay.
    strict
        Whether lost digits are defects.
    recheck_seed
        Seed of the final re-check of isolated code; no re-check when absent.
    minimal
        Whether to make a counterexample minimal, and to look for the worst one.
    without
        Names or patterns of cases to leave out.
    """

    _: KW_ONLY
    dtypes: Sequence[str] = option_field(
        "--dtypes",
        "Dtypes to check and to claim. Failures in bfloat16 and float16 count only if named.",
        "names",
        shown="all",
        default=(),
    )
    devices: Sequence[str] = option_field(
        "--devices", "Devices, comma-separated: cpu, or cpu,cuda.", "names", panel=CALLING, default=("cpu",)
    )
    examples: int | None = option_field(
        "--examples", "Hypothesis examples for each law.", "whole", panel=THOROUGH, shown="set by the contract", least=1
    )
    seconds: float | None = option_field(
        "--seconds", "CPU time for each law, in seconds.", "number", panel=THOROUGH, shown="none", least=0.01
    )
    seed: int | None = option_field(
        "--seed", "Random seed.", "whole", panel=THOROUGH, shown="fixed; final re-checks use a new one", least=0
    )
    replay: bool = option_field(
        "--replay/--no-replay", "Try the counterexamples of earlier checks first.", "flag", panel=THOROUGH, default=True
    )
    corpora: Sequence[Path] = option_field(
        "--corpus",
        "Folder with your own counterexamples, which are also tried first.",
        "folder",
        panel=THOROUGH,
        default=(),
    )
    example: str | None = option_field(
        "--example",
        "Check only this example, as the `replay` line of a finding gives it.",
        metavar="JSON",
        panel=THOROUGH,
    )
    strict: bool = option_field(
        "--strict", "Fail on lost digits and on undeclared properties.", "flag", panel=THOROUGH, default=False
    )
    without: Sequence[str] = option_field(
        "--without",
        "Cases of a package to leave out, as names or patterns such as 'binary.*'.",
        "names",
        panel=THOROUGH,
        default=(),
    )
    recheck_seed: int | None = None
    minimal: bool = True

    pays_from: ClassVar[int] = 2
    isolated: ClassVar[bool] = True
    judges: ClassVar[tuple[str, ...]] = ("harness.verdict.judge",)

    def longest_s(self, call_s: float) -> float:
        """Seconds that a law may take in which no call was found to hang."""
        return 12.0 * call_s

    def cases(self, remote: Loader | None = None) -> list[Case]:
        """Load the cases but those to leave out.

        Raises
        ------
        UsageError
            If they cannot be loaded, or if a pattern of ``without`` matches no case.
        """
        cases = super().cases(remote)
        for pattern in self.without:
            if not fnmatch.filter([case.name for case in cases], pattern):
                raise UsageError(f"cannot leave out `{pattern}`", rule=f"no case of `{self.target}` has this name")
        return [case for case in cases if not any(fnmatch.fnmatch(case.name, pattern) for pattern in self.without)]

    def load(self, remote: Loader | None = None) -> "Decisions":
        """Load the cases, here or elsewhere, and list the verdicts to reach.

        Raises
        ------
        UsageError
            If they cannot be loaded.
        """
        from harness.verdict.job import reject_misfit

        cases = self.cases(remote)
        if remote is not None and _has_loaders(cases) and remote.begins_to_read_loaders():
            cases = self.cases(remote)
        listed = self.jobs(cases, watched=self.is_foreign, single=self.is_single)
        if self.is_single:
            for case, contract in {id(job.case): (job.case, job.contract) for job in listed}.values():
                reject_misfit(case, contract)
        return Decisions(self, listed, remote=remote is not None)

    def jobs(self, cases: Sequence[Case], *, watched: bool = True, single: bool = True) -> "list[Job]":
        """List the verdicts to reach on some cases; a ``single`` function claims the dtypes that the user names."""
        from harness.verdict.job import list_jobs

        return list_jobs(
            cases,
            laws=self.laws,
            dtypes=self.dtypes,
            devices=self.devices,
            strict=self.strict,
            watched=watched,
            unclaimed=UNCLAIMED if single and not self.dtypes else (),
        )

    @property
    def first_seed(self) -> int:
        """The seed of the examples: the user's, or the fixed one."""
        return SEED if self.seed is None else self.seed

    def add_recheck(self) -> Self:
        """Return the campaign with a final re-check, which uses the user's seed or an unpredictable one."""
        if self.example is not None:
            return self
        return replace(self, recheck_seed=secrets.randbelow(2**31) if self.seed is None else self.seed)

    @property
    def is_single(self) -> bool:
        """Whether the target is a single function of the user, and not a package of cases."""
        return self.is_foreign and ":" in self.target

    def run(self, **execution: Any) -> Iterator[Verdict]:
        """Yield the verdicts in the order of the jobs.

        Parameters
        ----------
        execution
            As :func:`harness.execution.runner.carry_out` takes them.
        """
        with carry_out(self, **execution) as backend:
            yield from self.verdicts(backend)

    def verdicts(
        self, backend: Backend, found: dict[Any, Property] | None = None, indices: Sequence[int] | None = None
    ) -> Iterator[Verdict]:
        """Yield the verdicts in the order of the jobs.

        Parameters
        ----------
        backend
            Executor of the campaign.
        found
            Dictionary that receives the properties of the cases by their keys.
        indices
            Numbers of the jobs; all when absent.
        """
        for answer in backend.answers(range(len(backend.pieces)) if indices is None else indices):
            for document in (answer.reply or {}).pop("properties", ()):
                trait = Property.model_validate(document)
                if found is not None:
                    found[trait.key] = trait
            yield _read_verdict(backend.pieces[answer.index], answer)

    def decide(self, job: "Job", *, remote: bool = False) -> Verdict:
        """Reach one verdict."""
        from harness.verdict.decide import decide
        from harness.verdict.replay import CORPUS

        return decide(
            job,
            examples=self.examples,
            seed=self.first_seed,
            seconds=self.seconds,
            corpora=[*([CORPUS] if self.replay else []), *self.corpora],
            example=None if self.example is None else _read_example(self.example, job),
            recheck_seed=self.recheck_seed if remote else None,
            minimal=self.minimal,
        )


@dataclass(frozen=True)
class Decisions:
    """The verdicts of a campaign, one per job, in the process that computes them.

    Parameters
    ----------
    campaign
        The campaign.
    jobs
        The jobs to decide.
    remote
        Whether another process calls the cases.
    """

    campaign: Campaign
    jobs: "Sequence[Job]"
    remote: bool = False

    @cached_property
    def probe(self) -> "Probe":
        """The probe that detects the properties of the cases before their laws are checked."""
        from harness.verdict.probe import Probe

        return Probe()

    def about(self) -> list[Document]:
        """Describe each job: its verdict if it is not reached, and whether a call returns only tensors.

        Jobs with equal dtype are related: many of their laws and cases share the drawn inputs and the exact results.
        """
        from harness.verdict.decide import make_unreached_verdict

        cases = {id(job.case): job.case for job in self.jobs}
        deciding = {key: self._find_decider(case) for key, case in cases.items()}
        return [
            {
                "case": job.case.name,
                "first_call": f"{job.case.name} {job.format.name} {job.law.group == 'gradient'}",
                "unreached": make_unreached_verdict(job).model_dump(mode="json"),
                "of_tensors": job.contract.output is not None,
                "prints": job.contract.form == "delivery",
                "affinity": job.format.name,
                "isolated": self.remote,
                "decided_by": deciding[id(job.case)],
            }
            for job in self.jobs
        ]

    def _find_decider(self, case: Case) -> str:
        """Return what decided the contract of a single function, if the user did not."""
        from harness.contracts import deciding

        return deciding(case) if self.campaign.is_single and self.campaign.contract is None else ""

    def do(self, index: int) -> Document:
        """Return the verdict of a job; for foreign code, detect its properties first."""
        job = self.jobs[index]
        if not self.campaign.is_foreign:
            return self.campaign.decide(job).model_dump(mode="json")
        verdict = self.probe.decide(job, partial(self.campaign.decide, remote=self.remote))
        if self.campaign.is_single:
            from harness.verdict.job import reject_uncallable

            reject_uncallable([job], [verdict])
        properties = self.probe.properties(job)
        return {
            **verdict.model_dump(mode="json"),
            "properties": [trait.model_dump(mode="json") for trait in properties],
        }


def _read_verdict(piece: Document, answer: Answer) -> Verdict:
    """Return the verdict, or the side effect or the loss of the process that invalidates it."""
    if answer.reply is not None:
        verdict = Verdict.model_validate(answer.reply)
        holds = verdict.status in {Status.HOLDS, Status.EXPECTED, Status.LOST, Status.UNCLAIMED}
        tolerated = piece["prints"] or not holds
        return verdict if tolerated else _report_side_effect(verdict, answer, of_tensors=piece["of_tensors"])
    unreached = Verdict.model_validate(piece["unreached"])
    if answer.noticed is not None:
        return _report_side_effect(unreached, answer, of_tensors=True)
    fields: dict[str, Any] = {"reason": answer.reason, "duration_s": answer.duration_s}
    if answer.failure is not None:
        fields |= {"status": Status.ERROR, "fault": answer.failure.fault}
    return unreached.model_copy(update=fields)


def _report_side_effect(verdict: Verdict, answer: Answer, *, of_tensors: bool) -> Verdict:
    """Return an error if the call had a forbidden side effect; a loader may have running processes."""
    if answer.noticed is None or (answer.noticed[0] is Fault.STATE and not of_tensors):
        return verdict
    fault, sentence = answer.noticed
    return verdict.model_copy(update={"status": Status.ERROR, "fault": fault, "reason": f"{verdict.case} {sentence}"})


def _read_example(example: str, job: "Job") -> dict[str, Any]:
    from harness.verdict.replay import read_json

    inputs = read_json(example, job.contract, job.format)
    missing = [name for name in job.law.reads if name not in inputs]
    if missing:
        needed = join_names(job.law.reads)
        raise UsageError(f"the example has no `{missing[0]}`", rule=f"`{job.law.name}` needs {needed}")
    return inputs
