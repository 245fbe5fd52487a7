"""Benchmarks of cases and loaders, interleaved with references and limits.

``run`` starts a suite in a separate process. ``suites/`` holds the suites, which pytest-benchmark runs on the loaded
cases. ``workload`` defines the timed calls, and ``experiment`` the trainings that are recorded as curves.
"""
