r"""Benchmarks for whatever cases are loaded, run by pytest and pytest-benchmark.

``harness bench`` runs them by :func:`harness.bench.run.run_suite`. By hand, on an installed package::

    pytest --noconftest -p harness.bench.suites.conftest \
        --pyargs harness.bench.suites.test_steps --harness-cases my.cases
"""
