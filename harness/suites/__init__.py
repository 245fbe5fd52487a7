"""Benchmarks for whatever cases are loaded, run by pytest and pytest-benchmark.

``harness bench`` runs them by :func:`harness.benchmark.run_suite`. By hand, on an installed package::

    pytest --noconftest -p harness.suites.conftest --pyargs harness.suites.test_steps --harness-cases my.cases
"""
