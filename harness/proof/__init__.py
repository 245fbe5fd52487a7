"""Proofs: check every input of a 16-bit format.

A unary operation has 65,536 inputs, each checked by ball arithmetic. A two-class softmax has four billion pairs of
logits, and a table decides all but a few of them. The exact result depends only on the gap between the two logits; for
each output code, ball arithmetic supplies the gaps for which the code is right.

The word ``proved`` is used only for such results, and only for the layout, thread count and CPU capability that ran.
"""
