"""A data set in place of another, which has all else of it; and how it comes into a loader that is made already."""

from typing import Any


class Wrapper:
    """Stands in for a data set: what is asked of it and set on it, but for what is its own, is the data set's.

    Its class too is the data set's, for loaders that ask for their own.

    Parameters
    ----------
    dataset
        The data set.
    own
        What the wrapper keeps for itself, by name.
    """

    def __init__(self, dataset: Any, **own: Any) -> None:
        self.__dict__.update(_inner=dataset, **own)

    @property  # type: ignore[misc]  # an object may say of what class it is, as mocks do
    def __class__(self) -> Any:
        return type(self.__dict__["_inner"]) if "_inner" in self.__dict__ else Wrapper

    def __reduce__(self) -> Any:
        return _again, (type(self), dict(self.__dict__))  # what has another class is not sent to workers otherwise

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_inner" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)

    @property
    def inner(self) -> Any:
        """The data set itself."""
        return self.__dict__["_inner"]


def _again(kind: type[Wrapper], state: dict[str, Any]) -> Wrapper:
    wrapper = kind.__new__(kind)
    wrapper.__dict__.update(state)
    return wrapper


def exchange(loader: Any, **parts: Any) -> None:
    """Give a loader another data set or sampler, for good: an assignment is refused by torch once it is made."""
    loader.__dict__.update(parts)
