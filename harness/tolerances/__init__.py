"""Tolerances of tests: the derived error bound of an operation as one assertion.

`assertion` compares a result with exact arithmetic, and allows the error that a sound implementation may have for these
inputs.
"""
