r"""Several steps of stochastic gradient descent with momentum and weight decay, from an empty buffer.

.. math:: d_t = g_t + \lambda p_t, \quad b_1 = d_1, \quad b_t = \mu b_{t-1} + d_t, \quad p_{t+1} = p_t - \eta s_t

with :math:`s_t = b_t`, or :math:`s_t = d_t + \mu b_t` for Nesterov momentum. A case may declare decoupled decay: then
:math:`d_t = g_t`, and :math:`p_{t+1} = p_t - \eta \lambda p_t - \eta s_t`.

The bound of the value is a running error bound: it follows the recursion operation by operation in the format, and
carries the error of each number. A number with the error :math:`e` before rounding has the error
:math:`e + u (|x| + e) + \epsilon / 2` after it, with the smallest subnormal :math:`\epsilon`. A product with a
constant :math:`c`, itself rounded to the format, starts from :math:`|c| (e + u_c (|x| + e))`, where :math:`u_c = u`,
or zero in float64, whose constants are not rounded. Thus :math:`u |p_t|` enters once per step, which is the cost of
steps in the format: an update below half an ulp of the parameter is lost completely. Decoupled decay may be a factor
:math:`1 - \eta \lambda`, which is itself rounded, or a part of the update, which has another rounding: :math:`u |p_t|`
and :math:`u \eta (|s_t| + \lambda |p_t|)` are added.

Code that accumulates the updates in a wider format than the parameter, or compensates their sum, has the error
:math:`u |p|` only once. With Kahan's summation in the format itself, the compensated update is rounded once more,
:math:`u (\eta |s_t| + u |p_t|)`, and the content of the last compensation, :math:`u |p_T|`, is lost. This is the bound
of ``updates_accumulate``:

.. math:: u |p_T| + \sum_t \left(e_t + u \eta |s_t|\right) + t u^2 \max_t |p_t|

with the running error :math:`e_t` of :math:`\eta s_t`, relative to the update and not to the parameter. A float32
accumulator for a 16-bit parameter, or a float64 accumulator for a float32 parameter, also satisfies it.

References
----------
I. Sutskever, J. Martens, G. Dahl, G. Hinton (2013), "On the importance of initialization and momentum in deep
learning", ICML. I. Loshchilov, F. Hutter (2019), "Decoupled weight decay regularization", ICLR.
N. J. Higham (2002), *Accuracy and Stability of Numerical Algorithms*, 2nd ed., section 3.3 on running
error analysis and section 4.3 on compensated summation. P. Micikevicius et al. (2018), "Mixed precision training",
ICLR, on a master copy of the weights in float32.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks import usual_laws
from harness.contracts.building_blocks.usual_laws import Exact, within
from harness.floats import FORMATS, Array, DoubleDouble, Format, Measurement, Oracle, compare, dd, to_arb, to_array
from harness.laws import Axes, Contract, Example, Law, Ray, Subject, implementation_laws, law
from harness.laws.strategies import batches, change_inputs, draw_companions, make_inputs, make_tensors

SOURCE = "definition, as torch.optim.SGD documents it; running error bound, Higham (2002), section 3.3"


NESTEROV = True

COUPLED, DECOUPLED = "coupled", "decoupled"
"""Weight decay as a part of the gradient (and of the buffer), or subtracted separately from the step."""


# Oracle


def _descend(
    parameter: Any, gradients: Any, lr: Any, momentum: Any, weight_decay: Any, nesterov: Any, decay: Any = COUPLED
) -> Any:
    """The definition, in the arithmetic of the arguments."""
    buffer = None
    for gradient in gradients:
        decayed = parameter * weight_decay
        direction = gradient if decay == DECOUPLED else decayed + gradient
        buffer = direction if buffer is None else buffer * momentum + direction
        step = buffer * momentum + direction if nesterov else buffer
        parameter = parameter - (step + decayed if decay == DECOUPLED else step) * lr
    return parameter


def _screen(_: dd.Elementary, parameter: Array, gradients: Array, *hyper: Any) -> DoubleDouble:
    learned: DoubleDouble = _descend(dd.lift(parameter), [dd.lift(gradient) for gradient in gradients], *hyper)
    return learned


def _exact(parameter: Any, gradients: Any, *hyper: Any) -> Any:
    return _descend(parameter, gradients, *(to_arb(number)[()] for number in hyper[:3]), *hyper[3:])


def _decay_screen(_: dd.Elementary, parameter: Array, lr: float, decay: float, steps: int) -> DoubleDouble:
    factor, power = 1.0 - dd.two_product(np.asarray(lr), np.asarray(decay)), dd.lift(1.0)
    for _step in range(steps):
        power = power * factor
    return power * parameter


def _decay_exact(parameter: Any, lr: float, decay: float, steps: int) -> Any:
    return parameter * (1 - to_arb(lr)[()] * to_arb(decay)[()]) ** steps


momentum_oracle = Oracle(_screen, _exact)
decay_oracle = Oracle(_decay_screen, _decay_exact)


# Bounds


class _Number(NamedTuple):
    """A number of the recursion, in float64, with its error in the format."""

    size: Array
    error: Array

    def rounded(self, format_: Format) -> "_Number":
        """The number after one rounding."""
        # Half of float64's smallest subnormal is not representable, so use a whole one.
        underflow = max(format_.smallest / 2.0, FORMATS["float64"].smallest)
        grown = self.error + format_.u * (np.abs(self.size) + self.error) + underflow
        return _Number(self.size, grown)

    def times(self, constant: float, format_: Format) -> "_Number":
        """The product with a rounded constant, rounded; a product with zero is exact."""
        u = 0.0 if format_.name == "float64" else format_.u
        error = abs(constant) * (self.error + u * (np.abs(self.size) + self.error))
        product = _Number(self.size * constant, error)
        return product.rounded(format_) if constant else product

    def plus(self, other: "_Number", format_: Format) -> "_Number":
        """The sum, rounded; a sum with an exact zero is exact."""
        total = _Number(self.size + other.size, self.error + other.error)
        return total if not other.size.any() and not other.error.any() else total.rounded(format_)


class _Errors(NamedTuple):
    """Admissible errors of an implementation after the last step."""

    steps: Array
    """Bound if each step is rounded to the format."""

    accumulated: Array
    """Bound if the updates are accumulated in a wider format, or compensated."""


def _errors(parameter: Tensor, gradients: Tensor, *hyper: Any) -> _Errors:
    """Follow the recursion with its running errors; the last two arguments are the exact value and the format."""
    lr, momentum, decay, nesterov, kind_of_decay, _, format_ = hyper
    is_decoupled = kind_of_decay == DECOUPLED
    p, updates, largest = _exactly(to_array(parameter)), np.zeros(parameter.shape), np.abs(to_array(parameter))
    buffer = None
    with np.errstate(invalid="ignore", over="ignore"):
        for gradient in to_array(gradients):
            d = _exactly(gradient)
            d = d if is_decoupled else d.plus(p.times(decay, format_), format_)
            buffer = d if buffer is None else d.plus(buffer.times(momentum, format_), format_)
            step = d.plus(buffer.times(momentum, format_), format_) if nesterov else buffer
            update = step.times(-lr, format_)
            if is_decoupled and decay:
                once_more = format_.u * (np.abs(update.size) + (1.0 + lr * decay) * np.abs(p.size))
                p = p.times(1.0 - lr * decay, format_)
                p = _Number(p.size, p.error + once_more)
            updates = updates + update.error + format_.u * np.abs(update.size)
            p = p.plus(update, format_)
            largest = np.maximum(largest, np.abs(p.size))
        momentum_error = format_.u * np.abs(p.size) + updates + len(gradients) * format_.u**2 * largest
    return _Errors(p.error, momentum_error)


def _exactly(values: Array) -> _Number:
    return _Number(values, np.zeros(values.shape))


def _error(sgd: Subject, *run: Any) -> Array:
    """Admissible error of an implementation that rounds each step."""
    return _errors(*run, sgd.declares["decay"], None, sgd.format).steps


# Laws

RUN = ("parameter", "gradients", "lr", "momentum", "weight_decay", "nesterov")
"""Arguments of an implementation."""

CAUSE = (
    "another recursion is used, such as momentum as an average (1 - mu), a buffer that starts from zero and "
    "decays, weight decay outside the buffer, or nesterov ignored: follow the recursion of the statement"
)

value = usual_laws.value(
    Exact(RUN, momentum_oracle, lambda *run: _errors(*run).steps, ("decay",)),
    "sgd_with_momentum follows the recursion d = g + decay p, b = mu b + d, p = p - lr b (or p - lr (d + mu b)).",
    source=SOURCE,
    bound="the running error bound of the recursion in the format: u |p| per step, plus the error of its products "
    "and sums",
    cause=CAUSE,
)


@law(
    "Without weight decay, gradients of zero leave the parameter unchanged, bit for bit.",
    source="p - lr * 0 = p",
    cause="the decay is always on, noise is added, or the parameter is rounded through another dtype: update it in "
    "its own dtype, without decay",
    reads=RUN,
)
def zero_gradients_change_nothing(sgd: Subject, **run: Any) -> Measurement:
    """Compare with the parameter itself."""
    resting = {**run, "gradients": torch.zeros_like(run["gradients"]), "weight_decay": 0.0}
    return compare(sgd(*resting.values()), to_array(run["parameter"]), 0.0, sgd.format)


@law(
    "With momentum zero, t steps in one call equal t calls with one step each.",
    source="b_t = d_t",
    bound="the value's bound of both",
    cause="momentum zero is treated as no momentum, or the buffer of the previous step is kept: use the same "
    "recursion for all values",
)
def no_momentum_is_plain_steps(
    sgd: Subject, parameter: Tensor, gradients: Tensor, lr: float, weight_decay: float
) -> Measurement:
    """Compare with a sequence of single steps."""
    hyper = lr, 0.0, weight_decay, not NESTEROV
    chained = parameter
    for i in range(len(gradients)):
        chained = sgd(chained, gradients[i : i + 1], *hyper)
    reference = dd.lift(to_array(chained))
    absolute = 2.0 * _error(sgd, parameter, gradients, *hyper)
    return within(sgd(parameter, gradients, *hyper), reference, absolute, sgd.format)


@law(
    "Weight decay alone shrinks the parameter by the factor 1 - lr * decay in each step.",
    source="p - lr (0 + decay p) = (1 - lr decay) p",
    bound="the value's bound, plus u of the parameter per step for 1 - lr decay as one factor",
    cause="the decay is not multiplied by the rate, has the wrong sign, or uses the parameter of the first step: "
    "add decay * p to the gradient in each step",
)
def decay_shrinks_geometrically(
    sgd: Subject, parameter: Tensor, gradients: Tensor, lr: float, weight_decay: float
) -> Measurement:
    """Compare with the closed form."""
    run = parameter, torch.zeros_like(gradients), lr, 0.0, weight_decay, not NESTEROV
    expected = decay_oracle(parameter, lr, weight_decay, len(gradients))
    # With a factor 1 - lr decay, each step also rounds the factor.
    absolute = _error(sgd, *run) + len(gradients) * sgd.format.u * np.abs(expected.hi)
    return within(sgd(*run), expected, absolute, sgd.format)


@law(
    "Multiplying the parameter and the gradients by four multiplies the result by four.",
    source="the recursion is linear; multiplying by four is exact",
    bound="the value's bound of both",
    cause="gradients are clipped or normalized, or an epsilon is added: use them unchanged",
    reads=RUN,
)
def homogeneous(sgd: Subject, **run: Any) -> Measurement:
    """Compare with the scaled run."""
    reference = dd.lift(4.0 * to_array(sgd(*run.values())))
    scaled = {**run, **{name: 4.0 * run[name] for name in ("parameter", "gradients")}}.values()
    return within(sgd(*scaled), reference, _error(sgd, *scaled) + 4.0 * _error(sgd, *run.values()), sgd.format)


@make_inputs(st.sampled_from([64, 128, 256]), st.sampled_from([0.1, 0.01]), st.sampled_from([0.0, 0.9]))
def _tiny_updates(format_: Format, steps: int, lr: float, momentum: float, rng: np.random.Generator) -> Example:
    """Many equal gradients whose updates are between 0.1 and 1.5 times half an ulp of the parameter."""
    parameter = rng.uniform(1.0, 2.0, size=64) * rng.choice([-1.0, 1.0], size=64)
    parameter[0] = 1.0
    update = rng.uniform(0.1, 1.5, size=64) * rng.choice([-1.0, 1.0], size=64) * format_.u
    gradient = torch.from_numpy(update * (1.0 - momentum) / lr).to(format_.dtype)
    hyper = {"lr": lr, "momentum": momentum, "weight_decay": 0.0, "nesterov": False}
    return {**make_tensors(format_, parameter=parameter), "gradients": gradient.expand(steps, 64).clone(), **hyper}


updates_accumulate = usual_laws.value(
    Exact(RUN, momentum_oracle, lambda *run: _errors(*run).accumulated, ("decay",)),
    "Many updates below one ulp of the parameter add up to their exact sum.",
    name="updates_accumulate",
    source="Kahan's summation, Higham (2002), section 4.3; Micikevicius et al. (2018) on a master copy of the weights",
    bound="u |p| once, u^2 |p| per step, plus the errors of the updates",
    cause="updates below half an ulp are lost (1 - 0.001 = 1 in bfloat16), and larger ones are rounded to a whole "
    "ulp: accumulate the updates in a wider master copy, or compensate their sum",
    group="length",
    inputs=_tiny_updates,
    examples=6,
    lost_digits="a parameter in its own format is rounded at each update, as in torch.optim",
)


@law(
    "A nonzero step changes the parameter.",
    source="1 - t rounds to 1 from t = 2^-(p + 1) downwards",
    cause="the format cannot represent the change: keep the parameter, or the lost part of it, in a wider format",
    group="training",
    lost_digits="the format itself rounds the step away",
    reads=RUN,
)
def update_not_lost(sgd: Subject, **run: Any) -> Measurement:
    """Measure ``inf`` where the parameter does not change; this property of the format appears only in a survey."""
    before, actual, expected = to_array(run["parameter"]), to_array(sgd(*run.values())), momentum_oracle(*run.values())
    lost = (actual == before) & (to_array(run["gradients"]) != 0.0).any(0)
    return Measurement(np.where(lost, np.inf, 0.0), np.zeros(before.shape), actual, expected.hi)


# Rays


def _equal_steps(steps: int) -> Callable[[Tensor, Format], Example]:
    """Equal gradients from a parameter of one, with momentum 1/2, which keeps the sums exact."""

    def example(t: Tensor, _: Format) -> Example:
        gradients = t.expand(steps, -1).clone()
        hyper = {"lr": 1.0, "momentum": 0.5, "weight_decay": 0.0, "nesterov": False}
        return {"parameter": torch.ones_like(t), "gradients": gradients, **hyper}

    return example


def _ray(name: str, formula: str, steps: int, *laws: Law) -> Ray:
    return Ray(name, formula, _equal_steps(steps), lambda f: f.smallest, lambda _: 1.0 / 64.0, laws=laws)


# Inputs

STEPS = (1, 12)


@make_inputs(
    lambda format_: batches(format_, largest=format_.max / 1024.0, rows=(1, 16), columns=(1, 16)), st.integers(*STEPS)
)
def _runs(_: Format, batch: Tensor, steps: int, rng: np.random.Generator) -> Example:
    """Parameters of every structure; gradients are of order one, of the parameter's size, or zero."""
    parameter = batch.flatten()
    gradients = draw_companions(parameter.expand(steps, -1), rng)
    like = rng.choice([0.0, 1.0], size=(steps, 1)) * rng.uniform(-2.0, 2.0, size=(steps, 1))
    gradients = gradients + torch.from_numpy(like).to(parameter.dtype) * parameter
    momentum = float(rng.choice([0.0, 0.5, 0.9, 0.99]))
    return {
        "parameter": parameter,
        "gradients": gradients * torch.from_numpy(rng.random((steps, 1)) < 0.9),
        "lr": float(rng.choice([0.5, 0.1, 0.03, 0.01])),
        "momentum": momentum,
        "weight_decay": float(rng.choice([0.0, 1e-3, 0.01, 0.1])),
        "nesterov": momentum > 0 and bool(rng.integers(2)),
    }


