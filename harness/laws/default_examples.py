"""Default numbers of examples of a law, unless the law has its own or the user asks for another."""

import math

OF_CONTRACT = 24
"""Examples of a law of a contract."""

OF_FORMULA = 16
"""Examples of a law derived from a formula; each example is a batch of dozens of rows."""

OF_IMPLEMENTATION = 8
"""Examples of a law about implementation details, which show on any batch."""

SHARES = {"algebra": 0.5, "finite": 0.5, "gradient": 0.5, "special": 0.3}
"""Share of a contract's examples for the laws of a group: their defects appear on most rows of a structure."""


def count_examples(examples: int, group: str) -> int:
    """Return the number of examples of a law in a group, from the number of its contract."""
    return math.ceil(examples * SHARES.get(group, 1.0))
