"""Settings of a project: the table ``[tool.harness]`` of the nearest ``pyproject.toml``, and the targets in it.

``harness check`` checks these targets if the command line names none.
"""

import contextlib
import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NoReturn

import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import to_json

from harness.adoption.notebook import SUFFIX, read_definitions
from harness.calling.discovery import PROJECT_PATH, SHIPPED, find_own_cases
from harness.command.options import collected, say, write_files
from harness.error import UsageError, did_you_mean, join_names
from harness.exit_code import ExitCode
from harness.record import write_atomically
from harness.record.storage import PYPROJECT, quote_value, read_harness_table
from harness.wording.number import count

if TYPE_CHECKING:
    from harness.gate.policy import Policy
    from harness.verdict.campaign import Campaign


TABLE = "[tool.harness]"

Value = str | float


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Options(_Table):
    """Options of a check, under the names that the command line uses."""

    dtypes: tuple[str, ...] = ()
    law: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    examples: int | None = Field(default=None, ge=1)
    seconds: float | None = Field(default=None, ge=0.01)
    seed: int | None = Field(default=None, ge=0)
    strict: bool | None = None

    def as_given(self) -> dict[str, Any]:
        """Return the options that are set, as the command line passes them."""
        options = self.model_dump(exclude_none=True, include=set(Options.model_fields))
        joined = {name: ",".join(options.pop(name)) for name in ("dtypes", "devices")}
        laws = list(options.pop("law"))
        return options | {name: text for name, text in joined.items() if text} | ({"laws": laws} if laws else {})


class TargetTable(Options):
    """A target with options of its check."""

    target: str
    contract: str | None = None
    formula: str | None = None
    form: str | None = None
    input: Mapping[str, str] = Field(default_factory=dict)
    over: Literal["rows", "all", "mean", "sum"] = "rows"
    call: str | None = None
    declare: Mapping[str, Value] = Field(default_factory=dict)
    breaks: Mapping[str, str] = Field(default_factory=dict)

    def as_given(self) -> dict[str, Any]:
        """Return the options that are set, as the command line passes them."""
        claims = self.model_dump(exclude_none=True, include={"contract", "formula", "form", "over", "call"})
        pairs = {
            "inputs": [f"{name}={kind}" for name, kind in self.input.items()],
            "declares": [f"{name}={value}" for name, value in self.declare.items()],
            "breaks": [f"{law}={reason}" for law, reason in self.breaks.items()],
        }
        return {**super().as_given(), **claims, **{name: words for name, words in pairs.items() if words}}


class Settings(Options):
    """The whole table."""

    targets: tuple[str | TargetTable, ...] = ()
    """The targets of ``harness check`` if the command line names none."""
    pythonpath: tuple[str, ...] = ()
    """Folders from which the project's packages are imported, relative to the file."""
    hide: tuple[str, ...] = ()
    """Patterns of environment variables that user code does not see, which :mod:`harness.isolation` reads."""
    gate: Mapping[str, Any] = Field(default_factory=dict)
    """The policy of the gate, which the gate reads."""
    same: Mapping[str, Any] = Field(default_factory=dict)
    """Pairs by name, which ``harness same`` and the gate compare."""
    tolerances: Mapping[str, Any] = Field(default_factory=dict)
    """Comparing functions of the test suite, which ``harness tolerances`` reads."""


class Project(NamedTuple):
    """The settings of a project, and the folder of their file."""

    root: Path
    settings: Settings

    @property
    def targets(self) -> list[TargetTable]:
        """The targets as tables."""
        return [
            target if isinstance(target, TargetTable) else TargetTable(target=target)
            for target in self.settings.targets
        ]


def find_project(start: Path) -> Project | None:
    """Return the nearest project upwards whose ``pyproject.toml`` has the table; ``None`` if there is none.

    Raises
    ------
    UsageError
        If such a file cannot be read, or its table has an unknown key or a wrong value.
    """
    for folder in (start, *start.parents):
        if (folder / PYPROJECT).is_file():
            table = read_harness_table(folder / PYPROJECT)
            if table is not None:
                return Project(folder, _validate_table(table, folder / PYPROJECT))
    return None


