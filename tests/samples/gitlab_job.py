"""Run the job of the GitLab template on this machine, as GitLab's runner does."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from samples.composite_action import folder_with_command

TEMPLATE = Path(__file__).parents[2] / "templates" / "check.yml"
INPUT = re.compile(r"\$\[\[\s*inputs\.(\w+)\s*\]\]")


class Job(NamedTuple):
    """The result of a job: its exit code, what it printed, and its artifacts that exist."""

    code: int
    log: str
    artifacts: set[str]


def job_of(**inputs: str) -> dict[str, Any]:
    """Return the job of the template with its inputs inserted."""
    head, text = TEMPLATE.read_text(encoding="utf-8").split("\n---\n")
    defaults = {name: about["default"] for name, about in yaml.safe_load(head)["spec"]["inputs"].items()}
    job = yaml.safe_load(text)["numerical-laws"]
    return dict(_inserted(job, {**defaults, **inputs}))


def run_job(project: Path, temporary: Path, python: str, *, interpreter: str = "bash", **inputs: str) -> Job:
    """Run the job in a project. Its installations are only printed."""
    job = job_of(**inputs)
    commands = folder_with_command(temporary, python)
    pip = commands / "pip"
    pip.write_text('#!/bin/sh\necho "pip $*"\n', encoding="utf-8")
    pip.chmod(0o755)
    known = {**os.environ, "CI": "true", "GITLAB_CI": "true", "CI_PROJECT_DIR": str(project)}
    variables = {
        name: re.sub(r"\$(\w+)", lambda found: known[found[1]], text) for name, text in job["variables"].items()
    }
    lines = "\n".join(["set -e", *job["before_script"], *job["script"]])
    done = subprocess.run(
        [interpreter, "-c", lines],
        cwd=project,
        env={**known, **variables, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    artifacts = {name for name in job["artifacts"]["paths"] if (project / name).is_file()}
    return Job(done.returncode, done.stdout, artifacts)


def _inserted(part: Any, inputs: dict[str, str]) -> Any:
    """Return a part of the job with its inputs inserted into every text."""
    if isinstance(part, dict):
        return {name: _inserted(value, inputs) for name, value in part.items()}
    if isinstance(part, list):
        return [_inserted(value, inputs) for value in part]
    return INPUT.sub(lambda found: inputs[found[1]], part) if isinstance(part, str) else part
