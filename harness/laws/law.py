"""Laws, rays and contracts: properties as data, each with a small function that measures a deviation.

A law does not assert. It is written once and runs on every dtype and device; other modules handle a deviation beyond
its bound.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis.strategies import SearchStrategy

from harness.floats import Format, Measurement

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
        Whether examples are not shrunk: only many rows together can break it, or each shape costs a compilation.
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
    cause: str
    group: str
    measure: Callable[..., Measurement]
    bound: str = "no tolerance"
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

    def derive(self, inputs: Inputs, name: str, statement: str, **fields: Any) -> "Law":
        """Return the same law about other inputs.

        Parameters
        ----------
        inputs
            The new inputs.
        name, statement
            Its own.
        fields
            Other fields that differ.
        """
        return replace(self, name=name, statement=statement, inputs=inputs, **fields)

    def derive_special(self, inputs: Inputs, name: str, statement: str, **fields: Any) -> "Law":
        """Return the same law about special inputs, such as infinities."""
        return self.derive(inputs, name, statement, group="special", **fields)


def law(statement: str, *, group: str = "algebra", **fields: Any) -> Callable[[Callable[..., Measurement]], Law]:
    """Make a law of the function below, whose name becomes the name of the law.

    Parameters
    ----------
    statement
        One sentence.
    group
        Key of :data:`GROUPS`; most laws that a contract spells out need no oracle.
    fields
        The other fields of :class:`Law`: ``source`` and ``cause``, and others that differ from their defaults.

    Returns
    -------
    callable
        A decorator that turns the measuring function into a :class:`Law`.
    """

    def decorate(measure: Callable[..., Measurement]) -> Law:
        return Law(measure.__name__, statement, group=group, measure=measure, **fields)

    return decorate
