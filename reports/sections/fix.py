"""The section on verified fixes: each as a diff with colors, below the findings that they repair."""

from collections.abc import Iterator

from harness.findings import findings
from harness.record import Fix
from harness.wording import fix_title, sentence

from ..part import Block, Note, Part
from ..reading import Reading
from ..section import section
from ..text import count


def _current(reading: Reading) -> list[Fix]:
    """Return the fixes of findings that the run still has."""
    sentences = {sentence(finding) for finding in findings(reading.verdicts)}
    sentences |= {finding.sentence for audit in reading.audits for finding in audit.findings}
    return [fix for fix in reading.fixes if fix.repairs in sentences]


def _number(reading: Reading) -> str:
    return f"{count(len(_current(reading)), 'verified fix').replace('fixs', 'fixes')}"


@section(_number)
def fixes(reading: Reading) -> Iterator[Part]:
    """Yield the rewrites, the diff and the verification of each fix."""
    for number, fix in enumerate(_current(reading), 1):
        yield Note(f"{fix.case}: {fix.repairs}. {fix_title(fix).replace('fix: ', 'Fix: ')} ({fix.sentence}).")
        yield Block(f"fix-{number}", fix.file, "\n".join(fix.diff), folded=False, is_diff=True)
