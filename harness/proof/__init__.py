"""Proofs: every input of a 16-bit format, so that what is said of a case is said of all of them.

A unary operation has 65,536 inputs, which ball arithmetic takes one by one. A two-class softmax has four thousand
million pairs, of which all but a few are decided by a table: what is exact depends on the gap of the two logits alone,
and for each output code the gaps are known, from ball arithmetic, for which the code is right.

``proved`` is said of nothing else, and of the layout, thread count and CPU capability that ran.
"""
