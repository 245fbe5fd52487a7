"""The picture of a check: the results of a function along the rays on which it breaks, recorded for the report."""

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from harness.cli.option_groups import ExecutionOptions
from harness.cli.session import Session
from harness.error import UsageError
from harness.execution.interrupt import Ending
from harness.record import Verdict

if TYPE_CHECKING:
    from harness.record import RayTrace
    from harness.verdict.campaign import Campaign

DEFAULT_DTYPE = "float32"
"""The dtype of the picture, if no law is broken in another one only."""


def record_picture(
    session: Session, ending: Ending, campaign: "Campaign", verdicts: Iterable[Verdict], execution: ExecutionOptions
) -> None:
    """Record the results of one function along rays, unless the check was about chosen laws only."""
    if not campaign.is_single or campaign.laws or campaign.example:
        return
    traces: list[RayTrace] = []
    # A contract without rays, such as that of a loader, has no picture.
    with suppress(UsageError):
        traces = _traces(campaign, _dtype(campaign, verdicts), execution)
    for trace in traces:
        session.keep(trace)
    session.sync()
    session.end(ending)


def _dtype(campaign: "Campaign", verdicts: Iterable[Verdict]) -> str:
    checked = list(verdicts)
    broken = [verdict.dtype for verdict in checked if verdict.violation is not None and verdict.status.fails]
    known = broken or list(campaign.dtypes) or [verdict.dtype for verdict in checked]
    return DEFAULT_DTYPE if DEFAULT_DTYPE in known or not known else known[0]


def _traces(campaign: "Campaign", dtype: str, execution: ExecutionOptions) -> list["RayTrace"]:
    from harness.surveyor.plan import Survey

    claims = (campaign.target, campaign.contract, campaign.declares, campaign.breaks, campaign.call)
    planned = Survey(*claims, laws=("value",), dtypes=(dtype,), batches=0, seed=campaign.first_seed)
    with execution.backend(planned) as backend:
        return list(planned.traces(backend))
