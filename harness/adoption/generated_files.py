"""The files that ``harness init`` writes: tests or cases, settings, and a workflow. Existing files do not change."""

import json
import re
import shlex
import tomllib
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import NamedTuple

from harness.adoption.project import FoundFunction, Layout
from harness.adoption.settings import TABLE
from harness.error import UsageError
from harness.record import write_atomically
from harness.record.storage import PYPROJECT, read_harness_table

TEMPLATE = Path(__file__).with_name("workflow.yml")
"""The GitHub workflow; REQUIREMENTS stands for the packages that it installs."""

WORKFLOW = Path(".github", "workflows", "numerics.yml")
TESTS = Path("tests", "test_laws.py")
GENERATED = ".harness/"
DTYPES = ("float32", "float64")
"""The dtypes that the written files claim, as a check of a single function does."""


class Choice(NamedTuple):
    """The user's selection.

    Parameters
    ----------
    functions
        The functions to check.
    install
        Requirement of the harness that the workflow installs.
    cases
        Whether to write a package of cases instead of a test file.
    workflow
        Whether to write a GitHub workflow.
    """

    functions: Sequence[FoundFunction]
    install: str
    cases: bool = False
    workflow: bool = True


NEWEST = "stability-harness"
"""Requirement of the newest release."""


class Source(NamedTuple):
    """From where a workflow installs the harness.

    Parameters
    ----------
    requirement
        As pip takes it.
    caveat
        Why the requirement is not what is installed here; empty if it is.
    """

    requirement: str
    caveat: str = ""


def find_this_version() -> Source:
    """Return the source of this version of the harness; the newest release if others cannot install this one.

    A version that pip installed from a repository or a file on the web is installed from there again.
    """
    installed = distribution(NEWEST)
    origin = json.loads(installed.read_text("direct_url.json") or "{}")  # pip writes it for all sources but the index
    url = str(origin.get("url", ""))
    if url.startswith(("https://", "http://", "ssh://")):
        vcs = origin.get("vcs_info")
        return Source(f"{NEWEST} @ {vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else f"{NEWEST} @ {url}")
    if url:
        return Source(NEWEST, f"this version was installed from `{url}`, which only this machine can read")
    if "dev" in installed.version or "+" in installed.version:
        return Source(NEWEST, f"this version, {installed.version}, is no release")
    return Source(f"{NEWEST}=={installed.version}")


class Planned(NamedTuple):
    """A file to write.

    Parameters
    ----------
    path
        Relative to the project.
    text
        Its whole content; empty if the file stays as it is.
    addition
        What is new in it.
    reason
        Why it stays as it is.
    """

    path: Path
    text: str
    addition: str
    reason: str = ""


def plan_files(root: Path, layout: Layout, choice: Choice) -> list[Planned]:
    """Return the files for a project, in the order in which a reader meets them."""
    files = []
    target = ""
    if choice.cases:
        path, target = _find_package_file(root, layout, choice.functions)
        files.append(_plan_file(root, path, _render_cases(choice.functions)))
    elif layout is not Layout.NOTEBOOKS:
        files.append(_plan_file(root, TESTS, _render_tests(root, layout, choice.functions)))
    files.append(_plan_settings(root, layout, choice, target))
    if (root / ".git").exists():
        files.append(_ignore_generated_files(root))
    if choice.workflow:
        files.append(_plan_file(root, WORKFLOW, render_workflow(root, choice.install)))
    return files


def write(root: Path, files: Sequence[Planned]) -> None:
    """Write the files that are new or changed."""
    for file in files:
        if file.text:
            write_atomically(root / file.path, file.text)


def _plan_file(root: Path, path: Path, text: str) -> Planned:
    reason = "exists already" if (root / path).exists() else ""
    return Planned(path, "" if reason else text, "" if reason else text, reason)


def _plan_settings(root: Path, layout: Layout, choice: Choice, target: str) -> Planned:
    file = root / PYPROJECT
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    table = read_harness_table(file) if before else None
    if isinstance(table, dict) and table.keys() - {"gate"}:
        return Planned(Path(PYPROJECT), "", "", f"has {TABLE} already")
    addition = _format_table(layout, choice, target)
    text = f"{before.rstrip()}\n\n{addition}" if before.strip() else addition
    try:
        tomllib.loads(text)
    except ValueError as error:
        raise UsageError(
            f"cannot add {TABLE} to `{PYPROJECT}`: {error!s:.100}",
            remedy=f"add it by hand: {' '.join(addition.split())}",
        ) from error
    return Planned(Path(PYPROJECT), text, addition)


def _ignore_generated_files(root: Path) -> Planned:
    """Let git ignore the folder of generated files."""
    file = root / ".gitignore"
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    if GENERATED in before.splitlines():
        return Planned(Path(file.name), "", "", f"has {GENERATED} already")
    start = f"{before.rstrip()}\n" if before.strip() else ""
    return Planned(Path(file.name), f"{start}{GENERATED}\n", f"{GENERATED}\n")


def _format_table(layout: Layout, choice: Choice, target: str) -> str:
    lines = [TABLE]
    if target:
        lines.append(f"targets = [{_quote_toml(target)}]")
    else:
        lines += ["targets = [", *(f"    {_format_target(function)}," for function in choice.functions), "]"]
        lines.append(f"dtypes = [{', '.join(map(_quote_toml, DTYPES))}]")
    if layout is Layout.SRC:
        lines.append('pythonpath = ["src"]')
    return "\n".join(lines) + "\n"


def _format_target(found: FoundFunction) -> str:
    if found.by_name:
        return _quote_toml(found.target)
    call = f", call = {_quote_toml(found.call)}" if found.call else ""
    return f"{{ target = {_quote_toml(found.target)}, contract = {_quote_toml(found.contract)}{call} }}"


def _quote_toml(text: str) -> str:
    """Return a basic string of TOML, which is also a string of Python."""
    return json.dumps(text, ensure_ascii=False)


def _find_package_file(root: Path, layout: Layout, functions: Sequence[FoundFunction]) -> tuple[Path, str]:
    """Return the file of the package of cases, and its name: inside the project's package if there is one."""
    if any(not function.module for function in functions):
        outside = next(function.target for function in functions if not function.module)
        raise UsageError(
            "cannot write a package of cases",
            rule="every function must be in a module that an import statement can import",
            value=f"`{outside}`",
            remedy="leave out `--cases`",
        )
    top = min((function.module.partition(".")[0] for function in functions), default="")
    base = Path("src") if layout is Layout.SRC else Path()
    if top and (root / base / top / "__init__.py").is_file():
        return base / top / "laws" / "__init__.py", f"{top}.laws"
    return Path("laws", "__init__.py"), "laws"


def _render_cases(functions: Sequence[FoundFunction]) -> str:
    """Return a package of cases."""
    dtypes = ", ".join(map(_quote_toml, DTYPES))
    entries = []
    for function, name in zip(functions, _choose_names(functions), strict=True):
        call = f", call={_quote_toml(function.call)}" if function.call else ""
        entries.append(f"    Case({name}, {_quote_toml(function.contract)}{call}, dtypes=DTYPES),")
    parts = [
        '"""Functions that `harness check` checks. Declare a known failure with `breaks={"LAW": "reason"}`."""',
        "\n".join(["from harness import Case", *_render_imports(functions)]),
        f"DTYPES = ({dtypes})",
        "\n".join(["CASES = [", *entries, "]"]),
    ]
    return "\n\n".join(parts) + "\n"


_LOAD = '''

def load(path):
    """Import a file that no import statement can name."""
    spec = spec_from_file_location(path.stem, path)
    module = module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module

'''
"""Import of a file by its path, in the written tests."""


def _render_tests(root: Path, layout: Layout, functions: Sequence[FoundFunction]) -> str:
    """Return a test file. Modules that are not installed are imported from the folders of the project."""
    has_files = any(not function.module for function in functions)
    modules = ["from importlib.util import module_from_spec, spec_from_file_location"] if has_files else []
    lines = [
        '"""Laws of numerical functions: one test for each law and dtype."""',
        "",
        "import sys",
        *modules,
        "from pathlib import Path",
        "",
        "import harness",
        "",
        "ROOT = Path(__file__).parents[1]",
        'sys.path.append(str(ROOT / "src"))' if layout is Layout.SRC else "sys.path.insert(0, str(ROOT))",
        "",
        *_render_imports(functions, late=True),
        *(_LOAD.splitlines() if has_files else []),
    ]
    names = _choose_names(functions)
    lines += [
        f"{name} = load(ROOT / {_quote_toml(function.file.relative_to(root).as_posix())}).{function.name}"
        for function, name in zip(functions, names, strict=True)
        if not function.module
    ]
    lines += ["", '# Declare a known failure with `breaks={"LAW": "reason"}`.']
    lines.append(f"DTYPES = [{', '.join(map(_quote_toml, DTYPES))}]")
    tests = _number_duplicates([re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower() for name in names])
    for function, name, test in zip(functions, names, tests, strict=True):
        call = f", call={_quote_toml(function.call)}" if function.call else ""
        lines += ["", "", f"@harness.parametrize_laws({_quote_toml(function.contract)}, dtypes=DTYPES{call})"]
        lines += [f"def test_{test}(check):", f"    check({name})"]
    return re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)) + "\n"


