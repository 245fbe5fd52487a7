"""A contract from mathematics: a formula becomes the oracle, the bounds, the inputs and the laws of an operation.

How it is written and read is in ``spelling``, ``grammar`` and ``node``, which import no torch; what it says, in
float64, double-double and balls, in ``arithmetic`` and ``ball``; its gradient in ``derivative``; how far one may miss
it in ``running_error``, ``tangent`` and ``quantity``; all it says in ``model``; what it is tried on in ``inputs``;
where it has no value in ``undefined``; whether it makes sense in ``sense``; its laws in ``law``, those of rows of which
a mask keeps nothing in ``nothing_kept``, and the contract in ``contract``.
"""
