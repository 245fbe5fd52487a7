"""Transport of results to another process: plain parts on the way, and the same objects at the end.

The form of every part is checked on arrival.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from harness.loading import exercise
from harness.loading.content import PORTABLE, Opaque, Sample, portable
from harness.loading.reader import Epoch, Exercise
from harness.loading.source import LoaderInfo
from harness.loading.tagged import Tag


class UnreadableError(Exception):
    """A received part has an unexpected form."""


def outward(value: Any) -> Any:
    """Return a result with leaves that can be sent to another process."""
    if isinstance(value, Epoch):
        return replace(value, samples=outward(value.samples))
    if isinstance(value, LoaderInfo):
        return value
    if type(value) in {list, tuple}:
        return type(value)(map(outward, value))
    if type(value) is dict:
        return {key: outward(part) for key, part in value.items()}
    return portable(value)


def spelled(value: Any) -> Any:
    """Return a list that represents an object on the line; ``None`` if it has no such form."""
    if isinstance(value, Opaque):
        return ["opaque", value.kind, value.digest]
    if isinstance(value, LoaderInfo):
        return ["facts", *(getattr(value, name) for name in _INFO)]
    if isinstance(value, Epoch):
        # Two fetches that drew the same are two all the same.
        draws = {id(tag.drew): tag.drew for tag in value.tags}
        numbers = {key: number for number, key in enumerate(draws)}
        tags = [[tag.index, tag.worker, numbers[id(tag.drew)]] for tag in value.tags]
        named = [[list(pair) for pair in drew] for drew in draws.values()]
        return ["epoch", value.samples, value.sizes, tags, named, value.ended, value.seconds]
    return None


_INFO = tuple(field.name for field in fields(LoaderInfo) if field.name != "data_set")


def read(value: Any) -> Any:
    """Return the object that a list represents.

    Raises
    ------
    UnreadableError
        If it represents none.
    """
    match value:
        case ["opaque", str(kind), str(digest)]:
            return Opaque(kind, digest)
        case ["facts", *values] if len(values) == len(_INFO):
            return _info(dict(zip(_INFO, values, strict=True)))
        case ["epoch", samples, sizes, tags, draws, bool(ended), float(seconds)] if seconds >= 0.0:
            whole = each(sample)(samples)
            counts = each(count)(sizes)
            if sum(counts) != len(whole):
                raise UnreadableError
            return Epoch(whole, counts, _tags(tags, draws), ended, seconds)
    raise UnreadableError


def _info(values: Mapping[str, Any]) -> LoaderInfo:
    for name in ("length", "samples"):
        optional(count)(values[name])
    count(values["workers"])
    for name in ("by_index", "streams", "replaced", "drops", "whole", "wrapped"):
        flag(values[name])
    optional(flag)(values["shuffled"])
    return LoaderInfo(**values)


def _tags(tags: Any, draws: Any) -> list[Tag]:
    """Return the tags; tags of the same fetch share a list of draws."""
    known = [tuple(each(_named_state)(drew)) for drew in each(several)(draws)]
    rows = each(row(_number, _number, count))(tags)
    if any(which >= len(known) for _, _, which in rows):
        raise UnreadableError
    return [Tag(index, worker, known[which]) for index, worker, which in rows]


# Forms of received parts

Form = Callable[[Any], Any]
"""Returns a value that has the form, and raises :class:`UnreadableError` for any other."""

_MAX_NUMBER = 2**62


def _number(value: Any) -> int:
    if type(value) is not int or not -_MAX_NUMBER < value < _MAX_NUMBER:
        raise UnreadableError
    return value


def count(value: Any) -> int:
    """A number of things."""
    if _number(value) < 0:
        raise UnreadableError
    return int(value)


def flag(value: Any) -> bool:
    """Yes or no."""
    if type(value) is not bool:
        raise UnreadableError
    return value


def several(value: Any) -> Sequence[Any]:
    """A list."""
    if type(value) not in {list, tuple}:
        raise UnreadableError
    return value  # type: ignore[no-any-return]


def each(form: Form) -> Form:
    """A list of parts of a form."""
    return lambda value: [form(part) for part in several(value)]


def row(*forms: Form) -> Form:
    """A fixed number of parts, each with its form."""

    def read_row(value: Any) -> tuple[Any, ...]:
        if len(several(value)) != len(forms):
            raise UnreadableError
        return tuple(form(part) for form, part in zip(forms, value, strict=True))

    return read_row


def optional(form: Form) -> Form:
    """A part of a form, or ``None``."""
    return lambda value: None if value is None else form(value)


def a(kind: type) -> Form:
    """An object of a class."""

    def read_object(value: Any) -> Any:
        if type(value) is not kind:
            raise UnreadableError
        return value

    return read_object


def _named_state(value: Any) -> tuple[str, str]:
    name, state = row(a(str), a(str))(value)
    return name, state


def states(value: Any) -> dict[str, str]:
    """The states of generators by their names."""
    if type(value) is not dict or not all(type(part) is str for pair in value.items() for part in pair):
        raise UnreadableError
    return value


def sample(value: Any) -> Sample:
    """The leaves of a sample by their paths."""
    if type(value) is not dict:
        raise UnreadableError
    return {a(str)(path): _leaf(leaf) for path, leaf in value.items()}


def _leaf(leaf: Any) -> Any:
    if type(leaf) is Tensor:
        plain = leaf.dtype in PORTABLE and leaf.layout is torch.strided and leaf.device.type == "cpu"
        if not plain or not leaf.is_contiguous():
            raise UnreadableError
        return leaf.detach()
    if leaf is not None and type(leaf) not in {bool, int, float, str, Opaque}:
        raise UnreadableError
    return leaf


epoch = a(Epoch)

FORMS: Mapping[str, Form] = {
    "show": a(LoaderInfo),
    "deliver": each(epoch),
    "deliver_wrapped": each(epoch),
    "deliver_indices": optional(each(row(each(_number), each(count)))),
    "fail": optional(epoch),
    "read_directly": optional(each(sample)),
    "read_twice": row(each(sample), each(sample), each(sample)),
    "reread_one": row(row(sample, sample, sample), flag),
    "collate": each(row(sample, sample)),
    "announce": row(optional(count), optional(count)),
    "keep_batches": each(row(each(sample), each(sample))),
    "write_into": row(flag, epoch),
    "seed_and_read": each(states),
    "seed_and_begin": row(states, states),
    "set_epochs": optional(row(epoch, epoch, epoch)),
    "leave_early": optional(epoch),
    "go_straight_on": optional(row(epoch, epoch)),
    "resume": row(epoch, epoch),
    "stay": flag,
    "use_memory": optional(each(count)),
    "use": each(count),
    "count_open": row(count, count),
}
"""Forms of the results of the exercises, by the names of their functions."""

EXERCISES: Mapping[str, Exercise] = {name: getattr(exercise, name) for name in FORMS}
"""Exercises by name."""