def _validate_table(table: object, file: Path) -> Settings:
    try:
        # JSON accepts a list for a tuple, and is strict about all other types.
        return Settings.model_validate_json(to_json(table, inf_nan_mode="constants"))
    except ValidationError as error:
        # A target may have two forms; the innermost error is about the form that it has.
        first = max(error.errors(include_url=False), key=lambda detail: len(detail["loc"]))
        parts = [str(part) for part in first["loc"] if part not in {"str", "TargetTable"}]
        keys = TargetTable.model_fields if parts[:1] == ["targets"] else Settings.model_fields
        raise UsageError(
            f"invalid key or value of `{'.'.join(parts)}` under {TABLE}",
            value=f"{quote_value(first.get('input'))} ({first['msg'].lower()})",
            place=str(file),
            remedy=did_you_mean(parts[-1] if parts else "", keys, f"the keys are {join_names(keys)}"),
        ) from error


# Targets

ProjectTargetArgument = Annotated[
    str | None,
    typer.Argument(
        help="file.py:function, notebook.ipynb:function, module:function, a package of cases, or an entry point.",
        metavar="TARGET",
        show_default="the targets in pyproject.toml",
    ),
]

FILES = ("json", "junit", "markdown")
"""Options with a file to write."""

NOTEBOOKS = Path(".harness", "notebooks")
"""Folder of the Python files with the definitions of notebooks."""

OF_ONE = ("watch", "example", "fix", "reference")
"""Options that need a single target."""


