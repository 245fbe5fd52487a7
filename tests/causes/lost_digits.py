"""Rounding errors: cancellation, absorption, and long sums."""

import torch
from causes.known import loses
from torch import Tensor


@loses("softmax", "value", "cancellation sub", float32={"logits": [[1000.0, 1000.5]]})
@loses(
    "softmax", "value", "cancellation sub", float64={"logits": [[1e6, 1e6 + 1]]}, float16={"logits": [[500.0, 500.5]]}
)
def softmax_without_a_division(x: Tensor) -> Tensor:
    """A logarithm as large as the logits is subtracted."""
    return torch.exp(x - torch.logsumexp(x, dim=-1, keepdim=True))  # here


@loses("log_softmax", "dominating_class_not_lost", "cancellation log", float32={"logits": [[0.0, 20.0]]})
@loses("log_softmax", "dominating_class_not_lost", "cancellation log", float64={"logits": [[0.0, 40.0]]})
def log_of_a_dominating_class(x: Tensor) -> Tensor:
    """Takes the logarithm of a number that was rounded to 1."""
    p = x.softmax(-1)
    return p.log()  # here


@loses("log_softmax", "dominating_class_not_lost", "absorption sum", float32={"logits": [[0.0, 20.0]]})
@loses("log_softmax", "dominating_class_not_lost", "absorption sum", float64={"logits": [[0.0, 40.0]]})
def shifted_log_softmax(x: Tensor) -> Tensor:
    """One plus a small exponential."""
    shifted = x - x.amax(-1, keepdim=True)
    total = shifted.exp().sum(-1, keepdim=True)  # here
    return shifted - total.log()


@loses("logsumexp", "excess_not_lost", "absorption sum", float32={"logits": [[0.0, -20.0]]})
@loses("logsumexp", "excess_not_lost", "absorption sum", float64={"logits": [[0.0, -40.0]]})
def shifted_logsumexp(x: Tensor) -> Tensor:
    """One plus a small exponential."""
    largest = x.amax(-1, keepdim=True)
    total = (x - largest).exp().sum(-1)  # here
    return largest[..., 0] + total.log()


@loses("logsumexp", "at_least_the_maximum", "cancellation log", float32={"logits": [[-3e-8]]})
def logsumexp_of_a_single_number(x: Tensor) -> Tensor:
    """The sum has one term and loses nothing; its exponential was rounded to a number near 1."""
    total = x.exp().sum(-1)
    return total.log()  # here


@loses("softplus", "tail_not_lost", "absorption add", float32={"x": [-20.0]}, float64={"x": [-40.0]})
@loses("softplus", "value", "absorption add", float32={"x": [-10.0]}, bfloat16={"x": [-4.0]}, float64={"x": [-20.0]})
def softplus_of_one_plus(x: Tensor) -> Tensor:
    """Adds one to a tiny number under a logarithm."""
    return torch.log(1 + x.exp())  # here


@loses("logsigmoid", "tail_not_lost", "absorption add", float32={"x": [20.0]}, float64={"x": [40.0]})
def logsigmoid_of_one_plus(x: Tensor) -> Tensor:
    """Adds one to a tiny number under a logarithm."""
    grown = 1.0 + torch.exp(-x)  # here
    return -grown.log()


@loses("logsigmoid", "value", "cancellation log", float32={"x": [10.0]}, float16={"x": [5.0]}, float64={"x": [20.0]})
def log_of_a_saturated_sigmoid(x: Tensor) -> Tensor:
    """Takes the logarithm of a rounded number near 1."""
    return x.sigmoid().log()  # here


@loses(
    "logaddexp",
    "digits_not_lost",
    "absorption add",
    float32={"a": [0.0], "b": [-20.0]},
    float64={"a": [0.0], "b": [-40.0]},
)
def shifted_logaddexp(a: Tensor, b: Tensor) -> Tensor:
    """One plus a small exponential."""
    ratio = (-(a - b).abs()).exp()
    return torch.maximum(a, b) + (1 + ratio).log()  # here


