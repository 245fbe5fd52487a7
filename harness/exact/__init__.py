"""Repeat torch operations in wider arithmetic, and locate the operation that loses the result.

* ``operator`` reads the schema of an operation, and ``location`` finds the line that called it.
* ``doubles`` repeats an operation in float64. ``operators`` repeats it in balls, with one table of operations:
  ``elementwise`` and ``by_rows``.
* ``tape`` records the steps of a call, ``untrusted_tape`` reads them from another process, and ``replay`` replays them
  in wider arithmetic.
* ``loss`` finds the faulty operation of a tape, and describes it as an event.

The audit of a training step uses the same operations, on copies that it keeps next to the step.
"""
