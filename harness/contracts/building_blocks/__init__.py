"""What families of contracts share: their inputs, and what their oracles, bounds and laws are made of."""
