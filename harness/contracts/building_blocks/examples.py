"""Examples: tensors of a format, cotangents, and inputs that are made from other inputs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.floats import Array, Format
from harness.laws import Example, Inputs
from harness.laws.strategies import SEEDS, companions


def from_draws(*draws: st.SearchStrategy[Any] | Callable[[Format], st.SearchStrategy[Any]]) -> Callable[..., Inputs]:
    """Make inputs of ``expand(format, *drawn, rng)``, from values to draw, or from functions of the format for them."""

    def decorate(expand: Callable[..., Example]) -> Inputs:
        def inputs(format_: Format) -> st.SearchStrategy[Example]:
            strategies = (draw if isinstance(draw, st.SearchStrategy) else draw(format_) for draw in draws)
            return st.builds(
                lambda *drawn: expand(format_, *drawn[:-1], np.random.default_rng(drawn[-1])), *strategies, SEEDS
            )

        return inputs

    return decorate


def changed(inputs: Inputs, change: Callable[[Example], Example]) -> Inputs:
    """Return inputs whose examples are changed."""
    return lambda format_: inputs(format_).map(change)


def altered(
    inputs: Inputs, change: Callable[[Example, np.random.Generator], Example], seeds: st.SearchStrategy[int] = SEEDS
) -> Inputs:
    """Return inputs whose examples are changed at random."""
    return lambda format_: st.builds(
        lambda example, seed: change(example, np.random.default_rng(seed)), inputs(format_), seeds
    )


def with_cotangent(
    drawn: st.SearchStrategy[Tensor], name: str, output: Callable[[Tensor], Tensor] = lambda x: x
) -> st.SearchStrategy[Example]:
    """Draw an input, and weights of the outputs for the law of the gradient; ``output`` gives them their shape."""

    def expand(x: Tensor, seed: int) -> Example:
        return {name: x, "cotangent": companions(output(x), np.random.default_rng(seed))}

    return st.builds(expand, drawn, SEEDS)


def tensors(format_: Format, **arrays: Array) -> Example:
    """Return an example of arrays, rounded to the format."""
    return {name: torch.from_numpy(values).to(format_.dtype) for name, values in arrays.items()}
