r"""Benchmarks for whatever cases are loaded, run by pytest and pytest-benchmark.

``harness bench`` runs them by :func:`harness.bench.run.run_suite`. By hand, on an installed package::

    pytest -p harness.bench.suites.benchmark \
        --pyargs harness.bench.suites.test_steps --harness-cases my.cases
"""
