"""A benchmark suite run from a process of its own, as a user's shell would run it."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from harness.bench.option import Settings

PROGRAM = """
    from pathlib import Path
    from harness.bench.option import Settings
    from harness.bench.run import run_suite
    from harness.error import UsageError
    try:
        raise SystemExit(run_suite({suite!r}, target={target!r}, run_folder=Path("run"), settings={settings!r}))
    except UsageError as error:
        print(error)
        raise SystemExit(2)
"""


def run_apart(folder: Path, suite: str, *, target: str, settings: Settings) -> tuple[int, str, Any]:
    """Return the code, what was written to the terminal, and the document; ``None`` where there is none."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", textwrap.dedent(PROGRAM).format(suite=suite, target=target, settings=settings)],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
    )  # fmt: skip
    file = folder / "run" / f"bench-{suite}.json"
    return done.returncode, done.stdout, json.loads(file.read_text()) if file.is_file() else None
