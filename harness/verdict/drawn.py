"""Drawn examples: what Hypothesis draws of some inputs from a seed, drawn once for all laws and cases alike.

What is drawn depends on the inputs, the format, the number and the seed alone, never on what becomes of an example. So
it is drawn before any of it is looked at, and handed out in copies, since an implementation may do anything to one.
"""

import copy
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import hypothesis
import torch
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from torch import Tensor

from harness.floats.format import Format
from harness.floats.memory import MEBIBYTE, Memory
from harness.laws.law import Example, Inputs
from harness.laws.strategies import shapes_are_few
from harness.verdict.reproducible import reproducible

STAGES = (2, 32)
"""Sizes of the two stages of drawing; most defects show in the first stage."""

_memory: Memory[list[Example]] = Memory(64 * MEBIBYTE)


class _Enough(BaseException):
    """The end of the draws; no ``Exception``, since Hypothesis would run one of those again."""


def drawn(inputs: Inputs, format_: Format, *, examples: int, seed: int) -> Iterator[Example]:
    """Yield some examples, the same ones each time.

    Parameters
    ----------
    inputs
        What they are drawn from.
    format_
        In which format.
    examples
        How many at most; there are fewer where the inputs have no more.
    seed
        Seed of the draws.
    """
    shown = 0
    for most in (*(stage for stage in STAGES if stage < examples), examples):
        for example in _first(most, inputs, format_, examples, seed)[shown:]:
            shown += 1
            yield _copy(example)


def all_drawn(inputs: Inputs, format_: Format, *, examples: int, seed: int) -> list[Example]:
    """Return the same examples, drawn at once: for whoever looks at all of them in any case."""
    return [_copy(example) for example in _first(examples, inputs, format_, examples, seed)]


def _first(most: int, inputs: Inputs, format_: Format, examples: int, seed: int) -> list[Example]:
    """The first so many of the examples, drawn unless they were before."""
    # Long rows are of other lengths under another seed of torch's.
    key = inputs, format_, examples, seed, torch.initial_seed(), shapes_are_few()
    known = _memory.get((most, *key)) or _memory.get((examples, *key))
    if known is None:
        known = _draw(most, inputs, format_, examples, seed)
        _memory.keep((most, *key), known, sum(map(_size, known)))
    return known


def _draw(most: int, inputs: Inputs, format_: Format, examples: int, seed: int) -> list[Example]:
    found: list[Example] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=examples,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    @given(inputs(format_))
    def draw(example: Example) -> None:
        found.append(example)
        if len(found) == most:
            raise _Enough

    with reproducible(), suppress(_Enough):
        draw()
    return found


def _copy(example: Example) -> Example:
    """A copy of which nothing is shared; of a tensor by torch itself, which takes a tenth of what ``deepcopy`` does."""
    return {
        name: value.clone() if isinstance(value, Tensor) else copy.deepcopy(value) for name, value in example.items()
    }


def _size(example: Example) -> int:
    return sum(_bytes(value) for value in example.values())


def _bytes(value: Any) -> int:
    if isinstance(value, Tensor):
        return value.nbytes
    return sum(map(_bytes, value)) if isinstance(value, (list, tuple)) else 64
