"""How work is carried out: here, on processes, in processes that foreign code may take with it, or on an executor.

``task`` is what there is to do, in pieces; ``processes`` are workers that are trusted, ``pool`` those in which foreign
code runs under ``limits``, and ``worker`` such a process from inside; ``lost_worker`` says how one was lost.
``executor_pool`` sends pieces to an executor, and ``executor_worker`` is its end of the line. Importing ``pool``
imports no torch: the side that reports does not compute.
"""
