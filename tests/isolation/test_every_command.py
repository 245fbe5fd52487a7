"""Every command against five modules that act when they are imported: no false pass, no hang, no secret.

The module defines wrong functions, so that a command that judges may never exit with code 0. A command that measures
may do so only with its result.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.judged

FUNCTIONS = """
import torch

def softmax(x):
    return x.exp() / x.exp().sum(-1, keepdim=True)

def step():
    x = torch.linspace(1.0, 120.0, 64).reshape(8, 8).requires_grad_()
    softmax(x).square().sum().backward()

def dataset():
    return torch.utils.data.TensorDataset(torch.rand(200, 4), torch.arange(200))
"""

SOFTPLUS = "\ndef softplus(x):\n    return (1 + x.exp()).log()\n"

RIGHT = "import torch\n\ndef softmax(x):\n    return torch.softmax(x, -1)\n"

CASES = "import mine\nfrom harness.case import Case\n\nCASES = [Case(mine.softmax, 'softmax')]\n"

TEST = """
import harness

@harness.parametrize_laws("softmax", laws=["value"], dtypes=["float32"], isolate=True)
def test_softmax(check):
    check("mine.py:softmax")
"""

HIDDEN = "hidden-from-user-code"
SECRETS = dict.fromkeys(
    (
        *("GITHUB_TOKEN", "GITHUB_PATH", "GITHUB_ENV", "ACTIONS_RUNTIME_TOKEN", "CI_JOB_TOKEN"),
        *("MY_SECRET", "DATABASE_PASSWORD", "AWS_ACCESS_KEY_ID"),
    ),
    HIDDEN,
)

SHADOWS = ("hypothesis", "tabulate", "flint", "rich", "psutil")
"""Packages that the harness imports, and torch does not need."""

SHADOW = """
import os, sys
judging = ("harness.cli", "harness.verdict", "harness.laws", "harness.display")
if "mine" not in sys.modules and any(name.startswith(judging) for name in sys.modules):
    open({marker!r}, "a").write(__name__)
    os._exit(0)
"""

MODULES = {
    "exit": "import os\nos._exit(0)\n",
    "hang": "import time\ntime.sleep(10**6)\n",
    "shadow": "",
    "environment": """
import os
with open("/proc/self/environ") as file:
    seen = file.read() + repr(dict(os.environ))
with open({place!r} + f"/seen-{{os.getpid()}}", "w") as file:
    file.write(seen)
""",
    "rewrite": """
import pathlib
for file in pathlib.Path({place!r}, "site", "harness").rglob("*.py"):
    file.write_text("import os\\nos._exit(0)\\n")
""",
}
"""What a module does before it defines its functions."""

MEASURED = ("gate", "init", "doctor")
"""Commands that have a test of their own with the shadows of packages.

The process that counts and times imports the file, as user code does, and may have no answer. For every other command
the shadows lie beside the module that reads its environment, because neither changes an answer.
"""


@dataclass(frozen=True)
class Command:
    """A command, its exit code for a module that does nothing else, and the sign of its result if that code is 0."""

    words: tuple[str, ...]
    code: int = 1
    result: str = ""
    refuses: int = 2


_CHECK = ("check", "mine.py:softmax", "--law", "value", "--dtypes", "float32")

COMMANDS = {
    "check": Command(_CHECK),
    "fix": Command((*_CHECK, "--fix")),
    "survey": Command(("survey", "mine.py:softmax", "--law", "value", "--dtypes", "float32", "--batches", "1")),
    "prove": Command(
        ("prove", "mine.py:softplus", "--contract", "softplus", "--dtypes", "float16", "--layouts", "contiguous")
    ),
    "same": Command(("same", "mine.py:softmax", "torch:softmax")),
    "audit": Command(("audit", "mine.py:step")),
    "audit fix": Command(("audit", "mine.py:step", "--fix")),
    "bench": Command(
        ("bench", "operations", "--cases", "mine.py:softmax", "--contract", "softmax", "--seconds", "0.1"),
        code=0,
        result="softmax",
    ),
    "tune": Command(
        ("tune", "mine.py:dataset", "--seconds", "0.5", "--workers", "0"), code=0, result="DataLoader(dataset"
    ),
    "train": Command(("train", "declared"), code=0, result="data:"),
    "gate": Command(("gate", "mine.py:softmax", "--contract", "softmax", "--run", "before")),
    "doctor": Command(
        ("doctor", "mine.py:softmax", "--contract", "softmax", "--budget", "30"), code=0, result="one call"
    ),
    "init": Command(("init", "--yes", "--baseline", "--no-workflow")),
    "learn": Command(("learn", "softmax")),
    "list": Command(("list", "declared", "--cases"), code=0, result="mine.softmax"),
    "pytest": Command((), refuses=1),
}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the baseline of a right function, and the run of a wrong one."""
    folder = tmp_path_factory.mktemp("compared")
    gate = COMMANDS["gate"].words
    for source, words in ((RIGHT, (*gate, "--update")), (FUNCTIONS, ())):
        (folder / "mine.py").write_text(source, encoding="utf-8")
        assert _run(folder, (*_CHECK, "--run", "before", "--fresh")).returncode in {0, 1}
        assert not words or _run(folder, words).returncode == 0
    return folder


