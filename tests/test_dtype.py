"""Ordinals of Python floats equal the ordinals of tensors."""

import math

import pytest
import torch

from harness.case import FLOATS
from harness.dtype import PARAMETERS, ordinal, short_name
from harness.floats.format import FORMATS, Format, from_ordinal, to_array, to_ordinal


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_every_number_of_16_bits_has_the_ordinal_that_a_tensor_says(name: str) -> None:
    """The numbers include both zeros, subnormal numbers and infinities."""
    every = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(FORMATS[name].dtype)
    numbers = every[~every.isnan()]
    assert [ordinal(value, name) for value in to_array(numbers)] == to_ordinal(numbers).tolist()


@pytest.mark.parametrize("format_", FORMATS.values(), ids=FORMATS)
def test_neighbours_differ_by_one_in_every_format(format_: Format) -> None:
    """Both sides of zero, one, the smallest normal and the largest number are tested."""
    for value in (0.0, 1.0, format_.tiny, format_.max, -1.0):
        place = ordinal(value, format_.name)
        neighbours = to_array(from_ordinal(torch.tensor([place - 1, place, place + 1]).numpy(), format_))
        assert [ordinal(number, format_.name) for number in neighbours] == [place - 1, place, place + 1]
    assert ordinal(math.inf, format_.name) == ordinal(format_.max, format_.name) + 1


def test_derived_properties_of_a_format_agree_with_torch() -> None:
    """Bits agree with torch, and column heads have short names. Cases claim these formats by default."""
    assert {name: 8 * getattr(torch, name).itemsize for name in PARAMETERS} == {
        name: parameters.bits for name, parameters in PARAMETERS.items()
    }
    assert [short_name(name) for name in PARAMETERS] == ["64", "32", "b16", "16"]
    assert tuple(PARAMETERS) == FLOATS
