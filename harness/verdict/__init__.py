"""Verdicts: one law, one case, one dtype.

A ``job`` is a verdict to reach, and a ``campaign`` contains many. ``decide`` reaches one. It ``replay``s known
counterexamples and then ``draw``s other examples; each example is a ``trial``. ``shrink`` makes a failing example
minimal, ball arithmetic confirms it, and ``replay`` prints its command.
"""
