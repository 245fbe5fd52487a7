"""Proofs in float32: check a unary operation at all 4,294,967,296 bit patterns.

``operation`` has the exact functions as power series of balls. ``model`` encloses a function on a piece of the inputs
by a Taylor polynomial with a proved remainder. ``rows`` turns the polynomials of a range into matrices, so that one
matrix product gives the exact values of thousands of inputs with a proved error. ``side`` has the exact values of
whole blocks of numbers of one sign. ``sweep`` compares the outputs with the exact values and counts. ``resolution``
decides the remaining outputs by ball arithmetic. ``difference`` compares two releases of torch; their processes run
``release``.
"""
