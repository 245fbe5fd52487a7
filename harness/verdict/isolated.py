"""The verdicts of a campaign, reached in a worker process."""

import os
import sys
from typing import Self

from pydantic import TypeAdapter

from harness.calling import watch
from harness.record import Fault, Status, Verdict
from harness.verdict.campaign import Campaign
from harness.work.task import Document


class Verdicts:
    """The verdicts of a campaign, one a piece.

    Parameters
    ----------
    campaign
        What to decide.
    """

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._jobs = campaign.jobs()

    @classmethod
    def of(cls, plan: Document) -> Self:
        """Read the campaign."""
        return cls(TypeAdapter(Campaign).validate_python(plan))

    def pieces(self) -> list[Document]:
        """The verdicts there will be, as long as they are not reached."""
        from harness.verdict.decide import unreached

        return [unreached(job).model_dump(mode="json") for job in self._jobs]

    def do(self, index: int) -> Document:
        """Reach one verdict."""
        return self._decided(index).model_dump(mode="json")

    def _decided(self, index: int) -> Verdict:
        sys.stdout.flush()
        before = os.fstat(2).st_size
        try:
            verdict = self._campaign.decide(self._jobs[index])
        except KeyboardInterrupt:
            # None of the user's: the terminal sends that to the other side alone.
            return _spoilt(self._unreached(index), Fault.RAISED, "raises KeyboardInterrupt")
        if verdict.status not in {Status.HOLDS, Status.EXPECTED}:
            return verdict
        sys.stdout.flush()
        if printed := os.pread(2, 4 * watch.KEPT, before):
            return _spoilt(verdict, Fault.PRINTED, watch.PRINTS.format(watch.quoted(printed)))
        if self._jobs[index].contract.output is not None and _has_children():
            return _spoilt(verdict, Fault.STATE, "starts a process and leaves it to itself")
        return verdict

    def _unreached(self, index: int) -> Verdict:
        from harness.verdict.decide import unreached

        return unreached(self._jobs[index])


def _spoilt(verdict: Verdict, fault: Fault, sentence: str) -> Verdict:
    return verdict.model_copy(update={"status": Status.ERROR, "fault": fault, "reason": f"{verdict.case} {sentence}"})


def _has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True
