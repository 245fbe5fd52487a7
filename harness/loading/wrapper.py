"""A wrapper of a data set, and its insertion into an existing loader."""

from typing import Any


class Wrapper:
    """Replaces a data set, and forwards all attributes to it except the wrapper's own attributes.

    It also has the class of the data set, for loaders that check the class.

    Parameters
    ----------
    dataset
        The data set.
    own
        Attributes of the wrapper itself, by name.
    """

    def __init__(self, dataset: Any, **own: Any) -> None:
        self.__dict__.update(_inner=dataset, **own)

    @property  # type: ignore[misc]  # an object may override its class, as mocks do
    def __class__(self) -> Any:
        return type(self.__dict__["_inner"]) if "_inner" in self.__dict__ else Wrapper

    def __reduce__(self) -> Any:
        return _again, (type(self), dict(self.__dict__))  # otherwise an object with another class is not pickled

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
    """Replace the data set or sampler of a loader permanently; torch refuses an assignment after its creation."""
    loader.__dict__.update(parts)
