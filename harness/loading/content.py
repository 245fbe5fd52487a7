"""Samples of a batch, identified by content, in any nesting of tensors.

A batch is a tensor or array, or a nesting of them in tuples, lists, mappings and objects. A sample is their slice at
the same index of the first axis. Samples are stored as leaves by path, such as ``0`` or ``1.label``. A digest of dtype,
shape and bytes identifies a sample.
"""

import pickle
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from hashlib import blake2b
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import ConfigDict, Field, PlainSerializer, PlainValidator, TypeAdapter
from torch import Tensor

_MAX_NUMBER = 2**62
"""A larger number is no tensor's."""

Number = Annotated[int, Field(gt=-_MAX_NUMBER, lt=_MAX_NUMBER)]
Count = Annotated[int, Field(ge=0, lt=_MAX_NUMBER)]
"""Numbers in the results of another process."""

STRICT = ConfigDict(strict=True, extra="forbid")
"""Results of another process have the types of their annotations."""

Digest = str
"""Two samples with one digest are taken for one."""


@dataclass(frozen=True)
class Opaque:
    """A leaf that cannot leave its process, represented by its kind and a digest.

    Parameters
    ----------
    kind
        Name of its class.
    digest
        Of its content.
    """

    kind: str
    digest: Digest


def _read_leaf(leaf: Any) -> Any:
    """Return a leaf that another process sent: a plain tensor, number or word, or what stands for another object."""
    if type(leaf) is Tensor:
        is_plain = leaf.dtype in PORTABLE and leaf.layout is torch.strided and leaf.device.type == "cpu"
        if not is_plain or not leaf.is_contiguous():
            raise ValueError
        return leaf.detach()
    if leaf is not None and type(leaf) not in {bool, int, float, str}:
        return TypeAdapter(Opaque).validate_python(leaf)
    return leaf


def _write_leaf(leaf: Any) -> Any:
    """Return what stands for a leaf in another process: itself if it is a plain tensor, number or word."""
    if isinstance(leaf, Tensor) and leaf.dtype in PORTABLE and leaf.layout is torch.strided and not leaf.is_nested:
        return leaf.as_subclass(Tensor).contiguous()
    if leaf is None or type(leaf) in {bool, float} or (type(leaf) is int and abs(leaf) < _MAX_NUMBER):
        return leaf
    if type(leaf) is str and len(leaf) < _LONGEST:
        return leaf
    return {"kind": get_kind(leaf), "digest": leaf_digest(leaf)}


Sample = dict[str, Annotated[Any, PlainValidator(_read_leaf), PlainSerializer(_write_leaf)]]
"""The leaves of a sample by their paths: tensors, words, or whatever else there is; annotated for their transfer."""


class Samples(list[Any]):
    """Samples that were not collated."""


def split_samples(batch: Any, *, whole: bool = False) -> list[Sample]:
    """Take a batch apart; the leaves are copies."""
    if isinstance(batch, Samples):
        return [dict(_list_leaves(sample, "")) for sample in batch]
    size = None if whole else count_samples(batch)
    if size is None:
        return [dict(_list_leaves(batch, ""))]
    columns = list(_list_columns(batch, size, ""))
    return [dict(leaf for path, values in columns for leaf in _list_leaves(values[i], path)) for i in range(size)]


def count_samples(part: Any) -> int | None:
    """Return the number of samples in a batch; ``None`` if no part has a first axis."""
    if isinstance(part, Tensor | np.ndarray):
        return len(part) if part.ndim else None
    if isinstance(part, Samples):
        return len(part)
    named = named_parts(part)
    if named is not None:
        # A list may contain samples or parts; the first axis of an array is unambiguous.
        arrays = [count_samples(value) for value in named.values() if isinstance(value, Tensor | np.ndarray)]
        return _commonest(arrays) or _commonest([count_samples(value) for value in named.values()])
    if not isinstance(part, list | tuple):
        return None
    if _are_samples(part):
        return len(part)
    sizes = [count_samples(value) for value in part]
    if sizes and None not in sizes and len(set(sizes)) == 1 and not all(isinstance(value, list) for value in part):
        return sizes[0]
    if all(isinstance(value, Tensor | np.ndarray) for value in part) or all(size is None for size in sizes):
        return len(part)
    return _commonest(sizes)