def _prepare(folder: Path, name: str, kind: str) -> None:
    """Write the module, and what the command needs besides."""
    # One function for `init`, which would import the file again for each further one.
    text = MODULES[kind].format(place=str(folder)) + FUNCTIONS + (SOFTPLUS if name == "prove" else "")
    (folder / "mine.py").write_text(text, encoding="utf-8")
    (folder / "declared.py").write_text(CASES, encoding="utf-8")
    (folder / "test_mine.py").write_text(TEST, encoding="utf-8")
    if name == "learn":
        (folder / "exercises").mkdir()
        (folder / "exercises" / "softmax.py").write_text(text, encoding="utf-8")
    if kind == "shadow" or (kind == "environment" and name not in MEASURED):
        (folder / "pyproject.toml").write_text('[tool.harness]\npythonpath = ["src"]\ntargets = ["mine.py:softmax"]\n')
        (folder / "src").mkdir()
        for place in (folder / "src", *((folder,) if name != "pytest" else ())):
            for shadow in SHADOWS:
                (place / f"{shadow}.py").write_text(SHADOW.format(marker=str(folder / "shadowed")), encoding="utf-8")
    if name == "init" and kind == "shadow":
        # It reads the folder `src`, and writes the settings.
        (folder / "pyproject.toml").unlink()
        (folder / "mine.py").rename(folder / "src" / "mine.py")
    if kind == "rewrite":
        spec = find_spec("harness")
        assert spec is not None
        assert spec.origin is not None
        shutil.copytree(Path(spec.origin).parent, folder / "site" / "harness")


_LIMIT_S = 15.0
"""Seconds for the import, in place of the two minutes of every command."""

_LIMITED = f"""
from harness.isolation.limits import Limits
names = list(Limits.__dataclass_fields__)
Limits.__dataclass_fields__["load_s"].default = {_LIMIT_S}
Limits.__init__.__defaults__ = tuple(Limits.__dataclass_fields__[name].default for name in names)
"""


def _run(folder: Path, words: Sequence[str], kind: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a command as a user does, or pytest if there are no words."""
    module = "harness.__main__" if words else "pytest"
    # The installed script has no working directory on its path either.
    program = f"{_LIMITED if kind == 'hang' else ''}\nimport sys\nfrom {module} import main\nsys.exit(main())"
    first = [str(folder / "site")] if kind == "rewrite" else []
    environment = {**os.environ, **SECRETS, "PYTHONPATH": os.pathsep.join(first)}
    arguments = words or ("-p", "no:cacheprovider", "-q", "test_mine.py")
    return subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


CELLS = [
    (name, kind) for name in COMMANDS for kind in MODULES if kind != "hang" and (kind != "shadow" or name in MEASURED)
]


@pytest.mark.parametrize(("name", "kind"), CELLS)
def test_no_module_makes_a_command_pass_or_tell_a_secret(
    name: str, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """A module that ends its process is refused; any other one changes no answer."""
    _judge(name, kind, tmp_path, request.getfixturevalue("compared") if name == "gate" else None)


@pytest.mark.timeout(600)
def test_no_command_waits_for_a_module_that_hangs(compared: Path, tmp_path: Path) -> None:
    """Each command refuses the module after the limit of the import. They wait for it at the same time."""
    with ThreadPoolExecutor(5) as pool:
        judged = {name: pool.submit(_judge, name, "hang", tmp_path / name, compared) for name in COMMANDS}
    failed = {name: str(error) for name, future in judged.items() if (error := future.exception()) is not None}
    assert not failed


def _judge(name: str, kind: str, folder: Path, compared: Path | None) -> None:
    """Run a command against a module in a new or empty folder, and judge its answer."""
    command = COMMANDS[name]
    folder.mkdir(exist_ok=True)
    if name == "gate" and compared is not None:
        shutil.copytree(compared, folder, dirs_exist_ok=True)
    _prepare(folder, name, kind)
    done = _run(folder, command.words, kind)
    allowed = {
        "exit": {command.refuses},
        "hang": {command.refuses},
        "rewrite": {command.code, command.refuses},
        "shadow": {command.code, command.refuses},
    }
    assert done.returncode in allowed.get(kind, {command.code}), done
    assert "unknown option" not in done.stderr, "a command line that is wrong is refused, too"
    assert done.returncode != 0 or command.result in done.stdout, done
    assert "Traceback" not in done.stdout + done.stderr, done
    if done.returncode == 2 and name not in {"init", "learn"}:
        assert len(done.stderr.splitlines()) == 1, done
    for rule in _RULES.get(kind, ()):
        rule(folder)


def _sees_no_secret(folder: Path) -> None:
    seen = [file.read_text(encoding="utf-8") for file in folder.glob("seen-*")]
    assert seen, "the module was not imported"
    assert not [text for text in seen if HIDDEN in text]


def _shadows_nothing(folder: Path) -> None:
    assert not (folder / "shadowed").exists()


def _is_rewritten(folder: Path) -> None:
    assert (folder / "site" / "harness" / "__init__.py").stat().st_size < 100


_RULES: dict[str, tuple[Callable[[Path], None], ...]] = {
    "environment": (_sees_no_secret, _shadows_nothing),
    "shadow": (_shadows_nothing,),
    "rewrite": (_is_rewritten,),
}
