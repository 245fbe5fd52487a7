"""Drawn examples are reproducible, and no consumer can change the examples of another."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from harness.calling.adapter import compiles_each_shape
from harness.case import Case
from harness.floats import FORMATS, Format
from harness.laws.law import Example, Inputs
from harness.verdict.draw import Drawn, compute_digest, draw_all_examples, draw_examples, draw_reproducibly
from harness.verdict.job import list_jobs

FLOAT32 = FORMATS["float32"]


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """Set torch's seed, on which lengths depend, independent of earlier tests."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture
def counted() -> list[float]:
    """Return the list of numbers that Hypothesis draws."""
    return []


def inputs_of(counted: list[float]) -> Inputs:
    """Return inputs that record their draws."""

    def inputs(format_: Format) -> st.SearchStrategy[Example]:
        def example(number: float) -> Example:
            counted.append(number)
            return {"x": torch.tensor([number], dtype=format_.dtype), "n": 3}

        return st.builds(example, st.floats(0.0, 1.0, width=16))

    return inputs


def numbers(examples: Iterator[Drawn]) -> list[float]:
    """Return the numbers of the examples."""
    return [float(one.example["x"]) for one in examples]


def test_what_is_drawn_twice_is_drawn_once(counted: list[float]) -> None:
    """Inputs, format, number and seed must be the same.

    The first examples are available before the others are drawn.
    """
    inputs = inputs_of(counted)
    first = next(draw_examples(inputs, FLOAT32, examples=40, seed=1)).example
    assert len(counted) == 2
    every = numbers(draw_examples(inputs, FLOAT32, examples=40, seed=1))
    assert every[0] == float(first["x"])
    assert len(every) == 40
    assert numbers(draw_examples(inputs, FLOAT32, examples=40, seed=2)) != every
    before = len(counted)
    assert numbers(draw_examples(inputs, FLOAT32, examples=40, seed=1)) == every
    assert len(counted) == before


def test_what_is_asked_for_at_once_is_what_is_drawn_in_stages(counted: list[float]) -> None:
    """No example is drawn twice."""
    at_once = [float(example["x"]) for example in draw_all_examples(inputs_of(counted), FLOAT32, examples=40, seed=1)]
    assert len(counted) == 40
    assert numbers(draw_examples(inputs_of(counted), FLOAT32, examples=40, seed=1)) == at_once


def test_who_changes_an_example_changes_it_for_nobody_else(counted: list[float]) -> None:
    """Copies keep the layout, and inputs that are not tensors."""

    def inputs(format_: Format) -> st.SearchStrategy[Example]:
        return st.just({"x": torch.ones(3, 4, dtype=format_.dtype).t(), "n": 3})

    for example, _ in draw_examples(inputs, FLOAT32, examples=4, seed=1):
        assert example["x"].stride() == (1, 4)
        example["x"].fill_(2.0)
    ((again, _),) = draw_examples(inputs, FLOAT32, examples=4, seed=1)
    assert again["n"] == 3
    assert (again["x"] == 1.0).all()


def shapes(case: Case, law: str) -> set[tuple[int, ...]]:
    """Return the shapes that a law of softmax draws for a case in float32."""
    (job,) = list_jobs([case], laws=[law], dtypes=["float32"])
    with job.drawing():
        return {
            tuple(x["logits"].shape) for x, _ in draw_examples(job.inputs, job.format, examples=job.examples, seed=0)
        }


OF_JAX = Case(torch.softmax, "softmax", call="lambda f, x, *, jnp=None: f(x, -1)")
"""A case whose adapter names JAX."""


@pytest.mark.parametrize(
    ("call", "compiles"),
    [
        ("jax", True),
        ("jax(axis=-1)", True),
        ("lambda f, x: f(jnp.asarray(x))", True),
        ("numpy(axis=-1)", False),
        ("lambda ajax, x: ajax(x)", False),
        (None, False),
    ],
)
def test_what_jax_is_given_is_compiled_for_each_shape(call: str | None, compiles: bool) -> None:
    """The text of the adapter is enough to see it."""
    assert compiles_each_shape(Case(torch.softmax, "softmax", call=call)) is compiles


def test_what_compiles_each_shape_is_given_few() -> None:
    """Each shape costs a tenth of a second per operation. The shortest rows and a longer row are included."""
    few, many = (shapes(case, "value") for case in (OF_JAX, Case(torch.softmax, "softmax")))
    assert len(few) <= 10 < 20 <= len(many)
    assert {1, 2, 3} < {columns for _, columns in few}
    assert max(columns for _, columns in few) > 4


def test_long_rows_are_few_where_shapes_are() -> None:
    """There are three lengths at which sums stall, one more, and two at which blocks begin."""
    columns = {columns for _, columns in shapes(OF_JAX, "value_on_long_rows")}
    assert {257, 2_049, 65_536} < columns
    assert len(columns) == 6
    assert 33 in columns


def test_other_shapes_are_few_under_another_seed() -> None:
    """Several runs therefore cover more shapes."""
    with torch.random.fork_rng(devices=[]):
        seen = [(torch.manual_seed(seed), shapes(OF_JAX, "value"))[1] for seed in (1, 2)]
    assert seen[0] != seen[1]


def test_a_digest_differs_where_a_value_a_shape_a_type_or_a_name_does() -> None:
    """All NaNs are alike, but zeros of different signs are not."""
    x = torch.tensor([1.0, torch.nan, 0.0])
    examples: list[dict[str, Any]] = [
        {"x": x},
        {"x": torch.nextafter(x, torch.tensor(2.0))},
        {"x": x[None]},
        {"x": x.double()},
        {"y": x},
        {"x": x, "n": 3},
        {"x": torch.tensor([1.0, torch.nan, -0.0])},
    ]
    assert len({compute_digest(example) for example in examples}) == len(examples)
    assert compute_digest({"x": x}) == compute_digest({"x": x.clone().copysign(torch.tensor([1.0, -1.0, 1.0]))})


def integers_drawn(*, alike: bool) -> list[int]:
    """Return 300 integers; if allowed, Hypothesis takes a few from the constants of local code."""
    found: list[int] = []

    @seed(1)
    @settings(max_examples=300, database=None)
    @given(st.integers(0, 2**32 - 1))
    def run(number: int) -> None:
        found.append(number)

    with draw_reproducibly() if alike else nullcontext():
        run()
    return found


@pytest.fixture
def homework(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    """Return a function that imports a local module full of constants."""
    (workplace / "homework.py").write_text(f"NUMBERS = {list(range(1_000_003, 1_000_203))}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(workplace)
    return lambda: import_module("homework")


def test_a_module_of_constants_changes_no_draw(homework: Callable[[], object]) -> None:
    """Hypothesis would otherwise read its constants."""
    before = integers_drawn(alike=True)
    homework()
    assert integers_drawn(alike=True) == before
    assert integers_drawn(alike=False) != before