def _commonest(sizes: Sequence[int | None]) -> int | None:
    counts = Counter(size for size in sizes if size is not None)
    return counts.most_common(1)[0][0] if counts else None


def named_parts(part: Any) -> Mapping[str, Any] | None:
    """Return the named parts of an object; ``None`` if it has none."""
    if isinstance(part, Mapping):
        return {str(name): value for name, value in part.items()}
    if hasattr(part, "_fields") and isinstance(part, tuple):
        return dict(zip(getattr(part, "_fields", ()), part, strict=True))
    if is_dataclass(part) and not isinstance(part, type):
        return {entry.name: getattr(part, entry.name) for entry in fields(part)}
    if isinstance(part, _PLAIN) or not hasattr(part, "__dict__") or callable(part):
        return None
    return {name: value for name, value in vars(part).items() if isinstance(value, Tensor | np.ndarray | list)} or None


_PLAIN = (Tensor, np.ndarray, np.generic, list, tuple, str, bytes, int, float, complex, bool, type(None))


def _list_columns(part: Any, size: int, path: str) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield the parts that have an entry for each sample, but no part that belongs to the whole batch."""
    if isinstance(part, Tensor | np.ndarray):
        if part.ndim and len(part) == size:
            yield path, list(part)
        return
    named = named_parts(part)
    if named is None and isinstance(part, list | tuple):
        if _is_of_samples(part, size):
            yield path, list(part)
            return
        named = {str(index): value for index, value in enumerate(part)}
    for name, value in (named or {}).items():
        yield from _list_columns(value, size, f"{path}.{name}" if path else name)


def _is_of_samples(part: Sequence[Any], size: int) -> bool:
    return len(part) == size and (_are_samples(part) or any(count_samples(value) != size for value in part))


def _are_samples(part: Sequence[Any]) -> bool:
    """Whether a list contains uncollated samples: equally long tuples, each with arrays and numbers or words."""
    if not part or not all(isinstance(value, tuple) and len(value) == len(part[0]) for value in part):
        return False
    kinds = (Tensor | np.ndarray, bool | int | float | str)
    return all(all(any(isinstance(leaf, kind) for leaf in value) for kind in kinds) for value in part)


def _list_leaves(part: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(part, Tensor):
        yield path, part.detach().cpu().clone()
    elif isinstance(part, np.ndarray | np.generic) and part.dtype.kind in "biufc":
        yield path, torch.from_numpy(np.array(part))
    elif isinstance(part, bool | int | float) and abs(part) < _MAX_NUMBER:
        yield path, torch.tensor(part, dtype=torch.float64 if isinstance(part, float) else None)
    else:
        named = named_parts(part)
        if named is None and isinstance(part, list | tuple):
            named = {str(index): value for index, value in enumerate(part)}
        if named is None and (part is not None or not path):  # a part that is None is absent
            yield path, part
        for name, value in (named or {}).items():
            yield from _list_leaves(value, f"{path}.{name}" if path else name)


def get_validator(kind: Any) -> TypeAdapter[Any]:
    """Return the validator of a result by its type."""
    is_record = is_dataclass(kind) or hasattr(kind, "model_config")
    return TypeAdapter(kind, config=None if is_record else STRICT)


SAMPLES = get_validator(list[Sample])
"""Validator of samples."""


def digests(*several: Sequence[Sample]) -> list[list[Digest]]:
    """Return digests of samples that are to be compared with one another.

    Notes
    -----
    A leaf with several shapes has no fixed length, or is padded to the longest sample of its batch. A value counts as
    padding if the lists agree better after it is cut from the end of each leaf. Two samples that differ only in the
    amount of padding have the same digest.
    """
    padding = _find_padding(several)
    return [[digest(sample, padding) for sample in samples] for samples in several]


def digest(sample: Sample, padding: Mapping[str, Any] | None = None) -> Digest:
    """Return the digest of a sample; see :func:`digests`."""
    state = blake2b(digest_size=12)
    for path, leaf in sorted(sample.items()):
        state.update(path.encode())
        state.update(_get_bytes(_trim(leaf, padding[path]) if padding and path in padding else leaf))
    return state.hexdigest()


def leaf_digest(leaf: Any) -> Digest:
    """Return the digest of a leaf."""
    return blake2b(_get_bytes(leaf), digest_size=12).hexdigest()


def get_kind(leaf: Any) -> str:
    """Return the name of the class of a leaf."""
    return leaf.kind if isinstance(leaf, Opaque) else type(leaf).__name__


PORTABLE = frozenset(
    {
        *(torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
        *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    }
)
"""Tensors of these dtypes are themselves in another process too."""

_LONGEST = 2**16
"""Characters of a word that is itself there."""


def _get_bytes(leaf: Any) -> bytes:
    if isinstance(leaf, Opaque):
        return f"{leaf.kind} {leaf.digest}".encode()
    if isinstance(leaf, Tensor):
        if leaf.layout is not torch.strided:
            leaf = leaf.to_dense()
        raw = leaf.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if leaf.numel() else b""
        return f"{leaf.dtype}{tuple(leaf.shape)}".encode() + raw
    if hasattr(leaf, "tobytes") and callable(leaf.tobytes):  # an image of PIL's
        return bytes(leaf.tobytes())
    if isinstance(leaf, str | bytes | int | float | None):
        return repr(leaf).encode()
    try:
        return pickle.dumps(leaf)
    except Exception:  # noqa: BLE001 - somebody else's object; its type is all that is known of it
        return type(leaf).__qualname__.encode()


def _find_padding(several: Sequence[Sequence[Sample]]) -> dict[str, float]:
    """Return the padding value of each path with padded leaves."""
    shapes: dict[str, set[tuple[int, ...]]] = {}
    for sample in (sample for samples in several for sample in samples):
        for path, leaf in sample.items():
            if isinstance(leaf, Tensor) and leaf.ndim:
                shapes.setdefault(path, set()).add(tuple(leaf.shape))
    padding_values: dict[str, float] = {}
    for path in (path for path, sizes in shapes.items() if len(sizes) > 1):
        columns = [[leaf for sample in samples if isinstance(leaf := sample.get(path), Tensor)] for samples in several]
        if (padding := _choose_padding(columns)) is not None:
            padding_values[path] = padding
    return padding_values


def _choose_padding(columns: Sequence[Sequence[Tensor]]) -> float | None:
    """Return the value at the end of leaves whose removal makes the lists agree best; ``None`` if none does."""
    marks = [[leaf_digest(leaf) for leaf in column] for column in columns]
    best, best_common = None, _count_common(marks)
    common_marks = set(marks[0]).intersection(*marks[1:])  # padded leaves are not among them, and may be few
    pairs = (pair for column, digests in zip(columns, marks, strict=True) for pair in zip(column, digests, strict=True))
    ends = Counter(leaf.flatten()[-1].item() for leaf, mark in pairs if leaf.numel() and mark not in common_marks)
    for value, _ in ends.most_common(_TRIED):
        common = _count_common([[leaf_digest(_trim(leaf, value)) for leaf in column] for column in columns])
        if common > best_common:
            best, best_common = value, common
    return best


_TRIED = 4
"""Values at the end that are tried for padding."""


def _count_common(lists: Sequence[Sequence[Digest]]) -> int:
    first = Counter(lists[0])
    return sum((first & Counter(digests)).total() for digests in lists[1:])


def _trim(leaf: Any, padding: float) -> Any:
    """A tensor without the padding at the end of its first axis."""
    if not isinstance(leaf, Tensor) or not leaf.ndim or not len(leaf):
        return leaf
    rows = (leaf != padding).reshape(len(leaf), -1).any(1).nonzero()
    return leaf[: int(rows[-1]) + 1 if len(rows) else 0]
