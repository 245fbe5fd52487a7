"""``harness tolerances`` on comparisons of others, and on suites that fail, cannot be collected, or run in parallel."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from harness.tolerances.place import Answer

SET = Path(__file__).with_name("comparisons_of_others.py")

MISSED = {
    # Two numbers of Python say nothing of the float32 from which they were made.
    "test_tight_approx": "sound",
}
"""Comparisons whose verdict is not the settled one."""


def run(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in a folder."""
    command = [sys.executable, "-P", "-m", "harness", "tolerances", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The verdict on each test of the set, in two processes of pytest-xdist."""
    folder = tmp_path_factory.mktemp("suite")
    (folder / "test_others.py").write_text(SET.read_text(encoding="utf-8"), encoding="utf-8")
    done = run(folder, "--all", "-n", "2", "-p", "no:cacheprovider")
    assert done.returncode == 1, done
    functions = [
        node
        for node in ast.walk(ast.parse(SET.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    # A comparison of whole numbers or one that fails is none, and stays sound.
    verdicts = {function.name: "sound" for function in functions}
    for line in done.stdout.splitlines():
        if ".py:" in line:
            answer, place = line[:10].strip().lower(), int(line.split(".py:")[1].split(":")[0])
            (name,) = [node.name for node in functions if node.lineno <= place <= (node.end_lineno or 0)]
            verdicts[name] = answer
    return verdicts


def test_sixty_comparisons_have_the_verdict_that_was_settled_first(suite: dict[str, str]) -> None:
    """The name of each test says it; none of them is called vacuous falsely."""
    settled = {name: name.split("_")[1].replace("unjudged", "not judged") for name in suite}
    assert len(suite) == 60
    assert {name: verdict for name, verdict in suite.items() if verdict != settled[name]} == MISSED
    assert Counter(settled.values()).keys() == {str(answer) for answer in Answer}


def test_a_finding_has_the_place_what_would_pass_and_the_tolerance(tmp_path: Path) -> None:
    """Tests that fail are counted, and their comparisons are not judged."""
    (tmp_path / "test_mine.py").write_text(
        "import torch\n"
        "def test_loss():\n"
        "    torch.testing.assert_close(torch.tensor(-0.3679), torch.tensor(0.8), rtol=1e6, atol=1e-4)\n"
        "def test_fails():\n"
        "    torch.testing.assert_close(torch.tensor(1.0), torch.tensor(1.1), rtol=1e6, atol=0.0)\n"
        "    assert False\n",
        encoding="utf-8",
    )
    done = run(tmp_path, "-p", "no:cacheprovider")
    assert done.stdout.splitlines() == [
        "VACUOUS     test_mine.py:3: accepts 0 and the other sign; results do not agree at all "
        "(torch.testing.assert_close, rtol = 1000000.0, atol = 0.0001)",
        "tolerances: 1 vacuous, 0 loose, 0 tight, 0 sound, 0 not judged, in 1 test; 1 test failed, without verdicts",
    ]
    assert done.returncode == 1


def test_a_sound_suite_passes(tmp_path: Path) -> None:
    """The functions are restored, and a test may patch them itself."""
    (tmp_path / "test_mine.py").write_text(
        "import pytest\n"
        "def test_sum():\n"
        "    assert 0.1 + 0.2 == pytest.approx(0.3)\n"
        "    assert 0.1 + 0.2 != pytest.approx(0.4)\n",
        encoding="utf-8",
    )
    done = run(tmp_path, "-p", "no:cacheprovider")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "tolerances: 0 vacuous, 0 loose, 0 tight, 1 sound, 0 not judged, in 1 test\n"


@pytest.mark.parametrize(
    ("argument", "reason"),
    [("--frobnicate", "unrecognized arguments: --frobnicate"), ("nowhere", "file or directory not found: nowhere")],
)
def test_a_wrong_argument_is_one_sentence(tmp_path: Path, argument: str, reason: str) -> None:
    """It names the argument as pytest does."""
    done = run(tmp_path, argument)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"harness: cannot judge the suite: {reason}; run pytest alone\n"


@pytest.mark.parametrize(
    ("source", "reason"),
    [("import nowhere\n", "No module named 'nowhere'"), ("", "no tests ran"), ("def test_(:\n", "SyntaxError")],
    ids=["import", "empty", "syntax"],
)
def test_a_suite_that_does_not_run_is_one_sentence(tmp_path: Path, source: str, reason: str) -> None:
    """It names the error of pytest."""
    (tmp_path / "test_mine.py").write_text(source, encoding="utf-8")
    done = run(tmp_path, "-p", "no:cacheprovider")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("harness: cannot judge the suite: ")
    assert reason in done.stderr
    assert len(done.stderr.splitlines()) == 1
