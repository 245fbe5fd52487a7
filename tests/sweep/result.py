"""Results of the check of a function, with proofs of its defects, as a line of JSON."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

from sweep.proof import proved

import harness
from harness.calling.target import entry
from harness.error import UsageError
from harness.record import Status, Verdict
from harness.wording.finding import sentence
from harness.wording.verdict import is_no_loss


@dataclass
class Found:
    """The result of the check of a function."""

    target: str
    claim: str = ""
    call: str = ""
    verdict: str = ""
    duration_s: float = 0.0
    laws: int = 0
    sentences: list[str] = field(default_factory=list)
    proofs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_understood(self) -> bool:
        """Whether the function got a verdict."""
        return not self.verdict.startswith(("not understood", "not installed"))


def unmeasured(target: str) -> Found:
    """Return the entry of a function in the table of adapters, without a verdict."""
    known = entry(target)
    return Found(target, known.claim, known.call, "not run") if known is not None else Found(target)


def checked(target: str, seconds: float) -> Found:
    """Check a function as the command without options does, with a time limit for each law."""
    module, _, name = target.partition(":")
    found, started = unmeasured(target), time.perf_counter()
    try:
        function = attrgetter(name)(import_module(module))
    except (ImportError, AttributeError) as error:
        found.verdict = f"not installed: {error}"
        return found
    try:
        verdicts = harness.check(function, seconds=seconds)
    except UsageError as error:
        found.verdict = f"not understood: {error}"
        return found
    found.duration_s, found.laws = time.perf_counter() - started, len(verdicts)
    found.verdict = _said(verdicts)
    failing = [one for one in verdicts.findings if one.status.fails]
    found.sentences = [sentence(one) for one in failing]
    shown = [one.first for one in failing if one.violation is not None]
    found.proofs = [asdict(proved(one, function, found.claim, found.call)) for one in shown]
    return found


def _said(verdicts: list[Verdict]) -> str:
    statuses = {verdict.status for verdict in verdicts if not is_no_loss(verdict)}
    for status, word in ((Status.BROKEN, "DEFECT"), (Status.ERROR, "ERROR"), (Status.LOST, "lost digits")):
        if status in statuses:
            return word
    return "no defect"


def read(file: Path) -> dict[str, Found]:
    """Return the results in a file by target."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return {one.target: one for one in (Found(**json.loads(line)) for line in lines)}


def write(file: Path, results: Mapping[str, Found]) -> None:
    """Write the results, one line each."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{json.dumps(asdict(one))}\n" for one in results.values()), encoding="utf-8")
