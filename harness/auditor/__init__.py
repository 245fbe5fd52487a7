"""Audit of a training step: find the lines that lose digits or overflow, and measure how close the others are.

Modules, in the order in which a step passes through them:

* ``watching`` intercepts every operation. ``operator`` reads its schema, and ``line`` finds the line that called it.
* ``shadow`` keeps copies of storages in wider arithmetic, and ``replay`` repeats operations on these copies.
* ``exact`` repeats operations in ball arithmetic; ``ball``, ``ball_by_rows`` and ``ball_by_place`` define them.
* ``measure`` compares results, ``noting`` stores an ``operation`` for each, and ``rules`` need no comparison.
* ``end`` collects losses, gradients, updates, buffers and outputs. ``blame`` traces a wrong one back to a line.
* ``wording`` and ``remedy`` describe the cause, and ``headroom`` reports lines that are close to breaking.
* ``audit`` is the context manager, and ``plan`` runs an audit in another process.
"""
