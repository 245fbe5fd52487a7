"""Groups of values."""

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


def grouped(values: Iterable[ValueT], key: Callable[[ValueT], KeyT]) -> dict[KeyT, list[ValueT]]:
    """Return the values by their keys; keys and values keep their order."""
    groups: dict[KeyT, list[ValueT]] = {}
    for value in values:
        groups.setdefault(key(value), []).append(value)
    return groups
