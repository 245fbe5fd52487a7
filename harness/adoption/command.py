"""The command ``init``: start to use the harness in a project."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.command.options import say
from harness.command.panels import output_option
from harness.error import UsageError, did_you_mean, printable

if TYPE_CHECKING:
    from harness.adoption.generated_files import Planned
    from harness.adoption.project import FoundFunction

Option = typer.Option


RUN = "init"
"""Run of the first check."""


def init(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(help="Folder of the project.", metavar="FOLDER", show_default="this folder")
    ] = Path(),
    function: Annotated[
        list[str] | None, Option(help="Check only this function of those found.", show_default="all", metavar="TARGET")
    ] = None,
    cases: Annotated[
        bool, Option("--cases", help="Write a package of cases instead of a test file. The gate can time it.")
    ] = False,
    workflow: Annotated[
        bool | None, Option("--workflow/--no-workflow", help="Write a GitHub workflow.", show_default="workflow")
    ] = None,
    baseline: Annotated[
        bool | None,
        Option("--baseline/--no-baseline", help="Check now, and write the results.", show_default="no-baseline"),
    ] = None,
    install: Annotated[
        str | None,
        Option(
            help="Requirement of the harness that the workflow installs.", show_default="this version", metavar="SPEC"
        ),
    ] = None,
    yes: Annotated[bool, Option("--yes", "-y", help="Ask nothing; take the defaults.")] = False,
    dry_run: Annotated[bool, output_option("--dry-run", help="Show the files, and write nothing.")] = False,
) -> None:
    """Start to use the harness in a project: write tests, settings and a workflow.

    Examples
    --------
      harness init
      harness init --dry-run
      harness init --cases --baseline

    The command reads the project and does not import it. It takes functions whose
    contract follows from their name, says why it leaves out others, and writes
      a test file, or a package of cases with --cases
      the table [tool.harness] in pyproject.toml, which `harness check` reads
      a GitHub workflow
      with --baseline: the results of a first check
    It never overwrites a file. A second run changes nothing.

    Exit codes:
      0  the files are written, or nothing was left to write
      1  with --baseline: the first check found a defect
      2  nothing was written; one line says why
    """
    from harness.adoption.generated_files import NEWEST, WORKFLOW, Choice, Source, find_this_version, plan_files, write
    from harness.adoption.project import describe_functions, find_functions, find_layout

    root = _require_folder(folder)
    say(f"{find_layout(root)}; reading {root}")
    recognized, left_out = find_functions(root)
    chosen = _select_functions(recognized, function or [])
    say(*describe_functions(chosen, [] if function else left_out, root))
    asks = sys.stdin.isatty() and not yes and not dry_run
    if asks:
        cases = cases or typer.confirm("Write a package of cases instead of a test file?", default=False)
    wanted = _get_answer(workflow, "Write a GitHub workflow?", asks=asks, default=True)
    source = find_this_version() if install is None else Source(_require_one_line(install))
    files = plan_files(root, find_layout(root), Choice(chosen, source.requirement, cases=cases, workflow=wanted))
    if not dry_run:
        write(root, files)
    _show(files, dry_run=dry_run)
    if source.caveat and any(file.text for file in files if file.path == WORKFLOW):
        say(f"note: the workflow installs the newest release of `{NEWEST}`, because {source.caveat}")
        say(f"      name another source, as in `--install '{NEWEST} @ git+https://HOST/REPOSITORY@COMMIT'`")
    if dry_run:
        return
    if _get_answer(baseline, "Check now, and write a baseline?", asks=asks, default=False):
        raise typer.Exit(_write_baseline(root, context.find_root().command))
    if any(file.text for file in files):
        say("next: run `harness check`, then `harness init --baseline`")


def _require_one_line(install: str) -> str:
    if not install.isprintable():
        raise UsageError("cannot read `--install`", rule="it must be one line", value=repr(install))
    return install


def _require_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise UsageError(f"cannot read `{folder}`: no such folder")
    return folder.resolve()


def _get_answer(given: bool | None, question: str, *, asks: bool, default: bool) -> bool:
    """Return the user's choice: from an option, else from the terminal, else the default."""
    if given is not None:
        return given
    return typer.confirm(question, default=default) if asks else default


def _select_functions(found: "Sequence[FoundFunction]", names: Sequence[str]) -> "Sequence[FoundFunction]":
    if not found:
        raise UsageError(
            "found no function with a known contract",
            rule="the name must be that of a contract, such as `softmax` or `my_layer_norm`",
            remedy="name one yourself: `harness check FILE.py:FUNCTION --contract NAME`",
        )
    by_target = {function.target: function for function in found}
    for name in names:
        if name not in by_target:
            raise UsageError(f"`{name}` is not among the functions found", remedy=did_you_mean(name, by_target))
    return [by_target[name] for name in names] if names else found


def _show(files: "Sequence[Planned]", *, dry_run: bool) -> None:
    for file in files:
        verb = "kept" if file.reason else "would write" if dry_run else "wrote"
        say(f"{verb} {file.path.as_posix()}{f' ({file.reason})' if file.reason else ''}")
        say(*(f"    {line}".rstrip() for line in printable(file.addition).rstrip().splitlines()))
    if not any(file.text for file in files):
        say("nothing changed: the project is set up already")


def _write_baseline(root: Path, program: Any) -> int:
    """Check the project and write its baseline, each with a command of this process; return the exit code."""
    from harness.adoption.settings import complete_policy, find_baseline
    from harness.gate.policy import read_policy

    with contextlib.chdir(root):
        file = find_baseline(*complete_policy(read_policy(root), root), root)
        if file.exists():
            say(f"kept {file.relative_to(root).as_posix()} (exists already)")
            return 0
        code = _run_command(program, "check", "--run", RUN, "--fresh")
        return code if code > 1 else max(code, _run_command(program, "gate", "--run", RUN, "--update"))


def _run_command(program: Any, *words: str) -> int:
    say(f"$ harness {' '.join(words)}")
    return int(program.main(list(words), prog_name="harness", standalone_mode=False) or 0)
