"""Sound implementations of the divergence of two vectors of probabilities, and inputs of its oracles."""

from controls.control import Control, rounded
from samples.tensors import tensor
from torch import Tensor

from harness.contracts.kl_divergence_of_probabilities import gradient_in_p_oracle, gradient_in_q_oracle, value_oracle


def stable_divergence(p: Tensor, q: Tensor) -> Tensor:
    """Sum ``p (ln p - ln q)`` over the classes but those with ``p = 0``, in float32 at least."""
    wide_p, wide_q = (x if x.itemsize >= 4 else x.float() for x in (p, q))
    possible = wide_p != 0
    safe_p, safe_q = wide_p.where(possible, 1.0), wide_q.where(possible, 1.0)
    return (safe_p * (safe_p.log() - safe_q.log())).where(possible, 0.0).sum(-1).to(p.dtype)


CONTROLS = [
    Control(
        "kl_divergence_of_probabilities",
        rounded(
            lambda p, q: value_oracle(p, q, "no"),
            lambda v, p, q: gradient_in_p_oracle(p, q, v, "no"),
            lambda v, p, q: gradient_in_q_oracle(p, q, v, "no"),
        ),
        stable_divergence,
    )
]

_P, _Q = tensor(3, 5).softmax(-1), tensor(3, 5, scale=20.0, seed=4).softmax(-1)

ORACLES = {
    "value_oracle": (_P, _Q, "no"),
    "gradient_in_p_oracle": (_P, _Q, tensor(3), "no"),
    "gradient_in_q_oracle": (_P, _Q, tensor(3), "no"),
}