def _choose_names(functions: Sequence[FoundFunction]) -> list[str]:
    """Return the names under which the written file has the functions; all are different."""
    names = [function.name for function in functions]
    return _number_duplicates(
        [
            name if names.count(name) == 1 else f"{re.sub(r'^(?=[0-9])|[^0-9a-zA-Z_]', '_', function.file.stem)}_{name}"
            for function, name in zip(functions, names, strict=True)
        ]
    )


def _number_duplicates(names: Sequence[str]) -> list[str]:
    """Return the names, with a number after the second and later ones of the same name."""
    return [
        f"{name}_{names[:number].count(name) + 1}" if name in names[:number] else name
        for number, name in enumerate(names)
    ]


def _render_imports(functions: Sequence[FoundFunction], *, late: bool = False) -> list[str]:
    """Return one import for each module, in order; a late one follows a statement."""
    names: dict[str, list[str]] = {}
    for function, name in zip(functions, _choose_names(functions), strict=True):
        if function.module:
            alias = "" if name == function.name else f" as {name}"
            names.setdefault(function.module, []).append(f"{function.name}{alias}")
    note = "  # noqa: E402" if late else ""
    return [f"from {module} import {', '.join(sorted(names[module]))}{note}" for module in sorted(names)]


def render_workflow(root: Path, install: str) -> str:
    """Return a GitHub workflow: it checks the laws, and compares with the baseline that is committed."""
    packaged = any((root / name).is_file() for name in ("setup.py", "setup.cfg")) or _is_package(root)
    editable = " -e ." if packaged else ""
    return TEMPLATE.read_text(encoding="utf-8").replace("REQUIREMENTS", f"{shlex.quote(install)}{editable}")


def _is_package(root: Path) -> bool:
    file = root / PYPROJECT
    if not file.is_file():
        return False
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    return "project" in document and "build-system" in document
