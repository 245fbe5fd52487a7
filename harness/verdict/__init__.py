"""Verdicts: one law, one case, one dtype.

A ``job`` is a verdict to reach and a ``campaign`` many of them. ``decide`` reaches one: it ``draw``s examples, those of
the ``corpus`` first, each of which is a ``trial``; what breaks the law is made minimal by ``shrink``, confirmed, and
comes with its ``replay``. ``reproducible`` keeps the draws the same whatever else is loaded.
"""