def _with_infinities(example: Example) -> Example:
    """Make the last gradient of every third parameter infinite."""
    gradients = example["gradients"].clone()
    gradients[-1, ::3] = (torch.arange(gradients[-1, ::3].numel()) % 2 * 2 - 1) * torch.inf
    return {**example, "gradients": gradients, "momentum": 0.9}


# Contract

SGD_WITH_MOMENTUM = Contract(
    "sgd_with_momentum",
    aliases=("sgd_momentum", "momentum_sgd"),
    signature="(parameter[n], gradients[t,n], lr, momentum, weight_decay, nesterov) -> parameter[n]",
    summary="t steps from a fresh buffer: d = g + decay p, b = mu b + d, p - lr b, or p - lr (d + mu b) with nesterov",
    domain="|p| <= max / 1024, gradients of order one or of the parameter's size, 0.01 <= lr <= 0.5, 0 <= mu < 1, "
    "0 <= decay <= 0.1, nesterov only with mu > 0; some laws also use infinities and NaN",
    inputs=_runs,
    laws=(
        value,
        zero_gradients_change_nothing,
        no_momentum_is_plain_steps,
        decay_shrinks_geometrically,
        homogeneous,
        value.derive_special(
            change_inputs(_runs, _with_infinities),
            "infinite_gradient",
            "An infinite gradient makes its parameter infinite with the opposite sign, and changes no other parameter.",
            cause="the gradient is clipped, or a norm over all parameters spreads it: update each parameter from "
            "its own gradient",
        ),
        updates_accumulate,
        *implementation_laws(value, many=False),
    ),
    axes={"parameter": Axes(("n",)), "gradients": Axes(("t", "n"))},
    output=("n",),
    conventions={"decay": (COUPLED, DECOUPLED)},
    rays=(
        _ray("learning rate against weight", "weight 1, one step, lr g = t", 1, update_not_lost, value),
        _ray("many steps against weight", "weight 1, 32 steps, momentum 1/2, lr g = t", 32, updates_accumulate),
    ),
)
