"""Deliberately wrong implementations of the sigmoid, its logarithm and the softplus."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from controls import logistic as sound
from mutants.mutant import Mutant
from torch import Tensor

# The sigmoid


def one_over_infinity(x: Tensor) -> Tensor:
    """The subnormal results are lost."""
    return 1 / (1 + (-x).exp())


def half_a_tanh(x: Tensor) -> Tensor:
    """A subtraction loses the tail of negative arguments."""
    return 0.5 * (1 + torch.tanh(0.5 * x))


def quotient_of_exponentials(x: Tensor) -> Tensor:
    """Infinity over infinity."""
    return x.exp() / (1 + x.exp())


def falls_again(x: Tensor) -> Tensor:
    """The wrong tail of a polynomial beyond its interval."""
    return torch.where(x > 8, 1 - 0.0625 * (x - 8).clamp(max=8), sound.sigmoid(x))


def above_one(x: Tensor) -> Tensor:
    """A correction that nothing clamps."""
    return sound.sigmoid(x) * (1 + torch.finfo(x.dtype).eps)


def logit_is_shifted(x: Tensor) -> Tensor:
    """An epsilon in the argument."""
    return sound.sigmoid(x + 1e-3)


def sigmoid_of_its_output(x: Tensor) -> Tensor:
    """Torch saves the output y for the backward pass y (1 - y)."""
    return torch.sigmoid(x)


def detached_sigmoid(x: Tensor) -> Tensor:
    """The quotient's denominator is a constant to autograd."""
    z = sound.exp_of_minus_abs(x)
    return torch.where(x < 0, z, 1.0) / (1 + z).detach()


def sigmoid_of_abs(x: Tensor) -> Tensor:
    """The derivative of |x| at zero is zero."""
    z = (-x.abs()).exp()
    return torch.where(x < 0, z, 1.0) / (1 + z)


def infinity_is_a_number(x: Tensor) -> Tensor:
    """-inf is taken for -20, as after a careless nan_to_num."""
    return sound.sigmoid(torch.where(x.isneginf(), -20.0, x))


def through_the_logarithm(x: Tensor) -> Tensor:
    """The rounding error of the logarithm grows with |x|, and becomes a relative one."""
    return sound.logsigmoid(x).exp()


def sigmoid_of_powers_of_two(x: Tensor) -> Tensor:
    """The logarithm is scaled to base two, which rounds it once more wherever it is large."""
    return torch.exp2(sound.logsigmoid(x) * math.log2(math.e))


def sigmoid_of_a_scaled_argument(x: Tensor) -> Tensor:
    """The scale of the argument is its largest element, which overflows when it is squared."""
    scale = (x * x).sqrt()
    return sound.sigmoid(torch.where(x == 0, x, x / scale * scale))


# The softplus


def log_of_one_plus(x: Tensor) -> Tensor:
    """Overflows, and is zero in the tail."""
    return (1 + x.exp()).log()


def clipped_softplus(x: Tensor) -> Tensor:
    """The exponent is clipped instead of split."""
    return x.clamp(max=50.0).exp().log1p()


def softplus_above_a_threshold(x: Tensor) -> Tensor:
    """Returns x from 8, where exp(-8) still counts: a step down."""
    return torch.where(x > 8, x, sound.softplus(x))


def softplus_drops(x: Tensor) -> Tensor:
    """The branches of a threshold are of different functions: half of x above it."""
    return torch.where(x > 8, 0.5 * x, sound.softplus(x))


def slope_above_a_threshold(x: Tensor) -> Tensor:
    """The right value with the derivative one above the threshold."""
    value = sound.softplus(x)
    return torch.where(x > 5, x + (value - x).detach(), value)


def softplus_of_relu(x: Tensor) -> Tensor:
    """The derivatives of max(x, 0) and |x| at zero are zero."""
    return F.relu(x) + (-x.abs()).exp().log1p()


def softplus_by_difference(x: Tensor) -> Tensor:
    """Inf - inf."""
    return sound.softplus(-x) + x if x.isinf().any() else sound.softplus(x)


# The logarithm of the sigmoid


def log_of_sigmoid(x: Tensor) -> Tensor:
    """Zero where the sigmoid rounds to one, -inf where it underflows."""
    return sound.sigmoid(x).log()


def log_with_epsilon(x: Tensor) -> Tensor:
    """A floor of -18.4."""
    return (sound.sigmoid(x) + 1e-8).log()


