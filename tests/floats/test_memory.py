"""The memory recalls results by the content of their inputs, within a limit of bytes."""

import numpy as np
import pytest
import torch

from harness.floats.memory import Memory, content_of


@pytest.mark.parametrize(
    "dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64, torch.int64, torch.bool]
)
def test_equal_tensors_have_equal_keys(dtype: torch.dtype) -> None:
    """The key does not depend on the storage, but on the layout, the values and the type."""
    x = torch.ones(1, 6, dtype=dtype)[:, ::2]
    assert content_of(x) == content_of(torch.ones(1, 6, dtype=dtype)[:, ::2])
    assert content_of(x) != content_of(x.clone())
    assert content_of(x) != content_of(torch.zeros(1, 6, dtype=dtype)[:, ::2])
    assert content_of(x) != content_of(np.ones((1, 3)))


def test_keys_distinguish_signed_zeros_and_types() -> None:
    """Keys depend on the sign of a zero and on the type of a number. Other objects have no key."""
    assert content_of(torch.tensor(0.0)) != content_of(torch.tensor(-0.0))
    assert len({content_of(x) for x in (0, 0.0, -0.0, False, "0", None)}) == 6
    assert content_of(object()) is None
    assert content_of(np.array([object()])) is None


def test_the_least_recently_used_entry_is_removed() -> None:
    """The least recently used entry goes first. An entry that exceeds the limit is not stored."""
    memory: Memory[str] = Memory(100)
    for key in "abcd":
        memory.keep(key, key.upper(), 25)
    assert memory.get("a") == "A"
    memory.keep("e", "E", 25)
    assert [memory.get(key) for key in "abcde"] == ["A", None, "C", "D", "E"]
    memory.keep("e", "large", 26)
    assert memory.get("e") is None
