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
        Where the property, or its bound, comes from.
    bound
        The admissible deviation in words or as a formula.
    cause
        What usually breaks it, and how it is mended.
    non_finite
        The same where the output is not finite; ``cause`` where that says as much.
    group
        One of :data:`GROUPS`.
    measure
        ``measure(subject, **inputs) -> Measurement``; it takes those inputs of the example that it names.
    unit
        Unit of deviation and bound.
    inputs
        ``inputs(format) -> strategy`` of examples, where the law is about others than the contract's.
    examples
        Hypothesis examples where the user names no number; the contract's number when absent.
    reads
        Names of the inputs it reads; those that ``measure`` names when empty.
    intermittent
        Whether what breaks it need not show whenever it is measured, so that once is enough.
    lost_digits
        Why a careful engineer's implementation may break it all the same: only digits are lost then, which a better
        algorithm keeps. Empty where what breaks it is a defect.
    loses_digits_only
        Of a law of lost digits: whether zero, an infinity or NaN in place of an ordinary number is a defect.
    every_row
        Whether it measures every row that it is given, so that it can be followed along a ray.
    of_many
        Whether it is about many rows at once, so that none of them shows what breaks it and examples stay as they are.
    shows_worst
        Whether the worst example is looked for beside the smallest, which costs as much again.
    of_whole_numbers
        Whether its examples are whole numbers, and stay so as they are made smaller: it is about no threshold.
    differentiates
        Of a law of the gradient: the position of the argument in which the derivative is taken.
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
        """What to look at, given the offending output."""
        return self.non_finite if self.non_finite and not math.isfinite(actual) else self.cause

    def when_broken(self, case: Case, dtype: str, *, strict: bool = False) -> tuple[Status, str | None]:
        """Return what it is called where a case breaks it, and the reason where one is declared or known.

        Parameters
        ----------
        case
            The case, with what it declares: :attr:`~harness.case.Case.breaks` and :attr:`~harness.case.Case.attains`.
        dtype
            Where it breaks it.
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
    """How an input may be made smaller, and how large it may be.

    Parameters
    ----------
    names
        Name of each axis; axes of one name have one length throughout an example, and are shortened together.
    index_of
        The axis whose positions an integer input refers to; ``None`` for values.
    positive
        Whether values outside the open interval above zero are outside the contract's domain.
    kept
        Whether only the first axis is shortened and the values stay, since the law needs them as they are drawn.
    largest
        Bound on the absolute values within the contract's domain; a survey leaves an input without one as it is.
    restore
        What makes a member of a value of which entries were changed or dropped, such as probabilities that are to sum
        to one; ``None`` where every value within the other limits is one.
    """

    names: tuple[str, ...]
    index_of: str | None = None
    positive: bool = False
    kept: bool = False
    largest: Limit | None = None
    restore: Restore | None = None


@dataclass(frozen=True)
class Ray:
    """Inputs of one parameter ``t``.

    Parameters
    ----------
    name
        As tables have it, for example ``spike``.
    formula
        The input as a formula in ``t``.
    example
        ``example(t, format)``: the inputs, one row for each parameter in ``t[n]``.
    start, end
        The first and the last parameter.
    whole
        Whether the parameter is a whole number, each a batch of its own.
    together
        Whether whole numbers are rows of one batch all the same: many are tried at once.
    columns
        Entries of a row, for closed forms in which they occur.
    laws
        What is followed where it is not the laws on the contract's own inputs: laws on other inputs, or properties
        that every implementation in the format has.
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
        As cases claim it.
    signature
        What an implementation is given and must return.
    summary
        One sentence.
    domain
        The inputs on which the laws are to hold, in words.
    inputs
        ``inputs(format) -> strategy`` of examples.
    laws
        The laws, in the order they are reported.
    axes
        How each input shrinks; an input that is absent stays as it is.
    output
        Names of the output's axes, as the inputs have them; ``None`` where the laws look at the shape themselves.
    conventions
        Where mathematics or custom leaves a choice: the admissible values, the default first, or the range of numbers.
        A case declares its own, which is then enforced. Under the reduction ``none`` the output has one axis, ``n``.
    telling
        Inputs on which conventions differ that agree on ordinary ones; ``None`` where ordinary inputs tell them apart.
    rays
        Rays of its own, beside those of the shape of its first input.
    total
        ``total(subject, terms[n]) -> (formed, exact)``: the sum that an implementation forms of positive terms, of
        which the first is one and the largest, read off its output; and that of the terms as the format has them.
        ``None`` where it forms none.
    grouped
        Whether an implementation reduces over all it is given, so that examples carry a leading axis of groups.
    dtypes
        The dtypes in which the contract is meaningful.
    examples
        Hypothesis examples per law where the user names no number.
    form
        What an implementation is.
    task
        What a model is trained for; ``None`` where none is.
    aliases
        What an implementation of it is called elsewhere, in words joined by underscores.
    remark
        ``remark()``: a sentence on the operation itself, told before an implementation is judged; ``None`` where there
        is nothing to say.
    of_one_number
        What is said beside where one number is answered and a number for each row is expected; empty where nothing is.
    of_model
        What takes a torch module, or a class of them, for the implementation where it is not itself the function of
        the inputs.
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
