"""Results of exercises as plain parts, which another process sends, and the judge validates."""

from dataclasses import asdict
from typing import Annotated, Any, Self, get_type_hints

import torch
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, TypeAdapter, create_model, model_validator
from torch import Tensor

from harness.loading.content import PORTABLE, Count, Number, Opaque, portable
from harness.loading.reader import Epoch
from harness.loading.source import LoaderInfo
from harness.loading.tagged import Tag

_STRICT = ConfigDict(strict=True, extra="forbid")


def to_plain(value: Any) -> Any:
    """Return a result whose parts can all be sent to another process."""
    if isinstance(value, Epoch):
        # Fetches are distinguished by the identity of their draws, which may be equal.
        draws = {id(tag.drew): tag.drew for tag in value.tags}
        places = {key: place for place, key in enumerate(draws)}
        tags = [(tag.index, tag.worker, places[id(tag.drew)]) for tag in value.tags]
        facts = {"sizes": value.sizes, "ended": value.ended, "seconds": value.seconds}
        return {"samples": to_plain(value.samples), "tags": tags, "draws": list(draws.values()), **facts}
    if isinstance(value, LoaderInfo):
        return asdict(value)
    if type(value) in {list, tuple}:
        return type(value)(map(to_plain, value))
    if type(value) is dict:
        return {key: to_plain(part) for key, part in value.items()}
    leaf = portable(value)
    return asdict(leaf) if isinstance(leaf, Opaque) else leaf


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


SampleData = dict[str, Annotated[Any, PlainValidator(_read_leaf)]]
"""A sample; the annotation validates it. :data:`EpochData` and :data:`InfoData` do the same for other results."""


class _SentEpoch(BaseModel):
    model_config = _STRICT

    samples: list[SampleData]
    sizes: list[Count]
    tags: list[tuple[Number, Number, Count]]
    """Index, worker, and place of the draws, for each sample."""
    draws: list[tuple[tuple[str, str], ...]]
    ended: bool
    seconds: Annotated[float, Field(ge=0.0)]

    @model_validator(mode="after")
    def _check_counts(self) -> Self:
        if sum(self.sizes) != len(self.samples) or any(place >= len(self.draws) for _, _, place in self.tags):
            raise ValueError
        return self

    def epoch(self) -> Epoch:
        tags = [Tag(index, worker, self.draws[place]) for index, worker, place in self.tags]
        return Epoch(self.samples, self.sizes, tags, self.ended, self.seconds)


_FIELDS = get_type_hints(LoaderInfo, include_extras=True) | {"data_set": None}
_SentInfo = create_model(  # type: ignore[call-overload]
    "_SentInfo", __config__=_STRICT, **{name: (kind, ...) for name, kind in _FIELDS.items()}
)

EpochData = Annotated[Epoch, PlainValidator(lambda sent: _SentEpoch.model_validate(sent).epoch())]
InfoData = Annotated[LoaderInfo, PlainValidator(lambda sent: LoaderInfo(**dict(_SentInfo.model_validate(sent))))]


def validator_of(kind: Any) -> TypeAdapter[Any]:
    """Return the validator of a result by its type."""
    return TypeAdapter(kind, config=None if kind is InfoData else _STRICT)


SAMPLES = validator_of(list[SampleData])
"""Validator of samples."""