def logsigmoid_rises(x: Tensor) -> Tensor:
    """The branches of a threshold are of different functions."""
    return torch.where(x < -8, 0.5 * x, sound.logsigmoid(x))


def steep_logsigmoid(x: Tensor) -> Tensor:
    """The right value with the derivative one below a threshold."""
    value = sound.logsigmoid(x)
    return torch.where(x < -5, x + (value - x).detach(), value)


def logsigmoid_of_abs(x: Tensor) -> Tensor:
    """The derivatives of min(x, 0) and |x| at zero do not add up to one half."""
    return x.clamp(max=0) - (-x.abs()).exp().log1p()


def logsigmoid_by_difference(x: Tensor) -> Tensor:
    """Inf - inf."""
    return sound.logsigmoid(-x) + x if x.isinf().any() else sound.logsigmoid(x)


def gradient_of_log(x: Tensor) -> Tensor:
    """A quotient of two zeros, or of two infinities, in the backward pass."""
    return -log_of_one_plus(-x)


def _largest_is_infinite(sound: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def doubled_and_halved(x: Tensor) -> Tensor:
        return sound((x + x) / 2)

    return doubled_and_halved


MUTANTS = [
    Mutant(one_over_infinity, "sigmoid", "value"),
    Mutant(half_a_tanh, "sigmoid", "tail_not_lost"),
    Mutant(quotient_of_exponentials, "sigmoid", "finite_on_extreme_inputs"),
    Mutant(falls_again, "sigmoid", "monotone"),
    Mutant(above_one, "sigmoid", "in_unit_interval"),
    Mutant(logit_is_shifted, "sigmoid", "complements_add_to_one"),
    Mutant(through_the_logarithm, "sigmoid", "digits_not_lost"),
    Mutant(sigmoid_of_its_output, "sigmoid", "gradient_not_lost"),
    Mutant(sigmoid_of_powers_of_two, "sigmoid", "gradient_digits_not_lost"),
    Mutant(detached_sigmoid, "sigmoid", "gradient"),
    Mutant(sigmoid_of_abs, "sigmoid", "gradient_at_zero"),
    Mutant(one_over_infinity, "sigmoid", "gradient_at_infinity"),
    Mutant(infinity_is_a_number, "sigmoid", "limits_at_infinity"),
    Mutant(sigmoid_of_a_scaled_argument, "sigmoid", "value_on_extreme_numbers"),
    Mutant(softplus_above_a_threshold, "softplus", "value"),
    Mutant(log_of_one_plus, "softplus", "tail_not_lost"),
    Mutant(log_of_one_plus, "softplus", "finite_on_extreme_inputs"),
    Mutant(softplus_drops, "softplus", "monotone"),
    Mutant(clipped_softplus, "softplus", "at_least_relu"),
    Mutant(softplus_above_a_threshold, "softplus", "difference_is_argument"),
    Mutant(slope_above_a_threshold, "softplus", "gradient"),
    Mutant(softplus_of_relu, "softplus", "gradient_at_zero"),
    Mutant(log_of_one_plus, "softplus", "gradient_at_infinity"),
    Mutant(softplus_by_difference, "softplus", "limits_at_infinity"),
    Mutant(_largest_is_infinite(sound.softplus), "softplus", "value_on_extreme_numbers"),
    Mutant(log_of_sigmoid, "logsigmoid", "value"),
    Mutant(log_of_sigmoid, "logsigmoid", "tail_not_lost"),
    Mutant(log_of_sigmoid, "logsigmoid", "finite_on_extreme_inputs"),
    Mutant(logsigmoid_rises, "logsigmoid", "monotone"),
    Mutant(log_with_epsilon, "logsigmoid", "at_most_argument"),
    Mutant(log_of_sigmoid, "logsigmoid", "difference_is_argument"),
    Mutant(steep_logsigmoid, "logsigmoid", "gradient"),
    Mutant(logsigmoid_of_abs, "logsigmoid", "gradient_at_zero"),
    Mutant(gradient_of_log, "logsigmoid", "gradient_at_infinity"),
    Mutant(logsigmoid_by_difference, "logsigmoid", "limits_at_infinity"),
    Mutant(_largest_is_infinite(sound.logsigmoid), "logsigmoid", "value_on_extreme_numbers"),
]
