"""Typical mistakes of a new user: each gives exactly one plain line, and exit code 2."""

import os
from pathlib import Path

import pytest
from samples.command import Command

from harness.command.session import Session

HOMEWORK = """
def softmax(logits):
    e = (logits - logits.amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)

def recipe(x):
    return x * x

constant = 3
"""

CHECK = "check homework.py:softmax"
HERE = "--no-isolate --law value --dtypes float32"
"""Options for messages that depend on contracts, in this process to save the import of torch."""

MAKE = "make one with `harness check TARGET --run NAME`"
TARGETS = "name a package, `file.py:function`, `module:function` or an entry point"

MISTAKES: dict[str, tuple[str, str]] = {
    "quiet, which needs no option": (
        "check homework.py:softmax --quiet",
        "unknown option `--quiet`; leave it out; `--output-format concise` prints a line for each finding",
    ),
    "quiet, where output has one format": ("prove cases -q", "unknown option `-q`; leave it out"),
    "missing file": ("check elsewhere.py:softmax", "file not found: `elsewhere.py`; check the path"),
    "misspelt file": ("check homwork.py:softmax", "file not found: `homwork.py`; did you mean `homework.py`?"),
    "no function named": (
        "check homework.py",
        "no function given for `homework.py`; add its name, as in `file.py:function`",
    ),
    "misspelt function": (
        "check homework.py:softmx --contract softmax",
        "no `softmx` in `homework.py`; did you mean `softmax`?",
    ),
    "not a function": (
        "check homework.py:constant --contract softmax",
        "cannot check `homework.py:constant`: a case must be callable, got an object of type int",
    ),
    "empty file": ("check empty.py:softmax --contract softmax", "no `softmax` in `empty.py`: it defines no names"),
    "syntax error": (
        "check typo.py:softmax --contract softmax",
        "cannot import `typo.py`: SyntaxError: '(' was never closed (typo.py, line 1)",
    ),
    "import of a missing package": (
        "check needs.py:softmax --contract softmax",
        "cannot import `needs.py`: ModuleNotFoundError: No module named 'no_such_package'",
    ),
    "missing module": (
        "check no_such_module:softmax --contract softmax",
        f"cannot import `no_such_module`: no module named `no_such_module`; {TARGETS}",
    ),
    "a folder": ("check .", f"cannot import `.`; {TARGETS}"),
    "a package without cases": ("check json", "no cases in `json`; declare them in a list `CASES` in the package"),
    "a name without a contract": (
        "check homework.py:recipe",
        "cannot infer the contract of `recipe` from its name; "
        "pass `--contract NAME` (see `harness list --contracts`) or a `--formula`",
    ),
    "misspelt contract": (f"{CHECK} {HERE} --contract sofmax", "unknown contract `sofmax`; did you mean `softmax`?"),
    "unknown contract": (
        f"{CHECK} {HERE} --contract zebra",
        "unknown contract `zebra`; see `harness list --contracts` and `harness list --formulas`, or pass a formula",
    ),
    "misspelt law": (f"{CHECK} --no-isolate --law vaule", "unknown law `vaule`; did you mean `value`?"),
    "unknown law": (
        f"{CHECK} --no-isolate --law sums",
        "unknown law `sums`; see `harness list --laws` for the laws of each contract",
    ),
    "law to explain": ("explain valu", "unknown law or word `valu`; did you mean `value`?"),
    "wrong dtype": (
        f"{CHECK} --no-isolate --dtypes float23",
        "unknown dtype `float23`: choose from `float64`, `float32`, `bfloat16`, `float16`; did you mean `float32`?",
    ),
    "formula that does not parse": (
        f"{CHECK} --formula 'x * ('",
        "cannot read the formula at character 5, `x * ▶(`: '(' was never closed",
    ),
    "contract and formula": (
        f"{CHECK} --contract softmax --formula 'exp(x)'",
        "cannot use `--contract` together with `--formula`; leave one out",
    ),
    "misspelt option": (f"{CHECK} --dtype float32", "unknown option `--dtype`; did you mean `--dtypes`?"),
    "unknown option": (f"{CHECK} --zebra", "unknown option `--zebra`; see `harness check --help`"),
    "option without its value": (f"{CHECK} --json", "missing value for `--json`; see `harness check --help`"),
    "word for a number": (
        f"{CHECK} --examples many",
        "invalid value for `--examples`: it must be a whole number of at least 1, got `many`",
    ),
    "number out of range": (
        f"{CHECK} --timeout=0",
        "invalid value for `--timeout`: it must be a number of at least 0.01, got `0`",
    ),
    "two targets": (f"{CHECK} softmax", "unexpected argument `softmax`; see `harness check --help`"),
    "misspelt command": ("checkk homework.py:softmax", "unknown command `checkk`; did you mean `check`?"),
    "unknown command": ("zebra", "unknown command `zebra`; `harness --help` lists the commands"),
    "no target": ("audit", "missing argument `TARGET`; see `harness audit --help`"),
    "step with arguments": (
        "audit homework.py:softmax",
        "cannot audit `homework.py:softmax`: a step must take no arguments, got required arguments `logits`; "
        "write a function that creates its own batch, or put `with harness.audit():` around your call",
    ),
    "misspelt suite": (
        "bench stepps",
        "unknown suite `stepps`: the suites are `loaders`, `steps`, `balance`, `operations`, `vectorization`, "
        "`agreement`; did you mean `steps`?",
    ),
    "report without a run": ("report", f"no run in `.harness/runs`; {MAKE}"),
    "report about a missing run": (
        "report mine",
        f"no run in `.harness/runs/mine`: a run is a folder with a `run.json`; {MAKE}",
    ),
    "freeze of a missing run": (
        "freeze mine corpus",
        f"no run in `.harness/runs/mine`: a run is a folder with a `run.json`; {MAKE}",
    ),
    "gate without a question": ("gate", "nothing to compare; pass `--run` or `--against`"),
    "gate without a run": ("gate --update", "cannot update the baseline without a run; pass `--run`"),
    "missing corpus": (
        f"{CHECK} --corpus nofolder",
        "folder not found: `nofolder`; pass the folder that `harness freeze` wrote as `--corpus`",
    ),
    "run in a folder of other files": (
        f"{CHECK} --run ./own",
        "cannot write a run to `own`: the folder contains other files; use another `--run`",
    ),
    "nothing to watch": ("check json:loads --watch", "cannot watch `json:loads`: `--watch` needs `file.py:function`"),
}
"""Commands with a mistake, and the expected message after the name of the program."""


