"""A user's data set: named as ``module:factory`` or ``file.py:factory``, made, and looked at before it is used."""

from typing import Any

from harness.calling.discovery import named
from harness.error import UsageError

_REMEDY = "name the data set as `module:name` or `file.py:name`"


def dataset(target: str, *, streams: bool = False) -> Any:
    """Load a data set.

    Returns
    -------
    dataset
        An object with ``__getitem__`` and ``__len__``, of 1 or more samples; or an iterable one.

    Raises
    ------
    UsageError
        If there is none, it cannot be made, or it is none of these.
    """
    path, _, name = target.rpartition(":")
    if not path or not name:
        raise UsageError(f"cannot load the data set `{target}`", remedy=_REMEDY)
    samples = named(path, name)
    if isinstance(samples, type) or not (_map_style(samples) or is_stream(samples)):
        samples = _created(samples, target)
    if streams and is_stream(samples):
        return samples
    if not _map_style(samples):
        only = ", which only supports iteration" if hasattr(type(samples), "__iter__") else ""
        raise UsageError(
            f"cannot use `{target}` as a data set",
            rule="it must be map-style, with `__getitem__` and `__len__`",
            value=f"an object of type {type(samples).__name__}{only}",
            remedy="define both methods",
        )
    _check_length(samples, target)
    return samples


def is_stream(samples: Any) -> bool:
    """Whether a data set is a torch ``IterableDataset``, without indices."""
    from torch.utils.data import IterableDataset

    return isinstance(samples, IterableDataset)


def _map_style(samples: Any) -> bool:
    kind = type(samples)
    # An iterable data set of torch's inherits a `__getitem__` that only raises.
    return hasattr(kind, "__getitem__") and hasattr(kind, "__len__") and not is_stream(samples)


def _created(factory: Any, target: str) -> Any:
    if not callable(factory):
        raise UsageError(
            f"cannot use `{target}` as a data set",
            rule="it must be a data set, or a callable that returns one without arguments",
            value=f"an object of type {type(factory).__name__}",
        )
    try:
        return factory()
    except Exception as error:
        raise UsageError(
            f"cannot create the data set: `{target}()` raised {type(error).__name__}: {error}",
            remedy="make it callable without arguments",
        ) from error


def _check_length(samples: Any, target: str) -> None:
    try:
        length = len(samples)
    except Exception as error:
        raise UsageError(
            f"cannot read the length of the data set `{target}`: {type(error).__name__}: {error}",
            remedy="let `__len__` return the number of samples",
        ) from error
    if length < 1:
        raise UsageError(f"the data set `{target}` is empty", rule="1 sample or more is needed", value=str(length))
