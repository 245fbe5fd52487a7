"""Sameness: whether two functions or two training steps differ by more than rounding.

`side` loads a target with separate `modules` of the user, and records its calls. `recording` has their operations and
results, `rounding` repeats these in float64 and samples the rounding errors, `judgment` decides and has the controls,
and `place` finds the first operation without a counterpart. `change` reads ``--under``, and `changed_run` records a
target under a change, with its `rows`, with the `objects` that a step reads, or `elsewhere`, in another process.
`inputs` draws the inputs of functions, `pair` is what to compare, `comparison` is the whole question, `output` writes
the answers, and `command` is ``harness same``.
"""
