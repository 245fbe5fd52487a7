"""The defects of other packages are real: each installed package prints the wrong number, and the fix the true one."""

from dataclasses import replace

import mpmath
import numpy
import pytest
from samples.command import Command
from wild.catalog import DEFECTS, by_package
from wild.defect import true_value
from wild.page import PAGE, page, shell
from wild.reproduction import MissingPackageError, complaint, is_installed, read, reproduced

from harness.adoption.defect import Defect, Reproduction, State, examine_packages

WRONG = Defect(
    function="numpy.exp",
    documented="the exponential",
    setup="import numpy",
    wrong="numpy.exp(1.0) - 1",
    truth="exp(1)",
    value="2.7182818284590452354",
    matters="Never.",
    fix="exp(x)",
    fixed="numpy.exp(1.0)",
    dtype="float64",
)


@pytest.mark.parametrize("package", by_package())
def test_the_installed_version_has_the_defects(package: str) -> None:
    """They are reproduced in a fresh process. If a release has mended one, the entry must say so."""
    if not is_installed(package):
        pytest.skip(f"{package} is not installed")
    defects = by_package()[package]
    try:
        found = reproduced(defects)
    except MissingPackageError as missing:
        pytest.skip(str(missing))
    assert [text for text in map(complaint, defects, found) if text] == []


def test_a_mended_defect_is_reported_with_the_version() -> None:
    """The entry is then marked with that release."""
    mended = Reproduction("numpy.exp", "3.0", "2.718281828459045", "2.718281828459045")
    assert complaint(WRONG, mended) == "numpy.exp is mended in numpy 3.0: set `mended_in` of the entry"
    assert complaint(replace(WRONG, mended_in="3.0"), mended) == ""
    still = replace(mended, printed="1.7")
    assert complaint(WRONG, still) == ""
    assert "is still wrong in numpy 3.0" in complaint(replace(WRONG, mended_in="3.0"), still)


def test_a_wrong_fix_is_reported() -> None:
    """The fix must print the true value."""
    found = Reproduction("numpy.exp", "3.0", "1.7", "2.7182819")
    assert complaint(WRONG, found) == "the fix of numpy.exp prints 2.7182819, which is not the true value"


def test_the_line_runs_without_this_project() -> None:
    """It needs only the package."""
    (found,) = reproduced([WRONG])
    assert found.is_wrong(WRONG)
    assert found.is_fixed(WRONG)


def test_a_missing_package_is_no_defect() -> None:
    """A line whose import fails says which package is missing."""
    with pytest.raises(MissingPackageError, match="no_such_package"):
        reproduced([replace(WRONG, setup="import no_such_package")])


@pytest.mark.parametrize(
    ("printed", "dtype", "lost"),
    [
        ("nan", "float64", "inf"),
        ("inf", "float64", "inf"),
        ("2.7182818284590455", "float64", "0.43"),
        ("2.7", "float32", "5e4"),
    ],
)
def test_errors_are_in_units_of_the_last_place(printed: str, dtype: str, lost: str) -> None:
    """NaN and infinity are infinitely wrong where the truth is finite."""
    assert replace(WRONG, dtype=dtype).compute_error_ulp(printed) == pytest.approx(float(lost), rel=0.2)


def test_a_true_infinity_or_nan_is_right() -> None:
    """A function may have such a value."""
    assert replace(WRONG, value="inf").compute_error_ulp("inf") == 0
    assert replace(WRONG, value="nan").compute_error_ulp("nan") == 0
    assert replace(WRONG, value="nan").compute_error_ulp("0.0") == float("inf")


def test_the_true_values_are_those_of_the_definitions() -> None:
    """The package has their digits, because it does not need mpmath."""
    assert [one.function for one in DEFECTS if one.value != str(mpmath.nstr(true_value(one), 20))] == []


def test_every_entry_is_recorded_as_wrong_with_a_fix() -> None:
    """At least one tried release prints a wrong number; every recorded fix is right."""
    found: dict[str, list[Reproduction]] = {}
    for one in read():
        found.setdefault(one.function, []).append(one)
    assert found.keys() == {one.function for one in DEFECTS}
    for defect in DEFECTS:
        assert any(one.is_wrong(defect) for one in found[defect.function]), defect.function
        assert all(one.is_fixed(defect) for one in found[defect.function]), defect.function


def test_functions_have_one_entry_and_lines_have_no_double_quotes() -> None:
    """The page names functions by their headings, and quotes lines for a terminal."""
    assert len({one.function for one in DEFECTS}) == len(DEFECTS)
    assert all(shell(one).count('"') == 2 for one in DEFECTS)


def test_the_page_is_the_one_in_docs() -> None:
    """Otherwise run ``python -m wild`` in tests/."""
    shown = PAGE.read_text(encoding="utf-8").split("\n| function |")[1]
    assert shown == page(read()).split("\n| function |")[1]


# In the environment of a user


def test_each_defect_is_present_corrected_or_not_installed() -> None:
    """A line that does not run is none of these."""
    mended = replace(WRONG, wrong="numpy.exp(1.0)")
    absent = replace(WRONG, pip="no-such-package")
    broken = replace(WRONG, setup="import numpy; numpy.no_such_function()")
    assert list(map(str, examine_packages([WRONG, absent, mended, broken]))) == [
        f"PRESENT        numpy.exp (numpy {numpy.__version__} prints 1.718281828459045 instead of {WRONG.value}); "
        "use exp(x)",
        f"CORRECTED      numpy.exp (numpy {numpy.__version__} prints 2.718281828459045); use exp(x)",
        f"UNKNOWN        numpy.exp (numpy {numpy.__version__}: AttributeError: module 'numpy' has no attribute "
        "'no_such_function'); use exp(x)",
        "NOT INSTALLED  numpy.exp (no-such-package); use exp(x)",
    ]


def test_the_command_has_a_line_for_each_defect(harness_command: Command) -> None:
    """The exit code tells whether a defect is present if the user asks for that."""
    done = harness_command("doctor --packages", code=0)
    *lines, summary = done.stdout.splitlines()
    assert len(lines) == len(DEFECTS)
    states = [line.partition("  ")[0].lower() for line in lines]
    assert set(states) <= set(State)
    gelu = next(line for line in lines if "torch.nn.functional.gelu" in line)
    assert gelu.endswith("use `x / 2 * erfc(-x / sqrt(2))`")
    assert summary.startswith(f"packages: {states.count('present')} present, ")
    code = int("present" in states)
    assert harness_command("doctor --packages --fail-if-present", code=code).stdout.endswith(f"{summary}\n")
    assert "cannot use `--fail-if-present` without" in harness_command("doctor --fail-if-present").refusal
