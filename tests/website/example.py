"""The example of a report: a run of the textbook softmax, its page, and the drawings of that page."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.record import RunFolder
from harness.reports.page_part import Figure
from harness.reports.reading import read
from harness.reports.sections.operation import survey, why

HOMEWORK = """def softmax(x):
    return x.exp() / x.exp().sum(-1, keepdim=True)
"""

COMMANDS = (
    "check homework.py:softmax --run example",
    "survey homework.py:softmax --dtypes float32 --batches 2 --run example",
    "report example",
)

PAGE = "example.md"
FOLDER = Path("extra", "example")
"""The report, in the sources of the site."""

_TEXT = """# A report

This page shows a report of the textbook softmax. The build of the site made it with these commands:

```python
{homework}```

```text
{commands}
```

<p><a href="example/report.html">Open the whole report.</a></p>

<iframe class="report" src="example/report.html" title="The report of the textbook softmax"></iframe>

"""


def write_example(source: Path, work: Path) -> None:
    """Run the commands in an empty folder, and write the report and its page into the sources of the site."""
    run = reported_example(work)
    shutil.copytree(run.path / "report", source / FOLDER)
    commands = "\n".join(f"harness {command}" for command in COMMANDS)
    parts = [_TEXT.format(homework=HOMEWORK, commands=commands), *map(_drawing, _figures(run))]
    (source / PAGE).write_text("\n".join(parts), encoding="utf-8")


def reported_example(work: Path, python: str = sys.executable) -> RunFolder:
    """Run the commands in a folder, which is emptied, and return the run with its report."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / "homework.py").write_text(HOMEWORK, encoding="utf-8")
    for command in COMMANDS:
        done = subprocess.run([python, "-m", "harness", *command.split()], cwd=work, check=False)
        # 1 says that the softmax has a defect.
        if done.returncode not in {0, 1}:
            raise RuntimeError(f"`harness {command}` ended with exit code {done.returncode}")
    return RunFolder(work / ".harness" / "runs" / "example")


def _figures(run: RunFolder) -> Iterator[Figure]:
    """Yield the drawings of the report."""
    reading = read(run)
    for section in filter(None, (why(reading), survey(reading))):
        yield from (part for part in section.parts if isinstance(part, Figure))


def _drawing(figure: Figure) -> str:
    panels = "".join(f"<div>{panel.svg}{panel.narrow}</div>" for panel in figure.panels)
    return f'## {figure.visible_title}\n\n<div class="drawing">{panels}</div>\n\n{figure.caption}\n'
