"""An operation that is about to be carried out: what it reads and writes, and in which state that is."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from harness.auditor.line import Line
from harness.auditor.operation import Source
from harness.auditor.operator import Operator
from harness.auditor.shadow import Cell


@dataclass(slots=True)
class Given:
    """An operation that is about to be carried out.

    Parameters
    ----------
    operator, args, kwargs
        What it is.
    line, backward
        Who asks for it.
    read, keys, cells
        The floats that it reads, what identifies their storages, and those.
    written
        Those of them that it changes.
    sources
        The state of what it reads.
    unit, error, nan, inf
        The worst of those.
    shadow_of
        The shadows, by the identity of the tensors.
    before
        What will be overwritten, in float64, where that is to be compared.
    statistics
        The running statistics that it will change, in float64, where these are to be compared.
    as_it_is
        Whether its result keeps its own dtype, whatever the step is taken to compute in.
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
