"""How work ends: unexpected errors propagate, and early ends keep the finished results."""

import pytest

from harness.error import UsageError
from harness.execution.ending import INTERRUPTED, Ending

GONE = UsageError("a cluster stays", value="none")


def test_work_that_ends_normally_has_no_message() -> None:
    """The exit code depends on the results."""
    with Ending([]) as ending:
        pass
    assert (ending.early, ending.code, ending.error) == ("", None, None)
    ending.settle()


def test_an_interrupt_keeps_finished_results() -> None:
    """The finished part may be empty."""
    with Ending([]) as ending:
        raise KeyboardInterrupt
    assert (ending.early, ending.code) == ("interrupted", INTERRUPTED)


def test_a_user_error_is_raised_after_the_results_are_stored() -> None:
    """It is raised afterwards."""
    with Ending(["a verdict"]) as ending:
        raise GONE
    assert ending.early == "ended by an error"
    with pytest.raises(UsageError, match="a cluster stays"):
        ending.settle()


def test_an_error_before_anything_was_finished_is_raised_at_once() -> None:
    """There are no results to keep."""
    with pytest.raises(UsageError), Ending([]):
        raise GONE


def test_an_internal_error_is_raised_unchanged() -> None:
    """Its traceback is kept."""
    with pytest.raises(ZeroDivisionError), Ending(["a verdict"]):
        raise ZeroDivisionError
