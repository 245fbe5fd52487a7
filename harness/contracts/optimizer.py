"""One step of stochastic gradient descent."""

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.contracts.building_blocks import usual_laws
from harness.contracts.building_blocks.definition import Definition
from harness.contracts.building_blocks.usual_laws import Exact
from harness.floats import Array, DoubleDouble, Format, Measurement, compare, to_array
from harness.laws import Axes, Contract, Example, Ray, Subject, implementation_laws, law
from harness.laws.strategies import batches, draw_companions, list_special_numbers, make_inputs

sgd_oracle = Definition("(parameter, gradient, lr): parameter - gradient * lr").oracle()


def _error(_: Tensor, gradient: Tensor, lr: float, expected: DoubleDouble, format_: Format) -> Array:
    update = np.abs(to_array(gradient) * lr)
    with np.errstate(over="ignore", invalid="ignore"):
        rounding = format_.u * (2.0 * update + np.abs(expected.hi)) * (1.0 + 4.0 * format_.u)
        return np.asarray(rounding + format_.smallest)


value = usual_laws.value(
    Exact(("parameter", "gradient", "lr"), sgd_oracle, _error),
    "sgd(p, g, lr) equals p - lr * g.",
    source="definition; rounding of the rate, the product and the difference",
    bound="2 u |lr g| + u |p - lr g|",
    cause="the sign is wrong, the gradient is stale, the rate is applied twice, or it is kept in float32 or less: "
    "compute p - lr * g in the dtype of p",
)


@law(
    "A zero gradient leaves the parameter unchanged, bit for bit.",
    source="p - lr * 0 = p",
    cause="weight decay is applied, momentum of an earlier step remains, or the parameter is rounded through "
    "another dtype: use p - lr * g only",
)
def zero_gradient_changes_nothing(sgd: Subject, parameter: Tensor, gradient: Tensor, lr: float) -> Measurement:
    """Compare with the parameter itself."""
    return compare(sgd(parameter, gradient * 0.0, lr), to_array(parameter), 0.0, sgd.format)


@law(
    "A nonzero step changes the parameter.",
    source="1 - t rounds to 1 from t = 2^-(p + 1) downwards",
    cause="the format cannot represent the change: keep the parameter, or the lost part of it, in a wider format",
    group="training",
    lost_digits="the format itself rounds the step away",
)
def update_not_lost(sgd: Subject, parameter: Tensor, gradient: Tensor, lr: float) -> Measurement:
    """Measure ``inf`` where the parameter does not change; this property of the format appears only in a survey."""
    before, actual = to_array(parameter), to_array(sgd(parameter, gradient, lr))
    lost = (actual == before) & (to_array(gradient) * lr != 0.0)
    return Measurement(np.where(lost, np.inf, 0.0), np.zeros(before.shape), actual, before - to_array(gradient) * lr)


@make_inputs(
    lambda format_: batches(format_, largest=format_.max / 16.0, rows=(1, 32)),
    st.sampled_from([0.5, 0.1, 0.03, 0.01, 0.001]),
)
def _steps(_: Format, batch: Tensor, lr: float, rng: np.random.Generator) -> Example:
    parameter: Any = batch.flatten()
    return {"parameter": parameter, "gradient": draw_companions(parameter, rng), "lr": lr}


@make_inputs(st.sampled_from([0.5, 0.1, 0.001]))
def _specials(format_: Format, lr: float, rng: np.random.Generator) -> Example:
    """Parameters and gradients that are infinite or among the largest or smallest numbers."""
    numbers = np.append(list_special_numbers(format_), [np.inf, -np.inf])
    drawn = torch.from_numpy(rng.choice(numbers, size=(2, 64))).to(format_.dtype)
    return {"parameter": drawn[0], "gradient": drawn[1], "lr": lr}


SGD = Contract(
    "sgd",
    signature="(parameter[n], gradient[n], lr) -> parameter[n]",
    summary="parameter - lr * gradient",
    domain="finite, 0.001 <= lr <= 0.5; some laws also use infinities and NaN",
    inputs=_steps,
    laws=(
        value,
        zero_gradient_changes_nothing,
        value.derive_special(
            _specials,
            "value_on_special_numbers",
            "The step is also right for the largest and smallest numbers and for infinities; inf - inf is NaN.",
            cause="the gradient is clipped, non-finite values are skipped, or the rate is kept in float32 or less: "
            "compute p - lr * g in the dtype of p",
        ),
        *implementation_laws(value),
    ),
    axes={
        "parameter": Axes(("n",), largest=lambda format_: format_.max / 16.0),
        "gradient": Axes(("n",), largest=lambda _: 2.0),
    },
    output=("n",),
    rays=(
        Ray(
            "learning rate against weight",
            "weight 1, lr g = t",
            lambda t, _: {"parameter": torch.ones_like(t), "gradient": t, "lr": 1.0},
            start=lambda _: 1.0,
            end=lambda format_: format_.smallest,
            laws=(update_not_lost, value),
        ),
    ),
)
