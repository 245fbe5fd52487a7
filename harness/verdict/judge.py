"""Everything that decides a verdict, imported at once.

A judge imports this module before user code starts. Otherwise, code that rewrites the installed files could change a
module that the judge imports later, and with it its own verdict.
"""

from importlib import import_module

from hypothesis.strategies import just

from harness.contracts import contracts

_LATE = (
    "harness.data", "harness.findings.closed_form", "harness.isolation.loader_client", "harness.verdict.decide",
    "harness.verdict.job", "harness.verdict.probe", "harness.verdict.replay", "multiprocessing.popen_fork", "numpy.ma",
)  # fmt: skip
"""Modules that would otherwise be imported by the first function that needs them."""

contracts()
# Hypothesis imports this kind of strategy at its first use.
just(0).flatmap(just)
for _module in _LATE:
    import_module(_module)
