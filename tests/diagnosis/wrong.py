"""Declaration of a wrong function, as a student or an engineer writes it, and of the name of its mistake."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Wrong:
    """A wrong function, its contract, and the keys of the variants that name the mistake."""

    function: Callable[..., Any]
    contract: str
    names: tuple[str, ...]
    declares: Mapping[str, Any] = field(default_factory=dict)


WRONG: list[Wrong] = []
"""All of them, in the order of the modules: those at odd places were held back until the variants were final."""


def wrong(contract: str, *names: str, **declares: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the function below; each name may be one key or several keys joined by `+`."""

    def added(function: Callable[..., Any]) -> Callable[..., Any]:
        WRONG.append(Wrong(function, contract, names, declares))
        return function

    return added
