"""The report of a run: an HTML page that works offline, its Markdown version, a badge, and the data.

It depends only on the run, so the same run gives the same bytes.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from harness.record import RunFolder, Status, early, write_atomically
from harness.wording.audit import audit_line
from harness.wording.proof import proof_line
from harness.wording.survey import survey_line
from harness.wording.verdict import count_laws, select_failing, verdict_line

from .figures.run import COLUMNS, trend_data
from .front import front
from .observation import build_observations, list_columns
from .reading import Reading, read
from .section_order import sheets
from .summary import FAILING, list_sentences, list_surveyed
from .svg import merge_styles, shorten_ids
from .template import markdown_template, script, templates
from .text import clean

SUMMARY_BYTES = 1_000_000
"""Most of the Markdown: GitHub shows a step's summary of up to 1 MiB, and none of a longer one."""


def write_report(
    run: RunFolder, target: Path | None = None, earlier: Sequence[RunFolder] = ()
) -> tuple[Path, list[str]]:
    """Write the report of a run.

    Parameters
    ----------
    run
        The run; every part except its head may be missing.
    target
        Folder for ``report.html``, ``report.md``, ``badge.json`` and ``data``; ``report`` within the run by default.
    earlier
        Earlier runs, oldest first: the page shows the changes since the last one, and the trend over all.

    Returns
    -------
    path : Path
        The HTML page.
    lines : list of str
        A summary of the page: the verdict, the findings and the changes, in one sentence each.

    Raises
    ------
    UsageError
        If the folder is not a run, or a record in it is damaged.
    """
    folder = run.path / "report" if target is None else target
    reading = read(run, earlier)
    environment, page = templates(), _build_page(reading)
    html = environment.get_template("report.html.j2").render(page)
    write_atomically(folder / "report.html", drop_end_tags(shorten_ids(merge_styles(html))))
    write_atomically(folder / "report.md", _render_markdown(page))
    write_atomically(folder / "badge.json", json.dumps(_build_badge(reading), indent=2) + "\n")
    _write_data(reading, folder / "data")
    return folder / "report.html", [page["verdict"], *page["also"], *map(clean, list_sentences(reading))]


_IMPLIED = re.compile(r"</t[dhr]>(?=\s*</?t)")


def drop_end_tags(html: str) -> str:
    """Drop the end tags of rows and cells, which the next tag implies: they are a thirtieth of a page."""
    return _IMPLIED.sub("", html)


def _build_page(reading: Reading) -> dict[str, Any]:
    """Return the values for the templates."""
    survey = reading.survey
    also: list[str] = []
    reason = early(reading.head.work, "check")
    others = reading.proofs or survey or reading.audits
    lines = [verdict_line(reading.verdicts, reason)] if reading.verdicts or not others else []
    lines += [proof_line(reading.proofs)] if reading.proofs else []
    # A successful audit is on its own sheet if the head has other lines.
    lines += [audit_line(audit) for audit in reading.audits if audit.fails or not lines]
    if survey:
        (also if lines else lines).append(survey_line(survey.breakings, survey.worst))
    verdict = clean("; ".join(lines))
    wrong: list[object] = [*select_failing(reading.verdicts), *list_surveyed(survey)]
    wrong += [finding for finding in reading.gate.findings if finding.outcome in FAILING]
    wrong += [proof for proof in reading.proofs if proof.fails]
    wrong += [audit for audit in reading.audits if audit.fails]
    is_open = verdict.startswith("verdict: none") or early(reading.head.work)
    outcome = "bad" if wrong else "none" if is_open else "good"
    code, all_sheets = script(), sheets(reading)
    return {
        "run": reading.head,
        "verdict": verdict,
        "also": [clean(line) for line in also],
        "outcome": outcome,
        "only_measures": reading.only_measures,
        "front": front(reading, all_sheets),
        "sheets": all_sheets,
        "script": Markup(code),  # noqa: S704 - our own file
        "script_hash": f"sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}",
    }


def _render_markdown(page: dict[str, Any]) -> str:
    """Return the page as Markdown, without the sheets that make it too long for a summary."""
    template, all_sheets = markdown_template(), page["sheets"]
    for number in range(len(all_sheets), -1, -1):
        text = template.render(page | {"sheets": all_sheets[:number], "left_out": all_sheets[number:]})
        if len(text.encode("utf-8")) <= SUMMARY_BYTES:
            break
    return text


def _build_badge(reading: Reading) -> dict[str, Any]:
    """Return the verdict in the endpoint schema of shields.io."""
    ran = [verdict for verdict in reading.verdicts if verdict.status is not Status.SKIPPED]
    number, laws = count_laws(select_failing(reading.verdicts)), count_laws(ran)
    reason = early(reading.head.work, "check")
    message, color = f"no defect in {laws:,}", "brightgreen"
    if number:
        message, color = f"{number:,} of {laws:,} fail", "red"
    elif reason or not ran:
        message, color = reason or "none checked", "lightgrey"
    return {"schemaVersion": 1, "label": "laws", "message": message, "color": color}


def _write_data(reading: Reading, folder: Path) -> None:
    """Write each frame, and the meaning of its columns, as CSV; and every number in one Parquet file."""
    for name, frame in reading.frames.items():
        write_atomically(folder / f"{name}.csv", frame.to_csv(index=False, lineterminator="\n"))
    columns = [*list_columns()]
    if reading.digests:
        columns += [("trend", *column) for column in COLUMNS]
        write_atomically(folder / "trend.csv", trend_data(reading.digests).to_csv(index=False, lineterminator="\n"))
    schema = pd.DataFrame(columns, columns=["frame", "column", "dtype", "meaning"])
    write_atomically(folder / "schema.csv", schema.to_csv(index=False, lineterminator="\n"))
    observations = build_observations(reading.head, reading.frames)
    write_atomically(folder / "observations.parquet", observations.to_parquet(index=False))
