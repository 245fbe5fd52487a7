"""A marked test fails if a line of its body has a finding, or if there was nothing to audit."""

import pytest
import torch._dynamo  # noqa: F401 - pytester forgets what its tests import, and torch's compiler is imported only once

import harness

pytest_plugins = ["pytester"]

TESTS = """
import pytest

pytest_plugins = ["pytester"]
import torch


@pytest.mark.harness_audit
def test_overflows():
    x = torch.full((3,), 100.0, requires_grad=True)
    x.exp().sum().backward()


@pytest.mark.harness_audit(mode="events")
def test_is_sound():
    x = torch.ones(3, requires_grad=True)
    x.exp().sum().backward()


@pytest.mark.harness_audit
def test_audits_nothing():
    pass


@pytest.mark.harness_audit
def test_fails_by_itself():
    assert torch.ones(3).sum() == 4


def test_is_not_marked():
    x = torch.full((3,), 100.0, requires_grad=True)
    x.exp().sum().backward()
"""


def test_a_marked_test_fails_with_the_line_that_goes_wrong(pytester: pytest.Pytester) -> None:
    """A failure of the test itself comes first, and other tests are unaffected."""
    with harness.audit():
        pass  # this imports modules of torch's compiler, which cannot be imported twice
    pytester.makepyfile(test_steps=TESTS)
    done = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    done.assert_outcomes(passed=2, failed=3)
    done.stdout.fnmatch_lines(
        ["test_steps.py:10 test_overflows: exp(100) overflows in float32: it is inf from 88.72283935546875 on *"]
    )
    done.stdout.fnmatch_lines(["*nothing was audited*"])
    done.stdout.fnmatch_lines(["E * assert *"])