@pytest.fixture(autouse=True)
def student(workplace: Path, one_worker: None) -> None:
    """Files of a new user in an empty folder."""
    for name, text in {
        "homework.py": HOMEWORK,
        "empty.py": "",
        "typo.py": "def softmax(logits:\n    return logits\n",
        "needs.py": "import no_such_package\n",
        "own/notes.txt": "mine\n",
    }.items():
        file = workplace / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")


def answer(harness: Command, *words: str) -> str:
    """Return the one line on standard error that answers a mistake."""
    done = harness(*words, code=2)
    assert done.stdout == ""
    assert done.stderr.startswith("harness: ")
    assert done.stderr.endswith("\n")
    line, rest = done.stderr.removeprefix("harness: ").split("\n", 1)
    assert rest == ""
    return line


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_answered_by_one_plain_line(mistake: str, harness_command: Command) -> None:
    """The line has the problem, the rule, the value, and the remedy."""
    words, line = MISTAKES[mistake]
    assert answer(harness_command, words) == line


def test_a_file_without_permission(harness_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test replaces the system's answer, because an administrator may read every file."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    words = ("check", "homework.py:softmax", "--contract", "softmax", "--no-isolate")
    assert answer(harness_command, *words) == "cannot read `homework.py`: permission denied"


def test_a_missing_baseline(harness_command: Command, workplace: Path) -> None:
    """The message names the expected file, and how to create it."""
    with Session("mine"):
        pass
    file = workplace / "mine.jsonl"
    way_out = "create it with `harness gate --run RUN --update`"
    words = ("gate", "homework.py:softmax", "--contract", "softmax", "--run", "mine", "--baseline", str(file))
    line = answer(harness_command, *words)
    assert line == f"baseline not found: `{file}`; {way_out}"


def test_a_package_cases_that_declares_none(harness_command: Command, workplace: Path) -> None:
    """A user's folder may have this name."""
    (workplace / "cases").mkdir()
    (workplace / "cases" / "__init__.py").touch()
    way_out = "name a function, as in `harness check homework.py:softmax`"
    reason = "the package `cases` in this folder declares no `CASES`"
    assert answer(harness_command, "check", "cases") == f"nothing to check: {reason}; {way_out}"


def test_an_unknown_output_format(harness_command: Command, workplace: Path) -> None:
    """The line lists the formats."""
    (workplace / "homework.py").write_text("def softmax(x):\n    return x.softmax(-1)\n", encoding="utf-8")
    assert answer(harness_command, "check", "homework.py:softmax", "--output-format", "srif") == (
        "invalid value for `--output-format`: it must be one of `full`, `concise`, `github`, `sarif`, got `srif`"
    )
