"""The masked softmax: three common implementations, and a correct one."""

from jaxtyping import Bool, Float
from torch import Tensor


def masked_afterwards(logits: Float[Tensor, "n k"], keep: Bool[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Softmax over all entries, then zeros: masked entries contribute, so rows do not sum to one."""
    return logits.softmax(dim=-1) * keep


def renormalised(logits: Float[Tensor, "n k"], keep: Bool[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """The same, divided by the remaining sum: 0 / 0 once a masked logit is far above the kept ones."""
    p = logits.softmax(dim=-1) * keep
    return p / p.sum(dim=-1, keepdim=True)


def additive(logits: Float[Tensor, "n k"], keep: Bool[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Add -1e9 to masked entries, as in transformers: it fails for logits of that size, and it is -inf in float16."""
    return (logits + (~keep).to(logits.dtype) * -1e9).softmax(dim=-1)


def masked_softmax(logits: Float[Tensor, "n k"], keep: Bool[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Replace masked entries by -inf before any arithmetic, shift, and return zeros for fully masked rows.

    Notes
    -----
    For fully masked rows the shift is zero instead of -inf and the sum is one instead of zero, so neither the value
    nor the gradient contains ``-inf - -inf`` or ``0 / 0``.
    """
    nothing = ~keep.any(dim=-1, keepdim=True)
    chosen = logits.masked_fill(~keep, float("-inf"))
    shift = chosen.amax(dim=-1, keepdim=True).masked_fill(nothing, 0.0)
    X_exp = (chosen - shift).exp()
    return X_exp / X_exp.sum(dim=-1, keepdim=True).masked_fill(nothing, 1.0)
