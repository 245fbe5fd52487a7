"""Deliberately wrong implementations of the sigmoid, its logarithm and the softplus."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from controls import logistic as sound
from corpus.specimen import loses, mutant, reported
from torch import Tensor

# The sigmoid


@mutant("sigmoid", "value", "gradient_at_infinity")
@loses("sigmoid", "value", "overflow exp", float32={"x": [-89.0]}, float64={"x": [-715.0]})
def one_over_infinity(x: Tensor) -> Tensor:
    """The subnormal results are lost."""
    return 1 / (1 + torch.exp(-x))  # here


@mutant("sigmoid", "tail_not_lost")
@loses("sigmoid", "value", "cancellation add", float32={"x": [-10.0]}, float64={"x": [-20.0]}, bfloat16={"x": [-6.0]})
def half_a_tanh(x: Tensor) -> Tensor:
    """A subtraction loses the tail of negative arguments."""
    t = torch.tanh(x / 2)
    return (t + 1) / 2  # here


@mutant("sigmoid", "finite_on_extreme_inputs")
@loses("sigmoid", "value", "overflow exp", float32={"x": [89.0]}, float16={"x": [12.0]}, float64={"x": [710.0]})
def quotient_of_exponentials(x: Tensor) -> Tensor:
    """Infinity over infinity."""
    e = x.exp()  # here
    return e / (1 + e)


@mutant("sigmoid", "monotone")
def falls_again(x: Tensor) -> Tensor:
    """The wrong tail of a polynomial beyond its interval."""
    return torch.where(x > 8, 1 - 0.0625 * (x - 8).clamp(max=8), sound.sigmoid(x))


@mutant("sigmoid", "in_unit_interval")
def above_one(x: Tensor) -> Tensor:
    """A correction that nothing clamps."""
    return sound.sigmoid(x) * (1 + torch.finfo(x.dtype).eps)


@mutant("sigmoid", "complements_add_to_one")
def logit_is_shifted(x: Tensor) -> Tensor:
    """An epsilon in the argument."""
    return sound.sigmoid(x + 1e-3)


@mutant("sigmoid", "gradient_not_lost")
def sigmoid_of_its_output(x: Tensor) -> Tensor:
    """Torch saves the output y for the backward pass y (1 - y)."""
    return torch.sigmoid(x)


@mutant("sigmoid", "gradient")
def detached_sigmoid(x: Tensor) -> Tensor:
    """The quotient's denominator is a constant to autograd."""
    z = sound.exp_of_minus_abs(x)
    return torch.where(x < 0, z, 1.0) / (1 + z).detach()


@mutant("sigmoid", "gradient_at_zero")
def sigmoid_of_abs(x: Tensor) -> Tensor:
    """The derivative of |x| at zero is zero."""
    z = (-x.abs()).exp()
    return torch.where(x < 0, z, 1.0) / (1 + z)


@mutant("sigmoid", "limits_at_infinity")
def infinity_is_a_number(x: Tensor) -> Tensor:
    """-inf is taken for -20, as after a careless nan_to_num."""
    return sound.sigmoid(torch.where(x.isneginf(), -20.0, x))


@mutant("sigmoid", "digits_not_lost")
def through_the_logarithm(x: Tensor) -> Tensor:
    """The rounding error of the logarithm grows with |x|, and becomes a relative one."""
    return sound.logsigmoid(x).exp()


@mutant("sigmoid", "gradient_digits_not_lost")
def sigmoid_of_powers_of_two(x: Tensor) -> Tensor:
    """The logarithm is scaled to base two, which rounds it once more wherever it is large."""
    return torch.exp2(sound.logsigmoid(x) * math.log2(math.e))


@mutant("sigmoid", "value_on_extreme_numbers")
def sigmoid_of_a_scaled_argument(x: Tensor) -> Tensor:
    """The scale of the argument is its largest element, which overflows when it is squared."""
    scale = (x * x).sqrt()
    return sound.sigmoid(torch.where(x == 0, x, x / scale * scale))


# The softplus


@mutant("softplus", "tail_not_lost", "finite_on_extreme_inputs", "gradient_at_infinity")
@loses("softplus", "tail_not_lost", "absorption add", float32={"x": [-20.0]}, float64={"x": [-40.0]})
@loses("softplus", "value", "absorption add", float32={"x": [-10.0]}, bfloat16={"x": [-4.0]}, float64={"x": [-20.0]})
@reported("softplus", "value", "exp overflows")
@reported("softplus", "tail_not_lost", "log1p")
def log_of_one_plus(x: Tensor) -> Tensor:
    """Overflows, and is zero in the tail."""
    return torch.log(1 + x.exp())  # here


@mutant("softplus", "at_least_relu")
def clipped_softplus(x: Tensor) -> Tensor:
    """The exponent is clipped instead of split."""
    return x.clamp(max=50.0).exp().log1p()


@mutant("softplus", "value", "difference_is_argument")
def softplus_above_a_threshold(x: Tensor) -> Tensor:
    """Returns x from 8, where exp(-8) still counts: a step down."""
    return torch.where(x > 8, x, sound.softplus(x))


@mutant("softplus", "monotone")
def softplus_drops(x: Tensor) -> Tensor:
    """The branches of a threshold are of different functions: half of x above it."""
    return torch.where(x > 8, 0.5 * x, sound.softplus(x))


