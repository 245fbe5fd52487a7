"""The report of a run: one HTML page that opens offline, its Markdown sibling, and the frames as CSV beside them.

Nothing but the run is read, so the same run gives the same bytes.
"""

import base64
import hashlib
import re
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from harness.record import RunFolder, failing, proof_line, verdict_line, write_atomically
from reports.observation import documented, observed
from reports.reading import Reading, read
from reports.section import sections
from reports.text import clean, count, fenced, markdown_text


def write_report(run: RunFolder, target: Path | None = None) -> tuple[Path, str]:
    """Write the report of a run.

    Parameters
    ----------
    run
        The run; any part of it may be missing but its head.
    target
        Folder to write ``report.html``, ``report.md`` and the ``data`` into; ``report`` within the run if absent.

    Returns
    -------
    path : Path
        The HTML page.
    verdict : str
        One plain sentence, the same that heads the page.

    Raises
    ------
    UsageError
        If the folder is no run, or a record in it is damaged.
    """
    folder = run.path / "report" if target is None else target
    reading = read(run)
    environment, page = _environment(), _page(reading)
    for name in ("report.html", "report.md"):
        write_atomically(folder / name, environment.get_template(f"{name}.j2").render(page))
    _write_data(reading, folder / "data")
    return folder / "report.html", page["verdict"]


def _page(reading: Reading) -> dict[str, Any]:
    """Return what the templates show."""
    lines = [verdict_line(reading.verdicts)] if reading.verdicts or not reading.proofs else []
    lines += [proof_line(reading.proofs)] if reading.proofs else []
    verdict = clean("; ".join(lines))
    fails = bool(failing(reading.verdicts)) or any(proof.fails for proof in reading.proofs)
    outcome = "none" if verdict.startswith("verdict: none") else "bad" if fails else "good"
    script = _script()
    return {
        "run": reading.head,
        "verdict": verdict,
        "outcome": outcome,
        "sections": sections(reading),
        "script": Markup(script),  # noqa: S704 - our own file
        "script_hash": f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
    }


def _script() -> str:
    """Return the page's script: the policy of the page allows this text and no other."""
    return files("reports").joinpath("templates", "table.js").read_text(encoding="utf-8")


def _environment() -> Environment:
    """Return the templates' environment: HTML is escaped, an undefined name is an error."""
    environment = Environment(
        loader=PackageLoader("reports"),
        autoescape=select_autoescape(["html.j2"], default=False),
        undefined=StrictUndefined,
        finalize=lambda value: clean(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "breakable": _breakable,
        "fenced": fenced,
        "plain": markdown_text,
        "counted": count,
        "drawing": Markup,
    }
    return environment


def _breakable(text: str) -> Markup:
    """Return escaped text whose names may break after a dot, and after an underscore where the window is narrow."""
    dotted = re.sub(r"(?<=[a-z_])\.(?=[a-z])", ".<wbr>", str(escape(clean(text))))
    return Markup(re.sub(r"_(?=\w)", '_<wbr class="u">', dotted))  # noqa: S704 - escaped on the line above


def _write_data(reading: Reading, folder: Path) -> None:
    """Write each frame, and the meaning of its columns, as CSV; and every number in one Parquet file."""
    for field in fields(reading.frames):
        frame: pd.DataFrame = getattr(reading.frames, field.name)
        write_atomically(folder / f"{field.name}.csv", frame.to_csv(index=False, lineterminator="\n"))
    schema = pd.DataFrame(documented(), columns=["frame", "column", "dtype", "meaning"])
    write_atomically(folder / "schema.csv", schema.to_csv(index=False, lineterminator="\n"))
    write_atomically(folder / "observations.parquet", observed(reading.head, reading.frames).to_parquet(index=False))
