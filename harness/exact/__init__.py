"""Repeat torch operations in wider arithmetic, and locate the operation that loses the result.

* ``operator`` reads the schema of an operation.
* ``operators`` has the operations on balls; ``elementwise`` has the operations on single numbers.
* ``tape`` records the steps of a call with the lines of user code, ``untrusted_tape`` reads them from another process,
  and ``replay`` repeats them in float64 or in balls.
* ``loss`` finds the faulty operation of a tape, and describes it as an event; ``slope`` finds the operation whose
  derivative is the wrong one of several.

The audit of a training step uses the same operations, on copies that it keeps next to the step.
"""
