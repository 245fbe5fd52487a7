"""A contract from mathematics: a formula becomes the oracle, the bounds, the inputs and the laws of an operation.

How it is written and read is in ``spelling``, ``grammar`` and ``node``, which import no torch; what it says, in
float64, double-double and balls, in ``arithmetic`` and ``ball``; its gradient in ``derivative``; how far one may miss
it in ``running_error``, ``tangent`` and ``quantity``; all it says in ``model``; what it is tried on in ``inputs``;
whether it makes sense in ``sense``; its laws in ``law``, and the contract in ``contract``.
"""
