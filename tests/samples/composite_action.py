"""Run the steps of the composite action on this machine, as GitHub's runner does."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


class Job(NamedTuple):
    """The result of the steps: what they printed, their exit codes by name, the summary, and the outputs."""

    log: str
    codes: dict[str, int]
    summary: str
    outputs: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether no step failed."""
        return not any(self.codes.values())


def run_action(project: Path, temporary: Path, python: str, *, base_ref: str = "", **inputs: str) -> Job:
    """Run the steps in a project; ``base_ref`` is the base branch of a pull request."""
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    facts = {f"inputs.{name.replace('_', '-')}": value for name, value in inputs.items()}
    for name, about in action["inputs"].items():
        facts.setdefault(f"inputs.{name}", about["default"])
    facts |= {"github.base_ref": base_ref, "github.action_path": str(ROOT)}
    files = {name: temporary / name.lower() for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.write_text("", encoding="utf-8")
    environment = {**os.environ, **{name: str(file) for name, file in files.items()}, "RUNNER_TEMP": str(temporary)}
    environment["PATH"] = f"{folder_with_command(temporary, python)}{os.pathsep}{environment['PATH']}"
    codes: dict[str, int] = {}
    log = ""
    for step in action["runs"]["steps"]:
        if not _is_due(step.get("if", "success()"), facts, failed=any(codes.values())):
            continue
        own = {name: _substituted(str(value), facts) for name, value in step.get("env", {}).items()}
        where = project / _substituted(step.get("working-directory", "."), facts)
        done = _ran(step["run"], where, {**environment, **own})
        codes[step["name"]] = done.returncode
        log += done.stdout
    outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text(encoding="utf-8").splitlines())
    return Job(log, codes, files["GITHUB_STEP_SUMMARY"].read_text(encoding="utf-8"), outputs)


def folder_with_command(temporary: Path, python: str) -> Path:
    """Write a command ``harness`` that runs the package of an interpreter, and return its folder."""
    folder = temporary / "bin"
    folder.mkdir(exist_ok=True)
    command = folder / "harness"
    command.write_text(f'#!/bin/sh\nexec "{python}" -m harness "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return folder


def _ran(script: str, where: Path, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a script with the options of GitHub's runner."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=where,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def _substituted(text: str, facts: Mapping[str, str]) -> str:
    return EXPRESSION.sub(lambda found: _value(found[1], facts), text)


def _value(expression: str, facts: Mapping[str, str]) -> str:
    """Return the value of names joined by ``||``: the first that is not empty."""
    return next((facts[name.strip()] for name in expression.split("||") if facts[name.strip()]), "")


def _is_due(condition: str, facts: Mapping[str, Any], *, failed: bool) -> bool:
    expression = EXPRESSION.sub(r"\1", condition)
    if expression == "!cancelled()":
        return True
    name, equal, text = expression.partition(" == ")
    if equal:
        return not failed and facts[name] == text.strip("'")
    assert expression == "success()", expression
    return not failed
