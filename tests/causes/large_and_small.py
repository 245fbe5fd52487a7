"""Results beyond the largest number of a format, or below the smallest."""

from typing import Any

import torch
from causes.known import loses
from torch import Tensor


def logits(*row: float, cotangent: Any = None) -> dict[str, Any]:
    """One row of logits."""
    return {"logits": [list(row)], **({} if cotangent is None else {"cotangent": cotangent})}


_FIRST: dict[str, Any] = {"float64": logits(710.0, 0.0), "float32": logits(89.0, 0.0), "bfloat16": logits(89.0, 0.0)}
_FIRST_GRADIENT: dict[str, Any] = {dtype: {**example, "cotangent": [[1.0, 0.0]]} for dtype, example in _FIRST.items()}


@loses("softmax", "value", "overflow exp", float16=logits(12.0, 0.0), **_FIRST)
@loses("softmax", "rows_sum_to_one", "overflow exp", **_FIRST)
@loses("softmax", "finite_on_extreme_logits", "overflow exp", **_FIRST)
@loses("softmax", "gradient", "overflow exp", **_FIRST_GRADIENT)
@loses("softmax", "value", "underflow exp", float32=logits(-110.0, -110.0), float64=logits(-800.0, -801.0))
@loses("softmax", "value", "overflow sum", float32=logits(88.5, 88.5), float16=logits(10.297, 10.492))
@loses("softmax", "gradient", "underflow div", backward=True, float32=logits(52.0, 0.0, cotangent=[[0.0, -1.0]]))
def naive_softmax(x: Tensor) -> Tensor:
    """The definition."""
    exponentials = x.exp()  # here
    return exponentials / exponentials.sum(-1, keepdim=True)


@loses("softmax", "value", "overflow exp", float32=logits(1000.0, 0.0), float64=logits(3000.0, 0.0))
@loses("softmax", "shift_invariant", "overflow exp", float32=logits(100.0, 0.0))
def softmax_on_one_line(x: Tensor) -> Tensor:
    """The definition, with two exponentials."""
    return x.exp() / x.exp().sum(-1, keepdim=True)  # here


@loses("softmax", "value", "overflow exp2", float32=logits(100.0, 0.0), float64=logits(720.0, 0.0))
def softmax_to_the_base_two(x: Tensor) -> Tensor:
    """Powers of two, unshifted."""
    powers = torch.exp2(x * 1.4426950408889634)  # here
    return powers / powers.sum(-1, keepdim=True)


@loses("softmax", "value", "overflow exp", float32=logits(200.0, 0.0, 0.0, 0.0))
def softmax_shifted_by_the_mean(x: Tensor) -> Tensor:
    """The mean is no bound."""
    shifted = x - x.mean(-1, keepdim=True)
    exponentials = torch.exp(shifted)  # here
    return exponentials / exponentials.sum(-1, keepdim=True)


@loses("softmax", "value", "overflow mul", float16=logits(300.0, 299.0))
def softmax_of_scaled_scores(x: Tensor) -> Tensor:
    """Scores that are scaled up first."""
    scores = x * 256.0  # here
    return (scores / 256.0).softmax(-1)


@loses("softmax", "value_on_long_rows", "overflow sum", float16={"logits": [[0.0] * 66000]})
def softmax_with_a_narrow_sum(x: Tensor) -> Tensor:
    """The sum is stored in the format."""
    exponentials = (x - x.amax(-1, keepdim=True)).exp()
    total = exponentials.sum(-1, keepdim=True)  # here
    return exponentials / total


@loses("log_softmax", "value", "underflow exp", float32=logits(0.0, 120.0), float64=logits(0.0, 800.0))
def log_of_a_shifted_softmax(x: Tensor) -> Tensor:
    """Takes the logarithm of an underflowed number."""
    exponentials = (x - x.amax(-1, keepdim=True)).exp()  # here
    return (exponentials / exponentials.sum(-1, keepdim=True)).log()


@loses("log_softmax", "value", "underflow softmax", float32=logits(0.0, 120.0), float16=logits(0.0, 20.0))
@loses("log_softmax", "finite_on_extreme_logits", "underflow softmax", float64=logits(0.0, 800.0))
@loses("log_softmax", "gradient", "underflow softmax", float32={"logits": [[0.0, 120.0]], "cotangent": [[1.0, 0.0]]})
def log_of_torch_softmax(x: Tensor) -> Tensor:
    """Takes the logarithm of torch's softmax."""
    p = torch.softmax(x, dim=-1)  # here
    return p.log()


@loses("logsumexp", "value", "overflow exp", float32=logits(89.0, 3.0), float16=logits(12.0), float64=logits(710.0))
@loses("logsumexp", "value", "underflow exp", float32=logits(-110.0, -110.0), float64=logits(-800.0))
def unshifted_logsumexp(x: Tensor) -> Tensor:
    """The definition."""
    return x.exp().sum(-1).log()  # here


