"""Laws, rays and contracts: properties as data, each with a small function that returns the deviation it measured.

A law does not assert. It is written once and runs on every dtype and device; what happens with a deviation
beyond its bound is decided elsewhere.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from hypothesis.strategies import SearchStrategy
from torch import Tensor

from harness.calling.model import AsStep
from harness.case import FLOATS, Case
from harness.floats import Array, Format, Measurement
from harness.laws.convention import Convention
from harness.record import Status

Example = dict[str, Any]
"""One concrete input: tensors and plain numbers by the names the laws use."""

Inputs = Callable[[Format], SearchStrategy[Example]]
"""The examples to draw in a format."""

GROUPS = {
    "value": "comparison with the oracle",
    "algebra": "properties that need no oracle",
    "finite": "no overflow and no NaN where the exact result is finite",
    "special": "infinities, NaN, the largest numbers, empty inputs",
    "length": "long reductions, where narrow accumulators stall and counts overflow",
    "gradient": "comparison with the analytic gradient",
    "implementation": "properties of every sound implementation",
    "equivalence": "agreement between operations",
    "training": "complete training runs",
    "data": "behavior of data loaders",
}
"""The groups of laws, and what each is about."""


@dataclass(frozen=True)
class Law:
    """One property of an operation.

    Parameters
    ----------
    name
        Present-tense fact, for example ``rows_sum_to_one``.
    statement
        One sentence.
    source
        Source of the property or its bound.
    bound
        The admissible deviation in words or as a formula.
    cause
        Usual cause of a violation, and a remedy.
    non_finite
        The same for an output that is not finite; ``cause`` by default.
    group
        Key of :data:`GROUPS`.
    measure
        ``measure(subject, **inputs) -> Measurement``; it takes the inputs of the example by name.
    unit
        Unit of deviation and bound.
    inputs
        ``inputs(format) -> strategy`` of examples, if they differ from the contract's.
    examples
        Default number of Hypothesis examples; the contract's number when absent.
    reads
        Names of the inputs; by default the parameters of ``measure``.
    intermittent
        Whether a violation may disappear on repetition, so that one occurrence is enough.
    lost_digits
        Reason why a careful implementation may break it: it loses digits that a better algorithm keeps. Empty if a
        violation is a defect.
    loses_digits_only
        For a law of lost digits: whether zero, an infinity or NaN in place of an ordinary number is a defect.
    every_row
        Whether it measures every row, so that a survey can follow it along a ray.
    of_many
        Whether only many rows together can break it, so that examples are not shrunk.
    shows_worst
        Whether to search for the worst example in addition to the smallest, at the same cost.
    of_whole_numbers
        Whether its examples are integers and stay integers when they are shrunk.
    differentiates
        For a law of the gradient: position of the argument to differentiate by.
    """

    name: str
    statement: str
    source: str
    bound: str
    cause: str
    group: str
    measure: Callable[..., Measurement]
    unit: str = "ulp"
    non_finite: str = ""
    inputs: Inputs | None = None
    examples: int | None = None
    reads: tuple[str, ...] = ()
    intermittent: bool = False
    lost_digits: str = ""
    loses_digits_only: bool = False
    every_row: bool = True
    of_many: bool = False
    shows_worst: bool = True
    of_whole_numbers: bool = False
    differentiates: int = 0

    def __post_init__(self) -> None:
        assert self.group in GROUPS, self.group
        if not self.reads:
            object.__setattr__(self, "reads", tuple(inspect.signature(self.measure).parameters)[1:])

    def likely_cause(self, actual: float) -> str:
        """Return the likely cause, given the offending output."""
        return self.non_finite if self.non_finite and not math.isfinite(actual) else self.cause

    def when_broken(self, case: Case, dtype: str, *, strict: bool = False) -> tuple[Status, str | None]:
        """Return the status of a law that a case breaks, and the declared or known reason.

        Parameters
        ----------
        case
            The case with its declarations: :attr:`~harness.case.Case.breaks` and :attr:`~harness.case.Case.attains`.
        dtype
            The dtype of the violation.
        strict
            Whether lost digits are defects too.
        """
        declared = case.declared_break(self.name, dtype)
        if self.lost_digits and self.name not in case.attains and not strict:
            return Status.LOST, declared or self.lost_digits
        return (Status.EXPECTED, declared) if declared else (Status.BROKEN, None)

    def on(self, inputs: Inputs, name: str, statement: str, **facts: Any) -> "Law":
        """Return the same law about other inputs.

        Parameters
        ----------
        inputs
            The examples it is drawn from.
        name, statement
            Its own.
        facts
            What else differs.
        """
        return replace(self, name=name, statement=statement, inputs=inputs, **facts)


def law(statement: str, **facts: Any) -> Callable[[Callable[..., Measurement]], Law]:
    """Make a law of the function below, whose name becomes the law's.

    Parameters
    ----------
    statement
        One sentence.
    facts
        The other fields of :class:`Law`: ``source``, ``bound``, ``cause`` and ``group``, and what differs from its
        default.
    """

    def decorate(measure: Callable[..., Measurement]) -> Law:
        return Law(measure.__name__, statement, measure=measure, **facts)

    return decorate


Limit = Callable[[Format], float]
"""A number of a format, such as the largest value within a domain."""

Restore = Callable[[Tensor, Format], Tensor | None]
"""``restore(value, format)``: the member of an input's domain nearest to a changed value, or ``None``. Members are
returned unchanged.
"""


@dataclass(frozen=True)
class Axes:
    """Axes and limits of an input, for shrinking and for surveys.

    Parameters
    ----------
    names
        Name of each axis. Axes with the same name have the same length and are shortened together.
    index_of
        The axis whose positions an integer input refers to; ``None`` for values.
    positive
        Whether all values of the domain are positive.
    kept
        Whether only the first axis is shortened and the values stay, because the law needs them as drawn.
    largest
        Bound on the absolute values of the domain; without one, a survey does not change the input.
    restore
        Maps changed values back to the domain, such as probabilities that must sum to one; ``None`` if all values
        within the other limits are valid.
    """

    names: tuple[str, ...]
    index_of: str | None = None
    positive: bool = False
    kept: bool = False
    largest: Limit | None = None
    restore: Restore | None = None


@dataclass(frozen=True)
class Ray:
    """Inputs with one parameter ``t``.

    Parameters
    ----------
    name
        Name in tables, for example ``spike``.
    formula
        The input as a formula in ``t``.
    example
        ``example(t, format)``: the inputs, one row for each parameter in ``t[n]``.
    start, end
        The first and the last parameter.
    whole
        Whether the parameter is an integer, and each value needs a separate batch.
    together
        Whether integer parameters can be rows of one batch.
    columns
        Entries of a row, for closed forms that depend on them.
    laws
        Laws to follow along the ray, if they are not the laws of the contract's inputs.
    """

    name: str
    formula: str
    example: Callable[[Tensor, Format], dict[str, Any]]
    end: Limit
    start: Limit = lambda _: 0.0
    whole: bool = False
    together: bool = False
    columns: int = 1
    laws: tuple[Law, ...] = ()


Form = Literal["function", "step", "training", "fit", "curves", "loader", "delivery"]
"""Form of an implementation: a function of tensors, a factory of minibatch steps, a training on minibatches, a fit of a
model, the losses of a training epoch by epoch, a loader of images, or a factory of data loaders.
"""


@dataclass(frozen=True)
class Contract:
    """The laws, inputs and oracle of one operation.

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
        Axes of each input; other inputs are not shrunk.
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
        ``remark()`` returns a sentence about the operation to show before the verdicts; ``None`` without one.
    of_one_number
        Additional text if an implementation returns one number instead of one for each row; may be empty.
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
    examples: int = 24
    form: Form = "function"
    task: Literal["regression", "classification"] | None = None
    of_one_number: str = ""
    of_model: AsStep | None = None
    remark: Callable[[], str | None] | None = None
    aliases: tuple[str, ...] = ()

    @property
    def defaults(self) -> dict[str, Any]:
        """The conventions of a case that declares none."""
        return {name: values[0] for name, values in self.conventions.items()}