@loses("sigmoid", "value", "cancellation add", float32={"x": [-10.0]}, float64={"x": [-20.0]}, bfloat16={"x": [-6.0]})
def sigmoid_by_tanh(x: Tensor) -> Tensor:
    """Adds one to a number near minus one."""
    t = torch.tanh(x / 2)
    return (t + 1) / 2  # here


@loses(
    "binary_cross_entropy_with_logits",
    "value",
    "cancellation sub",
    float32={"logits": [[20.0]], "targets": [[0.0]]},
    float64={"logits": [[40.0]], "targets": [[0.0]]},
)
@loses(
    "binary_cross_entropy_with_logits",
    "value",
    "cancellation sub",
    float32={"logits": [[10.0]], "targets": [[0.0]]},
)
def bce_of_one_minus(x: Tensor, y: Tensor) -> Tensor:
    """One minus a saturated sigmoid."""
    p = torch.sigmoid(x)
    rest = 1 - p  # here
    return torch.where(y > 0.5, -p.log(), -rest.log()).mean()


@loses("variance", "value", "cancellation sub", float32={"x": [[4099.3, 4100.7, 4103.1]]})
@loses("variance", "digits_kept_at_an_offset", "cancellation sub", float32={"x": [[10000.0, 10003.0]]})
@loses(
    "variance", "value", "cancellation sub", float64={"x": [[1e8, 1e8 + 1.5, 1e8 + 7]]}, float16={"x": [[100.0, 103.0]]}
)
def variance_by_moments(x: Tensor) -> Tensor:
    """The mean square less the square of the mean."""
    mean = x.mean(-1)
    mean_square = (x * x).mean(-1)
    return mean_square - mean * mean  # here


@loses("layer_norm", "value", "cancellation sub", float32={"x": [[1000.0, 1001.0, 1003.0]]})
@loses("layer_norm", "shift_invariant", "cancellation sub", float32={"x": [[4096.0, 4097.0, 4099.0]]})
def layer_norm_by_moments(x: Tensor) -> Tensor:
    """The mean square less the square of the mean, under a root."""
    mean = x.mean(-1, keepdim=True)
    variance = (x**2).mean(-1, keepdim=True) - mean**2  # here
    return (x - mean) / torch.sqrt(variance + 1e-5)


@loses(
    "squared_error",
    "value",
    "cancellation add",
    float32={"prediction": [[1000.3]], "target": [[1001.1]]},
    float64={"prediction": [[1e8 + 0.3]], "target": [[1e8 + 1.1]]},
)
def expanded_square(y_hat: Tensor, y: Tensor) -> Tensor:
    """a^2 - 2ab + b^2."""
    return ((y_hat * y_hat - 2 * y_hat * y) + y * y).mean()  # here


@loses(
    "linear",
    "value",
    "accumulation add",
    bfloat16={"X": [[1.0] * 300], "weight": [[1.0] * 300], "bias": [0.0]},
)
def linear_by_a_narrow_loop(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A running sum in the format itself."""
    Y = torch.zeros_like(X[:, :1] * weight[:, 0])
    for j in range(X.shape[1]):
        Y = Y + X[:, j : j + 1] * weight[:, j]  # here
    return Y + bias


@loses("softmax", "value_on_long_rows", "accumulation add", bfloat16={"logits": [[0.0] * 300]})
def softmax_by_a_narrow_loop(x: Tensor) -> Tensor:
    """A running sum that stalls at 256."""
    exponentials = (x - x.amax(-1, keepdim=True)).exp()
    total = torch.zeros_like(exponentials[:, 0])
    for column in exponentials.unbind(-1):
        total += column  # here
    return exponentials / total[:, None]


@loses(
    "sgd_with_momentum",
    "updates_accumulate",
    "accumulation sub",
    bfloat16={
        "parameter": [1.0],
        "gradients": [[1.0]] * 6,
        "lr": 2.0**-10,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "nesterov": False,
    },
)
def updates_below_half_an_ulp(
    parameter: Tensor, gradients: Tensor, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> Tensor:
    """A parameter kept in 16 bits."""
    velocity = torch.zeros_like(parameter)
    for gradient in gradients:
        velocity = momentum * velocity + gradient + weight_decay * parameter
        step = gradient + momentum * velocity if nesterov else velocity
        parameter = parameter - lr * step  # here
    return parameter