def checks_the_project(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command without a target check the targets of the project, one after the other.

    The command line takes precedence over the options of a target, and those take precedence over the project's.
    """
    signature = inspect.signature(command)
    defaults = {name: parameter.default for name, parameter in signature.parameters.items()}

    @functools.wraps(command)
    def run_on_targets(target: str | None, **options: Any) -> None:
        if target is not None:
            # A file that cannot be read does not matter here.
            with contextlib.suppress(UsageError):
                _set_path(find_project(Path.cwd()))
            command(target=importable(target), **options)
            return
        project = find_project(Path.cwd())
        _set_path(project)
        if project is None or not project.targets:
            _reject_nothing()
            command(target=SHIPPED, **options)
            return
        options |= {name: file.absolute() for name in (*FILES, "corpora") if (file := options.get(name)) is not None}
        with contextlib.chdir(project.root):
            _check_each(command, project, options, defaults)

    optional = signature.parameters["target"].replace(annotation=ProjectTargetArgument, default=None)
    rest = [parameter for name, parameter in signature.parameters.items() if name != "target"]
    run_on_targets.__signature__ = signature.replace(parameters=[optional, *rest])  # type: ignore[attr-defined]
    run_on_targets.__annotations__ = {parameter.name: parameter.annotation for parameter in (optional, *rest)}
    return run_on_targets


def importable(target: str) -> str:
    """Return a target that can be imported: for a function in a notebook, the one in the file of its definitions.

    Raises
    ------
    UsageError
        If the notebook cannot be read.
    """
    path, colon, name = target.partition(":")
    if not path.endswith(SUFFIX):
        return target
    notebook = Path(path)
    if not notebook.is_file():
        raise UsageError(f"file not found: `{notebook}`", remedy="check the path")
    file = NOTEBOOKS / notebook.with_suffix(".py").name
    text = read_definitions(notebook)
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        write_atomically(file, text)
    return f"{file}{colon}{name}"


def make_questions(project: Project) -> "list[Campaign]":
    """Return the questions about a project's targets, without importing these.

    Raises
    ------
    UsageError
        If a claim about a target cannot be read.
    """
    from harness.command.option_groups import set_formula_contract
    from harness.command.options import read_breaks, read_conventions
    from harness.formula.spelling import stated_inputs
    from harness.verdict.campaign import Campaign

    questions: list[Campaign] = []
    for target in project.targets:
        options = target.as_given()
        campaign = Campaign(
            importable(target.target),
            declares=read_conventions(options.get("declares", [])),
            breaks=read_breaks(options.get("breaks", [])),
            inputs=stated_inputs(options.get("inputs", [])),
            **{name: getattr(target, name) for name in ("contract", "call", "formula", "form", "over")},
        )
        questions.append(set_formula_contract(campaign))
    return questions


def complete_policy(policy: "Policy", root: Path) -> "tuple[Policy, Project | None]":
    """Return the policy with the target of the project, and the project if its targets are functions.

    A target of the policy or of the command line comes first.
    """
    project = find_project(root)
    if project is None or not project.targets or "target" in policy.model_fields_set:
        return policy, None
    first, *rest = project.targets
    if rest or ":" in first.target:
        return policy, project
    return policy.model_copy(update={"target": first.target}), None


def find_baseline(policy: "Policy", project: Project | None, root: Path) -> Path:
    """Return the file of the baseline; for functions of a project, by default next to the settings."""
    if project is None or policy.baseline is not None:
        return policy.baseline_file(root, read_search_path(root))
    return project.root / "baseline.jsonl"


def read_search_path(root: Path) -> list[str]:
    """Return the folders of the setting ``pythonpath`` of a project."""
    project = find_project(root)
    return [] if project is None else [str(project.root / name) for name in project.settings.pythonpath]


def _set_path(project: Project | None) -> None:
    """Let the processes for user code import from the folders of the setting ``pythonpath``, but not this process."""
    os.environ[PROJECT_PATH] = os.pathsep.join([] if project is None else read_search_path(project.root))


def _reject_nothing() -> None:
    if find_own_cases() is None:
        rule = f"no {PYPROJECT} here lists `targets` under {TABLE}"
        remedy = "run `harness init`, or name a function, as in `harness check homework.py:softmax`"
        raise UsageError("nothing to check", rule=rule, remedy=remedy)


def _check_each(
    command: Callable[..., None], project: Project, given: dict[str, Any], defaults: dict[str, Any]
) -> None:
    targets = project.targets
    if len(targets) == 1:
        command(target=importable(targets[0].target), **_merge_options(project, targets[0], given, defaults))
        return
    _reject_several(given, defaults)
    codes: list[int] = []
    texts: dict[str, list[str]] = {}
    token = collected.set(texts)
    try:
        for target in targets:
            options = _merge_options(project, target, given, defaults)
            codes.append(_run_check(functools.partial(command, target=importable(target.target), **options)))
            # Only the first check may clear the run.
            given["fresh"] = False
            if codes[-1] > 2 or (codes[-1] and given.get("fail_fast")):
                break
    finally:
        collected.reset(token)
    files = {name: Path(os.path.relpath(given[name])) for name in texts}
    _finish(codes, len(targets), files, texts)


def _merge_options(
    project: Project, target: TargetTable, given: dict[str, Any], defaults: dict[str, Any]
) -> dict[str, Any]:
    """Return the options of a check: from the command line, else of the target, else of the project."""
    chosen = {name: value for name, value in given.items() if name not in defaults or value != defaults[name]}
    merged = {**given, **project.settings.as_given(), **target.as_given(), **chosen}
    # A formula on the command line replaces a contract of the table, and the reverse.
    for name, rival in (("formula", "contract"), ("contract", "formula")):
        if name in chosen and rival not in chosen:
            merged[rival] = None
    return merged


def _reject_several(given: dict[str, Any], defaults: dict[str, Any]) -> None:
    used = next((name for name in OF_ONE if given.get(name) != defaults.get(name)), None)
    sarif = str(given.get("output_format", "")) == "sarif"
    if used or sarif:
        option = "--output-format sarif" if sarif else f"--{used}"
        raise UsageError(f"cannot use `{option}` for several targets", remedy="name one of them")


def _run_check(check: Callable[[], None]) -> int:
    """Return the exit code of a check; a usage error is printed, and the other targets are still checked."""
    try:
        check()
    except typer.Exit as end:
        return end.exit_code
    except UsageError as error:
        typer.echo(f"harness: {error}", err=True)
        return ExitCode.NO_ANSWER
    return 0


def _finish(
    codes: Sequence[int], targets: int, files: Mapping[str, Path | None], texts: dict[str, list[str]]
) -> NoReturn:
    """Write the joined files, say how many targets passed, and exit."""
    from harness.display.output_format import JOIN

    words = ((0, "passed"), (1, "failed"), (2, "gave no answer"))
    parts = [f"{number} {word}" for code, word in words if (number := sum(result == code for result in codes))]
    if len(codes) < targets:
        parts.append(f"{targets - len(codes)} not checked")
    with write_files(files, lambda kind: JOIN[kind](texts[kind])) as written:
        say(*written, f"project: {count(targets, 'target')} ({', '.join(parts)})")
    raise typer.Exit(max(codes))
