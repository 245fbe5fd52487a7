"""Jobs: the verdicts to reach, one for each law of a case in a dtype, and their declarations."""

import math
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from harness.calling.adapter import adapter_of, compiles_each_shape
from harness.calling.device import CPU, known_device
from harness.calling.watch import Trust
from harness.case import Case
from harness.contracts import claimed, contract_named
from harness.error import UsageError, did_you_mean, listed
from harness.floats.format import Format, format_of
from harness.laws.contract import Axes, Contract, choices
from harness.laws.law import Inputs, Law
from harness.laws.strategies import few_shapes
from harness.laws.subject import Subject
from harness.laws.traits import TRAITS, unjudged
from harness.record import ANY, Status

SHARES = {"algebra": 0.5, "finite": 0.5, "gradient": 0.5, "special": 0.3}
"""Share of a contract's examples for the laws of a group: their defects appear on most rows of a structure."""


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
        return Subject(self.case, self.contract, self.format, None if self.watched else Trust(), self.device)

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
        status, reason = self.law.when_broken(self.case, self.format.name, strict=self.strict)
        return (status, reason) if self.claimed or status is Status.EXPECTED else (Status.UNCLAIMED, None)

    @property
    def examples(self) -> int:
        """Default number of Hypothesis examples."""
        return self.law.examples or math.ceil(self.contract.examples * SHARES.get(self.law.group, 1.0))

    @property
    def unjudged(self) -> str | None:
        """Return why the law does not apply to such a case; ``None`` if it does."""
        return unjudged(self.case.declares, self.format, self.law.name)

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


def jobs(
    cases: Iterable[Case],
    *,
    laws: Iterable[str] = (),
    dtypes: Iterable[str] = (),
    devices: Iterable[str] = (CPU,),
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
    wanted_devices = [known_device(name) for name in devices]
    selected = []
    known_laws = set()
    for case in map(claimed, cases):
        contract = contract_named(case.contract)
        known_laws |= {law.name for law in contract.laws}
        _validate(case, contract)
        for law in contract.laws:
            if wanted_laws and law.name not in wanted_laws:
                continue
            selected += [
                Job(
                    case,
                    contract,
                    law,
                    format_of(name),
                    device,
                    strict=strict,
                    watched=watched,
                    claimed=name not in unclaimed,
                )
                for device in wanted_devices
                if device == CPU or contract.output is not None
                for name in contract.dtypes
                if name in case.dtypes and (not wanted_dtypes or name in wanted_dtypes)
            ]
    unknown = wanted_laws - known_laws
    if unknown:
        name = min(unknown)
        otherwise = "see `harness list --laws` for the laws of each contract"
        raise UsageError(
            f"unknown law `{name}`",
            remedy=did_you_mean(name, known_laws, otherwise),
        )
    return selected


def _validate(case: Case, contract: Contract) -> None:
    """Check that the laws and conventions of a declaration exist in the contract, and that its adapter exists."""
    if case.call is not None and not hasattr(case.function, "host"):
        adapter_of(case.call)
    names = {law.name for law in contract.laws}
    lossy = {law.name for law in contract.laws if law.lost_digits}
    for attained in case.attains:
        if attained not in lossy:
            raise UsageError(
                f"unknown law `{attained}` in `attains` of {case.name}",
                rule=f"the laws of lost digits of `{contract.name}` are {listed(sorted(lossy)) or 'none'}",
            )
    for declared in case.breaks:
        if declared not in names:
            raise UsageError(
                f"unknown law `{declared}` in `breaks` of {case.name}",
                rule=f"the laws of `{contract.name}` are {listed(sorted(names))}",
                remedy=did_you_mean(declared, names),
            )
    admissible = {**contract.conventions, **(TRAITS if contract.output is not None else {})}
    for name, value in case.declares.items():
        if name not in admissible:
            known = listed(contract.conventions) or "none"
            raise UsageError(
                f"unknown convention `{name}` declared for {case.name}",
                rule=f"the conventions of `{contract.name}` are {known}",
                remedy=did_you_mean(name, admissible),
            )
        if value not in admissible[name]:
            raise UsageError(
                f"invalid value of the convention `{name}` declared for {case.name}",
                rule=f"`{contract.name}` allows {choices(admissible[name])}",
                value=f"`{value}`",
                remedy=did_you_mean(str(value), admissible[name]),
            )
