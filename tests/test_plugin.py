"""The pytest plugin in a separate project: items, ids, expected failures, xdist, and its output."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

PROJECT = """
import torch
import harness

@harness.parametrize_laws("softmax", dtypes=["float32"], laws=["value", "rows_sum_to_one"])
def test_stable(check):
    check(lambda x: torch.softmax(x, -1))

def naive(x):
    return x.exp() / x.exp().sum(-1, keepdim=True)

@harness.parametrize_laws("softmax", dtypes=["float32", "float64"], laws=["value"])
def test_naive(check):
    check(naive)

@harness.parametrize_laws("softmax", dtypes=["float32"], laws=["value"], breaks={"value": "exp overflows"})
def test_known(check):
    check(naive)

def test_of_somebody_else():
    pass
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with a passing, a failing and an expected test."""
    pytester.makepyfile(test_mine=PROJECT)
    return pytester


def test_each_law_and_dtype_is_an_item_with_a_readable_id(project: pytest.Pytester) -> None:
    """Other tests of the project are collected as usual."""
    result = project.runpytest_inprocess("--collect-only", "-q")
    result.stdout.fnmatch_lines(
        [
            "test_mine.py::test_stable[[]value-in-float32[]]",
            "test_mine.py::test_stable[[]rows_sum_to_one-in-float32[]]",
            "test_mine.py::test_naive[[]value-in-float64[]]",
            "test_mine.py::test_naive[[]value-in-float32[]]",
            "test_mine.py::test_known[[]value-in-float32[]]",
            "test_mine.py::test_of_somebody_else",
        ]
    )


def test_laws_that_hold_pass_and_broken_laws_fail(project: pytest.Pytester) -> None:
    """Two broken laws are one finding, and a declared failure is expected.

    Header and summary state what was checked.
    """
    result = project.runpytest_inprocess("-rx")
    result.assert_outcomes(passed=3, failed=2, xfailed=1)
    assert_told(result, "breaks 1 of 3 laws (5 verdicts: 2 hold")


NUMPY = """
import harness, numpy as np

def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)

@harness.parametrize_laws("softmax", dtypes=["float32"], laws=["value", "gradient"], call="numpy")
def test_numpy(check):
    check(softmax)
"""

STRICT_WORKERS = """
def pytest_configure(config):
    # Only in workers, because other libraries warn in the parent process.
    if hasattr(config, "workerinput"):
        config.addinivalue_line("filterwarnings", "error")
"""


def test_xdist_gives_the_same_output_and_skips_laws_that_do_not_apply(project: pytest.Pytester) -> None:
    """Arrays have no gradient. The worker process emits no warning."""
    project.makepyfile(test_arrays=NUMPY)
    project.makeconftest(STRICT_WORKERS)
    result = project.runpytest_inprocess("-rxs", "-n", "1")
    result.assert_outcomes(passed=4, failed=2, xfailed=1, skipped=1)
    assert_told(result, "breaks 1 of 4 laws (7 verdicts: 3 hold")
    result.stdout.fnmatch_lines(["SKIPPED*autograd cannot follow*"])


def assert_told(result: pytest.RunResult, laws: str) -> None:
    """Assert that a defect, its summary and the expected failure are printed, with the counts of laws."""
    result.stdout.fnmatch_lines(["harness: *, seed 20240229"])
    result.stdout.fnmatch_lines(
        ["*= laws =*", "DEFECT*test_mine.naive*", "*88.72283935546875*", "*breaks *value, in all dtypes"]
    )
    result.stdout.fnmatch_lines(["*subtract the row maximum first*"])
    result.stdout.fnmatch_lines([f"verdict: 1 defect in test_mine.naive {laws}, 1 expected*; * rows"])
    result.stdout.no_fnmatch_line("*= FAILURES =*")
    result.stdout.fnmatch_lines(["XFAIL test_mine.py::test_known*exp overflows"])


ELEVEN = """
import harness

def naive(x):
    return x.exp() / x.exp().sum(-1, keepdim=True)

@harness.parametrize_laws("softmax", dtypes=["float32"], examples=4)
def test_naive(check):
    check(naive)
