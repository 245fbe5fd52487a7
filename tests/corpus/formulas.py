"""Wrong implementations of formulas."""

import torch
from corpus.specimen import loses
from torch import Tensor

LOG_1_MINUS_EXP = "formula(x: positive): log(1 - exp(-x))"


@loses(
    LOG_1_MINUS_EXP,
    "gradient_finite",
    "invalid where",
    backward=True,
    float32={"x": ["0x1p-42"], "cotangent": [-1.0]},
    float64={"x": ["0x1p-340"], "cotangent": [1.0]},
)
def log1mexp_by_where(x: Tensor) -> Tensor:
    """The branch that is not selected is the logarithm of zero, whose slope is infinite."""
    near, far = torch.log(-torch.expm1(-x)), torch.log1p(-torch.exp(-x))
    return torch.where(x <= 0.6931471805599453, near, far)  # here


@loses(
    LOG_1_MINUS_EXP, "gradient_finite", "invalid masked_fill", backward=True, float32={"x": [1e-9], "cotangent": [1.0]}
)
def log1mexp_by_a_mask(x: Tensor) -> Tensor:
    """A mask gives a zero gradient to the logarithm of zero, too."""
    hidden = torch.log1p(-torch.exp(-x)).masked_fill(x <= 0.6931471805599453, 0.0)  # here
    return hidden + torch.where(x <= 0.6931471805599453, torch.log(-torch.expm1(-x)), torch.zeros_like(x))
