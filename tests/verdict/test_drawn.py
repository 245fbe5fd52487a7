"""Drawn examples: what is drawn once is what is drawn each time, and nobody changes what others are given."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import strategies as st

from harness.floats import FORMATS, Format
from harness.laws.law import Example, Inputs
from harness.verdict.drawn import drawn

FLOAT32 = FORMATS["float32"]


@pytest.fixture
def counted() -> list[float]:
    """What Hypothesis drew."""
    return []


def inputs_of(counted: list[float]) -> Inputs:
    """Inputs that note what is drawn of them."""

    def inputs(format_: Format) -> st.SearchStrategy[Example]:
        def example(number: float) -> Example:
            counted.append(number)
            return {"x": torch.tensor([number], dtype=format_.dtype), "n": 3}

        return st.builds(example, st.floats(0.0, 1.0, width=16))

    return inputs


def numbers(examples: Iterator[Example]) -> list[float]:
    """The number in each."""
    return [float(example["x"]) for example in examples]


def test_what_is_drawn_twice_is_drawn_once(counted: list[float]) -> None:
    """Of the same inputs, format, number and seed; the first ones before all of them are asked for."""
    inputs = inputs_of(counted)
    first = next(drawn(inputs, FLOAT32, examples=40, seed=1))
    assert len(counted) == 2
    every = numbers(drawn(inputs, FLOAT32, examples=40, seed=1))
    assert every[0] == float(first["x"])
    assert len(every) == 40
    assert numbers(drawn(inputs, FLOAT32, examples=40, seed=2)) != every
    before = len(counted)
    assert numbers(drawn(inputs, FLOAT32, examples=40, seed=1)) == every
    assert len(counted) == before


def test_who_changes_an_example_changes_it_for_nobody_else(counted: list[float]) -> None:
    """A layout is kept, and so are numbers beside tensors."""

    def inputs(format_: Format) -> st.SearchStrategy[Example]:
        return st.just({"x": torch.ones(3, 4, dtype=format_.dtype).t(), "n": 3})

    for example in drawn(inputs, FLOAT32, examples=4, seed=1):
        assert example["x"].stride() == (1, 4)
        example["x"].fill_(2.0)
    (again,) = drawn(inputs, FLOAT32, examples=4, seed=1)
    assert again["n"] == 3
    assert (again["x"] == 1.0).all()
