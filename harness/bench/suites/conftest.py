"""The plugin of the suites for pytest started by hand; the command `harness bench` names it as an option instead."""

from harness.bench.suites.benchmark import (
    data,
    pytest_addoption,
    pytest_collection_finish,
    pytest_configure,
    pytest_pyfunc_call,
)

__all__ = ["data", "pytest_addoption", "pytest_collection_finish", "pytest_configure", "pytest_pyfunc_call"]
