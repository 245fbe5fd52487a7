"""Results of exercises as plain parts, which another process sends, and the judge validates."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Self

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, TypeAdapter, model_validator
from torch import Tensor

from harness.loading import exercise
from harness.loading.content import PORTABLE, Opaque, portable
from harness.loading.reader import Epoch, Exercise
from harness.loading.source import LoaderInfo
from harness.loading.tagged import Tag

_STRICT = ConfigDict(strict=True, extra="forbid")
_MAX_NUMBER = 2**62

Number = Annotated[int, Field(gt=-_MAX_NUMBER, lt=_MAX_NUMBER)]
Count = Annotated[int, Field(ge=0, lt=_MAX_NUMBER)]


def outward(value: Any) -> Any:
    """Return a result whose parts can all be sent to another process."""
    if isinstance(value, Epoch):
        # Fetches are distinguished by the identity of their draws, which may be equal.
        draws = {id(tag.drew): tag.drew for tag in value.tags}
        places = {key: place for place, key in enumerate(draws)}
        tags = [(tag.index, tag.worker, places[id(tag.drew)]) for tag in value.tags]
        facts = {"sizes": value.sizes, "ended": value.ended, "seconds": value.seconds}
        return {"samples": outward(value.samples), "tags": tags, "draws": list(draws.values()), **facts}
    if isinstance(value, LoaderInfo):
        return asdict(value)
    if type(value) in {list, tuple}:
        return type(value)(map(outward, value))
    if type(value) is dict:
        return {key: outward(part) for key, part in value.items()}
    leaf = portable(value)
    return asdict(leaf) if isinstance(leaf, Opaque) else leaf


class _SentEpoch(BaseModel):
    model_config = _STRICT

    samples: "list[_Sample]"
    sizes: list[Count]
    tags: list[tuple[Number, Number, Count]]
    """Index, worker, and place of the draws, for each sample."""
    draws: list[tuple[tuple[str, str], ...]]
    ended: bool
    seconds: Annotated[float, Field(ge=0.0)]

    @model_validator(mode="after")
    def _add_up(self) -> Self:
        if sum(self.sizes) != len(self.samples) or any(place >= len(self.draws) for _, _, place in self.tags):
            raise ValueError
        return self

    def epoch(self) -> Epoch:
        tags = [Tag(index, worker, self.draws[place]) for index, worker, place in self.tags]
        return Epoch(self.samples, self.sizes, tags, self.ended, self.seconds)


class _SentInfo(BaseModel):
    model_config = _STRICT

    data_set: None
    by_index: bool
    streams: bool
    length: Count | None
    samples: Count | None
    shuffled: bool | None
    replaced: bool
    drops: bool
    whole: bool
    workers: Count
    wrapped: bool

    def info(self) -> LoaderInfo:
        return LoaderInfo(**dict(self))


class _SentLeaf(BaseModel):
    model_config = _STRICT

    kind: str
    digest: str


def _read_leaf(leaf: Any) -> Any:
    if type(leaf) is Tensor:
        is_plain = leaf.dtype in PORTABLE and leaf.layout is torch.strided and leaf.device.type == "cpu"
        if not is_plain or not leaf.is_contiguous():
            raise ValueError
        return leaf.detach()
    if type(leaf) is dict:
        return Opaque(**dict(_SentLeaf.model_validate(leaf)))
    if leaf is not None and type(leaf) not in {bool, int, float, str}:
        raise ValueError
    return leaf


_Sample = dict[str, Annotated[Any, PlainValidator(_read_leaf)]]
_Samples = list[_Sample]
_Epoch = Annotated[_SentEpoch, AfterValidator(_SentEpoch.epoch)]
_States = dict[str, str]
_Pair = Field(min_length=2, max_length=2)

_RESULTS: Mapping[str, Any] = {
    "show": Annotated[_SentInfo, AfterValidator(_SentInfo.info)],
    "deliver": list[_Epoch],
    "deliver_wrapped": list[_Epoch],
    "deliver_indices": list[tuple[list[Number], list[Count]]] | None,
    "fail": _Epoch | None,
    "read_directly": _Samples | None,
    "read_twice": tuple[_Samples, _Samples, _Samples],
    "reread_one": tuple[Annotated[_Samples, Field(min_length=3, max_length=3)], bool],
    "collate": list[tuple[_Sample, _Sample]],
    "announce": tuple[Count | None, Count | None],
    "keep_batches": list[tuple[_Samples, _Samples]],
    "write_into": tuple[bool, _Epoch],
    "seed_and_read": list[_States],
    "seed_and_begin": Annotated[list[_States], _Pair],
    "set_epochs": Annotated[list[_Epoch], Field(min_length=3, max_length=3)] | None,
    "leave_early": _Epoch | None,
    "go_straight_on": Annotated[list[_Epoch], _Pair] | None,
    "resume": Annotated[list[_Epoch], _Pair],
    "stay": bool,
    "use_memory": list[Count] | None,
    "use": list[Count],
    "count_open": Annotated[list[Count], _Pair],
}

_SentEpoch.model_rebuild()

RESULTS = {name: TypeAdapter[Any](kind, config=None if name == "show" else _STRICT) for name, kind in _RESULTS.items()}
"""Validators of the results of the exercises, by the names of their functions."""

SAMPLES = TypeAdapter[Any](_Samples, config=_STRICT)
"""Validator of samples."""

EXERCISES: Mapping[str, Exercise] = {name: getattr(exercise, name) for name in RESULTS}
"""Exercises by name."""
