"""Sameness: whether two functions or two training steps differ by more than rounding.

`comparison` loads both in the process of user code and draws their inputs. `recording` records their operations and
results, `rounding` repeats these in float64 and samples the rounding errors, `judgment` decides and has the controls,
`place` finds the first operation without a counterpart, and `command` is ``harness same``.
"""