@loses("cross_entropy", "value", "underflow softmax", float32={"logits": [[[0.0, 120.0]]], "labels": [[0]]})
def cross_entropy_by_indexing(x: Tensor, y: Tensor) -> Tensor:
    """The chapter's form."""
    p = x.softmax(-1)  # here
    return -torch.log(p[torch.arange(len(y)), y]).mean()


@loses("cross_entropy", "value", "overflow exp", float32={"logits": [[[90.0, 0.0]]], "labels": [[0]]})
@loses("cross_entropy", "gradient", "overflow exp", float64={"logits": [[[720.0, 0.0]]], "labels": [[0]]})
def unshifted_cross_entropy(x: Tensor, y: Tensor) -> Tensor:
    """A logarithm of a sum of exponentials."""
    normaliser = torch.log(torch.sum(torch.exp(x), dim=1))  # here
    return (normaliser - x.gather(1, y[:, None])[:, 0]).mean()


@loses("sigmoid", "value", "overflow exp", float32={"x": [-89.0]}, float64={"x": [-715.0]})
def sigmoid_by_definition(x: Tensor) -> Tensor:
    """The definition, which is right except for the far left tail."""
    return 1 / (1 + torch.exp(-x))  # here


@loses("sigmoid", "value", "overflow exp", float32={"x": [89.0]}, float16={"x": [12.0]}, float64={"x": [710.0]})
def sigmoid_by_exponentials(x: Tensor) -> Tensor:
    """An infinity over an infinity."""
    e = x.exp()  # here
    return e / (1 + e)


@loses("softplus", "value", "overflow exp", float32={"x": [100.0]}, float64={"x": [710.0]})
def softplus_by_definition(x: Tensor) -> Tensor:
    """log(1 + exp(x))."""
    return torch.log1p(x.exp())  # here


@loses("logsigmoid", "value", "underflow sigmoid", float32={"x": [-120.0]}, float64={"x": [-800.0]})
def log_of_torch_sigmoid(x: Tensor) -> Tensor:
    """Takes the logarithm of an underflowed number."""
    return torch.log(torch.sigmoid(x))  # here


@loses("logaddexp", "value", "overflow exp", float32={"a": [90.0], "b": [1.0]})
@loses("logaddexp", "value", "underflow exp", float64={"a": [-800.0], "b": [-800.0]})
def logaddexp_by_definition(a: Tensor, b: Tensor) -> Tensor:
    """The logarithm of two exponentials."""
    return (a.exp() + b.exp()).log()  # here


@loses("rms_norm", "value", "overflow pow", float32={"x": [[1e20, 2e20]]}, float16={"x": [[300.0, 301.0]]})
@loses("rms_norm", "value", "overflow pow", float64={"x": [[1e200, 2e200]]})
def rms_norm_by_squares(x: Tensor) -> Tensor:
    """The square overflows at the root of the largest number."""
    squares = x**2  # here
    return x / (squares.mean(-1, keepdim=True) + 1e-5).sqrt()


@loses("rms_norm", "zeros_stay", "underflow add", declares={"eps": 1e-8}, float16={"x": [[0.0, 0.0]]})
def rms_norm_with_a_tiny_eps(x: Tensor) -> Tensor:
    """An eps that is zero in float16."""
    mean_square = (x * x).mean(-1, keepdim=True) + 1e-8  # here
    return x / mean_square.sqrt()


@loses("layer_norm", "value", "overflow sum", float16={"x": [[40.0, -40.0] * 32]})
def layer_norm_by_sums(x: Tensor) -> Tensor:
    """The sum of squares is beyond float16, their mean is not."""
    d = x.shape[-1]
    centred = x - x.sum(-1, keepdim=True) / d
    total = (centred * centred).sum(-1, keepdim=True)  # here
    return centred / (total / d + 1e-5).sqrt()


@loses(
    "gaussian_nll",
    "value",
    "overflow pow",
    float32={"mean": [[0.0]], "target": [[1e25]], "variance": [[1e20]]},
)
def gaussian_nll_by_squares(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Squares before the division."""
    square = (target - mean) ** 2  # here
    return 0.5 * (torch.log(2 * torch.pi * variance) + square / variance).mean()


@loses(
    "squared_error",
    "value",
    "overflow sum",
    float16={"prediction": [[200.0, 200.0, 200.0]], "target": [[0.0, 0.0, 0.0]]},
)
def squared_error_by_sum(y_hat: Tensor, y: Tensor) -> Tensor:
    """The sum is beyond float16, the mean is not."""
    squares = (y_hat - y) ** 2
    return squares.sum() / len(y)  # here


@loses(
    "layer_norm",
    "value",
    "underflow add",
    float16={"x": [[float.fromhex("0x1.004p-12"), float.fromhex("0x1.fe4p-14")]]},
)
def layer_norm_with_a_subnormal_eps(x: Tensor) -> Tensor:
    """The eps of float32 has three digits in float16, and the variance has none."""
    centred = x - x.mean(-1, keepdim=True)
    return centred / torch.sqrt(x.var(-1, keepdim=True, unbiased=False) + 1e-5)  # here
