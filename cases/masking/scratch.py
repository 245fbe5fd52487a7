"""The softmax under a mask: four ways that are in use, and one that holds."""

from jaxtyping import Bool, Float
from torch import Tensor


def masked_afterwards(logits: Float[Tensor, "n k"], keep: Bool[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Softmax over everything, then zeros: what is masked has taken its share, and rows do not sum to one."""
    return logits.softmax(dim=-1) * keep


def renormalised(logits: Float[Tensor, "n k"], keep: Bool[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """The same, divided by what is left: zero by zero once a masked logit is far above those that are kept."""
    p = logits.softmax(dim=-1) * keep
    return p / p.sum(dim=-1, keepdim=True)


def additive(logits: Float[Tensor, "n k"], keep: Bool[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Add -1e9 to what is masked, as transformers do: no mask for logits of that size, and -inf in float16."""
    return (logits + (~keep).to(logits.dtype) * -1e9).softmax(dim=-1)


def masked_softmax(logits: Float[Tensor, "n k"], keep: Bool[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Replace what is masked by -inf before any arithmetic, shift, and give zeros where nothing is kept.

    Notes
    -----
    Where nothing is kept, the shift is zero instead of -inf and the sum one instead of zero, so that neither the value
    nor the gradient meets ``-inf - -inf`` or ``0 / 0``.
    """
    nothing = ~keep.any(dim=-1, keepdim=True)
    chosen = logits.masked_fill(~keep, float("-inf"))
    shift = chosen.amax(dim=-1, keepdim=True).masked_fill(nothing, 0.0)
    X_exp = (chosen - shift).exp()
    return X_exp / X_exp.sum(dim=-1, keepdim=True).masked_fill(nothing, 1.0)
