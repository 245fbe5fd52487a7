"""Contracts: the laws, inputs, rays and conventions of an operation.

A convention is a choice that mathematics or custom leaves open; a case declares its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from harness.calling.model import AsStep
from harness.case import FLOATS
from harness.error import join_names
from harness.floats import Array, Format
from harness.laws.default_examples import OF_CONTRACT
from harness.laws.law import Inputs, Law
from harness.laws.ray import Limit, Ray


@dataclass(frozen=True)
class AnyNumber(Sequence[float]):
    """A convention that may be any number in a range; as a sequence, its usual values.

    Parameters
    ----------
    usual
        Values in common use, the default first. They are tried if a case declares none.
    least, most
        Ends of the range, both admissible.
    """

    usual: tuple[float, ...]
    least: float
    most: float

    def __contains__(self, value: object) -> bool:
        """Return whether a value may be declared; it must be a number, and not NaN."""
        return isinstance(value, (int, float)) and self.least <= value <= self.most

    def __len__(self) -> int:
        """Return the number of usual values."""
        return len(self.usual)

    def __getitem__(self, at: Any) -> Any:
        """Return usual values by position."""
        return self.usual[at]

    def __str__(self) -> str:
        """Describe the choices in words."""
        return f"any number from {self.least:g} to {self.most:g}"


@dataclass(frozen=True)
class Anything(Sequence[Any]):
    """A convention that a user names, such as a file or a function; ``None`` by default.

    Parameters
    ----------
    what
        Description of the named object.
    """

    what: str

    def __contains__(self, value: object) -> bool:
        """Return true, since the reader of the object checks it."""
        return True

    def __len__(self) -> int:
        """Return 1, for the default ``None``."""
        return 1

    def __getitem__(self, at: Any) -> Any:
        """Nothing."""
        return (None,)[at]

    def __str__(self) -> str:
        """Describe the object to name."""
        return self.what


Convention = tuple[Any, ...] | AnyNumber | Anything
"""The values that may be declared, the default first."""


def choices(convention: Convention) -> str:
    """Return the admissible values as text for a message."""
    return str(convention) if isinstance(convention, AnyNumber | Anything) else join_names(convention)


Restore = Callable[[Tensor, Format], Tensor | None]
"""``restore(value, format)``: the member of an input's domain nearest to a changed value, or ``None``. Members are
returned unchanged.
"""


def normalize_sum(p: Tensor, format_: Format) -> Tensor | None:
    """Return probabilities ``[..., k]`` with sum one up to rounding, or ``None`` if the other entries exceed one.

    Notes
    -----
    Rounding ``p`` changes the sum by at most :math:`u`, and by a subnormal for each entry that is raised to one. Rows
    within four times that bound stay unchanged.
    """
    values = p.double()
    largest = values.argmax(-1, keepdim=True)
    rest = 1.0 - (values.sum(-1, keepdim=True) - values.gather(-1, largest))
    lacking = (values.sum(-1, keepdim=True) - 1.0).abs()
    within = ~(lacking > 4.0 * format_.u + p.shape[-1] * format_.smallest)
    if bool((~within & (rest <= 0.0)).any()):
        return None
    return torch.where(within, p, values.scatter(-1, largest, rest).to(p.dtype))


@dataclass(frozen=True)
class Axes:
    """Axes and limits of an input, for shrinking and for surveys.

    Parameters
    ----------
    names
        Names of the axes. Axes with the same name have the same length and are shortened together.
    index_of
        The axis whose positions an integer input refers to; ``None`` for values.
    positive
        Whether all values of the domain are positive.
    kept
        Whether only the first axis is shortened and the values stay, because the law needs them as drawn.
    largest
        Bound on the absolute values of the domain; without one, a survey does not change the input.
    is_bounded
        Whether no number beyond ``largest`` is in the domain, so that the usual rays do not apply.
    restore
        Maps changed values back to the domain, such as probabilities that must sum to one; ``None`` if all values
        within the other limits are valid.
    domain
        Kind of the domain of an input of a formula, such as ``positive``, ``unit`` or ``distribution``.
    """

    names: tuple[str, ...]
    index_of: str | None = None
    positive: bool = False
    kept: bool = False
    largest: Limit | None = None
    is_bounded: bool = False
    restore: Restore | None = None
    domain: str = ""


Form = Literal["function", "step", "training", "fit", "curves", "loader", "delivery"]
"""Form of an implementation: a function of tensors, a factory of minibatch steps, a training on minibatches, a fit of a
model, the losses of a training epoch by epoch, a loader of images, or a factory of data loaders.
"""


@dataclass(frozen=True)
class Contract:
    """The laws, inputs and oracle of an operation.

    Parameters
    ----------
    name
        Name that cases claim.
    signature
        Inputs and output of an implementation.
    summary
        One sentence.
    domain
        Inputs for which the laws must hold, in words.
    inputs
        ``inputs(format) -> strategy`` of examples.
    laws
        The laws, in the order of the report.
    axes
        Axes of the inputs; other inputs are not shrunk.
    output
        Names of the output's axes; ``None`` if the laws check the shape.
    conventions
        Choices that mathematics or custom leaves open: the admissible values, the default first, or a range of numbers.
        A case declares its choice, which the laws then require. With the reduction ``none`` the output has the axis
        ``n``.
    telling
        Inputs that distinguish conventions; ``None`` if ordinary inputs do.
    rays
        Rays in addition to those for the shape of the first input.
    total
        ``total(subject, terms[n]) -> (formed, exact)``: the implementation's sum of positive terms, derived from its
        output, and the exact sum of the rounded terms. The first term is one and the largest. ``None`` without a sum.
    grouped
        Whether an implementation reduces over all inputs, so that examples have a leading axis of groups.
    dtypes
        The dtypes for which the contract is meaningful.
    examples
        Default number of Hypothesis examples per law.
    form
        Form of an implementation.
    task
        Training task of a model; ``None`` for other forms.
    aliases
        Other names of the operation, words joined by underscores.
    remark
        ``remark(subject)`` returns a sentence about the operation to show before the verdicts; ``None`` without one.
    of_one_number
        Additional text if an implementation returns a single number instead of a number for each row; may be empty.
    of_model
        Converts a torch module or its class to the implementation if the module is not the function of the inputs.
    """

    name: str
    signature: str
    summary: str
    domain: str
    inputs: Inputs
    laws: tuple[Law, ...]
    axes: Mapping[str, Axes] = field(default_factory=dict)
    output: tuple[str, ...] | None = None
    conventions: Mapping[str, Convention] = field(default_factory=dict)
    telling: Inputs | None = None
    rays: tuple[Ray, ...] = ()
    total: Callable[[Any, Array], tuple[float, float]] | None = None
    grouped: bool = False
    dtypes: tuple[str, ...] = FLOATS
    examples: int = OF_CONTRACT
    form: Form = "function"
    task: Literal["regression", "classification"] | None = None
    of_one_number: str = ""
    of_model: AsStep | None = None
    remark: Callable[[Any], str | None] | None = None
    aliases: tuple[str, ...] = ()
