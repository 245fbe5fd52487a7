"""An operation before it runs, with the state of its inputs."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from harness.auditor.line import Line
from harness.auditor.operation import Source
from harness.auditor.shadow import Cell
from harness.exact.tape import Operator


@dataclass(slots=True)
class Call:
    """An operation before it runs.

    Parameters
    ----------
    operator, args, kwargs
        The operation and its arguments.
    line, backward
        The line that called it, and whether autograd did.
    read, keys, cells
        Floating-point inputs, the keys of their storages, and these storages.
    written
        Inputs that it changes.
    sources
        States of the inputs.
    unit, error, nan, inf
        Coarsest unit roundoff and largest error of the inputs, and whether one contains NaN or infinity.
    shadow_of
        Shadows by the identity of their tensors.
    before
        Float64 copies of tensors that it changes.
    rebound
        A parameter that is replaced, with its old value; without a parameter, a buffer.
    statistics
        Float64 copies of the running statistics that it changes.
    as_it_is
        Whether the result keeps its own format in a simulation of another one.
    """

    operator: Operator
    args: Any
    kwargs: Any
    line: Line
    backward: bool
    read: list[Tensor]
    keys: list[int]
    cells: list[Cell]
    written: list[Tensor]
    sources: tuple[Source, ...]
    unit: float
    error: float
    nan: bool
    inf: bool
    shadow_of: dict[int, Tensor] = field(default_factory=dict)
    before: dict[int, Tensor] = field(default_factory=dict)
    rebound: tuple[int | None, Tensor] | None = None
    statistics: list[Tensor] = field(default_factory=list)
    as_it_is: bool = False