@mutant("softplus", "gradient")
def slope_above_a_threshold(x: Tensor) -> Tensor:
    """The right value with the derivative one above the threshold."""
    value = sound.softplus(x)
    return torch.where(x > 5, x + (value - x).detach(), value)


@mutant("softplus", "gradient_at_zero")
def softplus_of_relu(x: Tensor) -> Tensor:
    """The derivatives of max(x, 0) and |x| at zero are zero."""
    return F.relu(x) + (-x.abs()).exp().log1p()


@mutant("softplus", "limits_at_infinity")
def softplus_by_difference(x: Tensor) -> Tensor:
    """Inf - inf."""
    return sound.softplus(-x) + x if x.isinf().any() else sound.softplus(x)


# The logarithm of the sigmoid


@mutant("logsigmoid", "value", "tail_not_lost", "finite_on_extreme_inputs", "difference_is_argument")
def log_of_sigmoid(x: Tensor) -> Tensor:
    """Zero where the sigmoid rounds to one, -inf where it underflows."""
    return sound.sigmoid(x).log()


@mutant("logsigmoid", "at_most_argument")
def log_with_epsilon(x: Tensor) -> Tensor:
    """A floor of -18.4."""
    return (sound.sigmoid(x) + 1e-8).log()


@mutant("logsigmoid", "monotone")
def logsigmoid_rises(x: Tensor) -> Tensor:
    """The branches of a threshold are of different functions."""
    return torch.where(x < -8, 0.5 * x, sound.logsigmoid(x))


@mutant("logsigmoid", "gradient")
def steep_logsigmoid(x: Tensor) -> Tensor:
    """The right value with the derivative one below a threshold."""
    value = sound.logsigmoid(x)
    return torch.where(x < -5, x + (value - x).detach(), value)


@mutant("logsigmoid", "gradient_at_zero")
def logsigmoid_of_abs(x: Tensor) -> Tensor:
    """The derivatives of min(x, 0) and |x| at zero do not add up to one half."""
    return x.clamp(max=0) - (-x.abs()).exp().log1p()


@mutant("logsigmoid", "limits_at_infinity")
def logsigmoid_by_difference(x: Tensor) -> Tensor:
    """Inf - inf."""
    return sound.logsigmoid(-x) + x if x.isinf().any() else sound.logsigmoid(x)


@mutant("logsigmoid", "gradient_at_infinity")
def gradient_of_log(x: Tensor) -> Tensor:
    """A quotient of two zeros, or of two infinities, in the backward pass."""
    return -log_of_one_plus(-x)


def _largest_is_infinite(sound: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def doubled_and_halved(x: Tensor) -> Tensor:
        return sound((x + x) / 2)

    return doubled_and_halved


mutant("softplus", "value_on_extreme_numbers")(_largest_is_infinite(sound.softplus))
mutant("logsigmoid", "value_on_extreme_numbers")(_largest_is_infinite(sound.logsigmoid))


@loses("softplus", "value", "overflow exp", float32={"x": [100.0]}, float64={"x": [710.0]})
def softplus_by_definition(x: Tensor) -> Tensor:
    """log(1 + exp(x))."""
    return torch.log1p(x.exp())  # here


@loses("logsigmoid", "value", "cancellation log", float32={"x": [10.0]}, float16={"x": [5.0]}, float64={"x": [20.0]})
@loses("logsigmoid", "value", "underflow sigmoid", float32={"x": [-120.0]}, float64={"x": [-800.0]})
def log_of_torch_sigmoid(x: Tensor) -> Tensor:
    """Takes the logarithm of an underflowed number."""
    return torch.log(torch.sigmoid(x))  # here


@loses("logsigmoid", "tail_not_lost", "absorption add", float32={"x": [20.0]}, float64={"x": [40.0]})
def logsigmoid_of_one_plus(x: Tensor) -> Tensor:
    """Adds one to a tiny number under a logarithm."""
    grown = 1.0 + torch.exp(-x)  # here
    return -grown.log()


@loses("softplus", "gradient", "overflow exp", float32={"x": [-100.0], "cotangent": [1.0]})
@loses("softplus", "gradient", "overflow exp", float64={"x": [-720.0], "cotangent": [1.0]})
def softplus_by_where(x: Tensor) -> Tensor:
    """The branch that is not taken overflows, and its gradient is zero times infinity."""
    above = x + torch.log1p(torch.exp(-x))  # here
    return torch.where(x > 0, above, torch.log1p(torch.exp(x.clamp(max=0))))


@loses("softplus", "gradient_at_zero", "invalid sqrt", backward=True, float32={"x": [0.0], "cotangent": [1.0]})
@loses("softplus", "gradient_at_zero", "invalid sqrt", backward=True, float64={"x": [0.0], "cotangent": [1.0]})
def softplus_by_a_root(x: Tensor) -> Tensor:
    """The absolute value as the root of a square."""
    size = torch.sqrt(x * x)  # here
    return (x + size) / 2 + torch.log1p(torch.exp(-size))


@loses(
    "sigmoid", "gradient_not_lost", "underflow reciprocal", backward=True, float32={"x": [-60.0], "cotangent": [1.0]}
)
def sigmoid_by_a_reciprocal(x: Tensor) -> Tensor:
    """The backward pass squares a small number, which is one since the exponential is large."""
    return torch.reciprocal(1 + torch.exp(-x))  # here
