"""Carrying out a list of independent work items: in this process, in worker processes, or on an executor.

``plan`` lists the work in pieces, ``runner`` carries it out, and ``result`` is the outcome of one piece.
``worker_pool`` starts workers for user code and for trusted code, and ``worker`` is such a process. ``executor_pool``
sends pieces to an ``executor``, and ``executor_worker`` is its other end. ``interrupt`` handles Ctrl-C and SIGTERM, and
keeps finished results.
"""
