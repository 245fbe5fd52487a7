"""Sound implementations of the divergence, and inputs of its oracles."""

from typing import Any

import torch
from controls.control import Control, correctly_rounded, format_of
from samples.tensors import tensor
from torch import Tensor

from harness.contracts.kl_divergence import gradient_in_log_q_oracle, gradient_in_p_oracle, value_oracle


class RoundedDivergence(torch.autograd.Function):
    """The exact value rounded once, and both gradients likewise."""

    @staticmethod
    def forward(ctx: Any, log_q: Tensor, p: Tensor) -> Tensor:
        """Round the value."""
        ctx.inputs = log_q, p
        return correctly_rounded(value_oracle, (log_q, p), format_of((log_q,)))

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> Any:
        """Round the requested gradients."""
        log_q, p = ctx.inputs
        asked = (
            (gradient_in_log_q_oracle, (log_q, p, cotangent)),
            (gradient_in_p_oracle, (log_q, p, cotangent)),
        )
        return tuple(
            correctly_rounded(oracle, inputs, format_of((p,))) if needed else None
            for (oracle, inputs), needed in zip(asked, ctx.needs_input_grad, strict=True)
        )


def rounded_divergence(log_q: Tensor, p: Tensor) -> Tensor:
    """The autograd function as a plain one."""
    return RoundedDivergence.apply(log_q, p)


def stable_divergence(log_q: Tensor, p: Tensor) -> Tensor:
    """Sum ``p (ln p - log_q)`` over the classes with ``p > 0``, in float32 at least."""
    wide_q, wide_p = (x if x.itemsize >= 4 else x.float() for x in (log_q, p))
    possible = wide_p > 0
    safe_q, safe_p = wide_q.where(possible, 0.0), wide_p.where(possible, 1.0)
    return (safe_p * (safe_p.log() - safe_q)).sum(-1).to(log_q.dtype)


CONTROLS = [Control("kl_divergence", rounded_divergence, stable_divergence)]

_P = tensor(3, 5).softmax(-1)
_LOG_Q = tensor(3, 5, scale=20.0, seed=4).log_softmax(-1)

ORACLES = {
    "value_oracle": (_LOG_Q, _P),
    "gradient_in_log_q_oracle": (_LOG_Q, _P, tensor(3)),
    "gradient_in_p_oracle": (_LOG_Q, _P, tensor(3)),
    "gibbs_oracle": (tensor(3, 5, scale=20.0, seed=4), _P),
}
