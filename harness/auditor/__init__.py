"""Audit of a training step: find the lines that lose digits or overflow, and measure how close the others are.

Modules, in the order in which a step passes through them:

* ``watching`` intercepts every operation, and ``line`` finds the line that called it, and its source text.
* ``shadow`` keeps copies of storages in float64, on which ``harness.exact`` repeats the operations, and compares.
* ``balls`` repeats operations in ball arithmetic, within a budget.
* ``result`` stores an ``operation`` for each result, and ``rules`` need no comparison.
* ``end`` collects losses, gradients, updates, buffers and outputs. ``blame`` traces a wrong one back to a line.
* ``training`` follows optimizers, gradient scalers and clipping, for mistakes that no number shows.
* ``finding`` names lines that go wrong; ``wording`` and ``remedy`` describe the cause.
* ``audit`` is the context manager, which also reports lines that are close to breaking, and ``plan`` runs an audit in
  another process.
* ``command`` is ``harness audit``, ``display`` writes its files, and ``repair`` judges fixes.
"""
