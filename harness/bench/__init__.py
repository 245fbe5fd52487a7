"""How fast it is: benchmarks of cases and loaders, in turns, with what they are measured against.

``run`` starts a suite in a process of its own, ``suites/`` holds the suites, which pytest-benchmark runs on whatever
cases are loaded, ``workload`` what a case is timed on, and ``experiment`` the trainings that are recorded as curves.
"""