"""


def test_a_cause_is_printed_once_for_all_failing_items(pytester: pytest.Pytester) -> None:
    """The output has at most forty lines of eighty columns, without a traceback; ``-v`` shows the blocks."""
    pytester.makepyfile(test_mine=ELEVEN)
    result = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    failed = result.parseoutcomes()["failed"]
    assert failed >= 10
    assert len(result.outlines) <= 40 + failed - 11
    assert not any("object at 0x" in line or "Check(" in line for line in result.outlines)
    assert sum("is broken" in line or "overflows" in line for line in result.outlines) <= 6
    wordy = pytester.runpytest_inprocess("-v", "-k", "value-in")
    wordy.stdout.fnmatch_lines(["*= FAILURES =*", "E*test_mine.naive breaks value [[]float32[]]"])


def test_a_property_is_printed_once(pytester: pytest.Pytester) -> None:
    """Many laws and dtypes may follow from it; they are judged under it, and pass."""
    pytester.makepyfile(
        """
        import harness

        def spread(x):
            return x.var(-1)

        @harness.parametrize_laws("variance", dtypes=["float32", "float64"], laws=["value", "not_negative"], examples=1)
        def test_spread(check):
            check(spread)
        """
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=4)
    assert result.stdout.str().count("spread agrees with `--declare correction=1`") == 1


def test_an_undeclared_property_fails_under_strict(pytester: pytest.Pytester) -> None:
    """Each judged item fails, skipped ones too. The property is printed once, and a declared property passes."""
    pytester.makepyfile(
        """
        import harness, torch

        def spread(x):
            return x.var(-1)

        FEW = {"laws": ["value", "not_negative"], "examples": 1}

        @harness.parametrize_laws("variance", dtypes=["float32"], **FEW)
        def test_undeclared(check):
            check(spread)

        @harness.parametrize_laws("variance", dtypes=["float32"], declares={"correction": 1}, **FEW)
        def test_declared(check):
            check(spread)

        @harness.parametrize_laws("softmax", dtypes=["float64"], laws=["value"], examples=1)
        def test_narrow(check):
            check(lambda x: x.float().softmax(-1))
        """
    )
    result = pytester.runpytest_inprocess("--harness-strict")
    result.assert_outcomes(passed=2, failed=3)
    output = result.stdout.str()
    assert output.count("spread agrees with `--declare correction=1`") == 1
    result.stdout.fnmatch_lines(
        [
            "UNDECLARED *spread agrees with `--declare correction=1`*",
            "UNDECLARED *computes in float32*",
            "verdict: no defect*",
        ]
    )
    assert "api.py" not in output


def test_lost_digits_pass_unless_the_user_is_strict(pytester: pytest.Pytester) -> None:
    """The summary says that they are lost."""
    pytester.makepyfile(
        """
        import harness, torch

        @harness.parametrize_laws("log_softmax", dtypes=["float32"], laws=["dominating_class_not_lost"])
        def test_log_softmax(check):
            check(lambda x: torch.log_softmax(x, -1))
        """
    )
    lenient = pytester.runpytest_inprocess()
    lenient.assert_outcomes(passed=1)
    lenient.stdout.fnmatch_lines(["LOST DIGITS*", "verdict: no defect in 1 law (0 hold, 1 loses digits)*"])
    pytester.runpytest_inprocess("--harness-strict").assert_outcomes(failed=1)


FAILING = {
    "*XPASS(strict)*none*": "lambda x: torch.softmax(x, -1)",
    "*none raises NotImplementedError: later*": "none",
    "*nothing was checked*": "",
}
"""What is printed about a test with a declared failure, by the function that it checks."""


@pytest.mark.parametrize("line", FAILING)
def test_a_declared_failure_must_be_found(pytester: pytest.Pytester, line: str) -> None:
    """The law holds, the function gives no result, or the test checks nothing: a silent skip would look like a pass."""
    pytester.makepyfile(
        f"""
        import harness, torch

        def none(x):
            raise NotImplementedError("later")

        @harness.parametrize_laws("softmax", dtypes=["float32"], laws=["value"], breaks={{"value": "none"}}, examples=1)
        def test_declared(check):
            {f"check({FAILING[line]})" if FAILING[line] else "pass"}
        """
    )
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([line])


def test_seed_and_seconds_are_options(project: pytest.Pytester) -> None:
    """The header repeats them."""
    result = project.runpytest_inprocess("--harness-seed", "7", "--harness-seconds", "0.01", "-k", "stable")
    result.assert_outcomes(passed=2, deselected=4)
    result.stdout.fnmatch_lines(["harness: *, seed 7, 0.01 s for each law"])


@pytest.mark.parametrize(
    ("contract", "argument", "text"),
    [
        ("sofmax", "check", "*unknown contract `sofmax`; did you mean `softmax`[?]*"),
        ("softmax", "other", "*needs the argument `check`*"),
    ],
    ids=["no such contract", "no argument"],
)
def test_a_decorator_that_cannot_work_is_a_plain_message(
    pytester: pytest.Pytester, contract: str, argument: str, text: str
) -> None:
    """It appears at collection, without a traceback."""
    pytester.makepyfile(
        f"""
        import harness

        @harness.parametrize_laws("{contract}")
        def test_it({argument}):
            pass
        """
    )
    result = pytester.runpytest_inprocess()
    assert result.ret != 0
    result.stdout.fnmatch_lines([text])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_the_plugin_loads_no_torch(tmp_path: Path) -> None:
    """A project that does not use the plugin is not slowed down."""
    code = (
        "import pytest, sys; code = pytest.main(['--collect-only', '-q']); assert code == 5; "
        "assert 'harness.plugin' in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_an_isolated_function_may_end_its_process(pytester: pytest.Pytester) -> None:
    """It is imported again in a separate process. An import error is one sentence."""
    pytester.makepyfile(
        mine="""
        import os

        def leaves(x):
            os._exit(0)
        """,
        test_mine="""
        import harness
        import mine

        @harness.parametrize_laws("softmax", dtypes=["float32"], laws=["value"], isolate=True)
        def test_leaves(check):
            check(mine.leaves)

        @harness.parametrize_laws("softmax", dtypes=["float32"], laws=["value"], isolate=True)
        def test_lambda(check):
            check(lambda x: x)
        """,
    )
    pytester.syspathinsert()
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*mine.leaves ends the process with exit code 0*"])
    result.stdout.fnmatch_lines(["*an isolated process must be able to import it by name from a file, got a lambda;*"])
