"""Contracts from formulas: a formula gives the oracle, the bounds, the inputs and the laws of an operation.

``spelling``, ``grammar`` and ``node`` read a formula into a graph and do not import torch. ``catalogue`` has the named
formulas. ``arithmetic`` and ``ball`` evaluate the graph in float64, double-double and ball arithmetic, and
``derivative`` builds its gradient. ``running_error``, ``tangent`` and ``quantity`` compute the bounds; ``model``
collects the value and the gradients. ``inputs`` draws examples, ``undefined`` finds where a formula has no value, and
``consistency`` rejects formulas that are never finite. ``law``, ``one_sided`` and ``empty_rows`` define the laws, and
``contract`` combines all parts.
"""
