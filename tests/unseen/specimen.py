"""A function that was written before the harness saw it, with its contract or formula and an exact value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Unseen:
    """A function and the question about it.

    ``contract`` is its contract, or ``formula`` its formula with the ``kinds`` of inputs. ``truth`` computes the exact
    value with mpmath from the inputs of ``row``, with lists for rows. A wrong function differs there by more than a
    thousandth, a sound one does not. ``says`` is a pattern of the sentence that names the mistake rightly. ``mode`` is
    the way to call it in which it differs. ``loses`` has the laws that a sound function breaks nevertheless, because
    torch or its form loses a whole number there.
    """

    function: Callable[..., Any]
    contract: str = ""
    formula: str = ""
    kinds: Mapping[str, str] = field(default_factory=dict)
    row: tuple[Any, ...] = ()
    truth: Callable[..., Any] | None = None
    says: str = ""
    mode: str = ""
    loses: str = ""

    @property
    def name(self) -> str:
        """The name of the function."""
        return str(getattr(self.function, "__name__", self.function))

    @property
    def question(self) -> dict[str, Any]:
        """The arguments of a check."""
        return {"formula": self.formula, "inputs": self.kinds} if self.formula else {"contract": self.contract}


WRONG: list[Unseen] = []
SOUND: list[Unseen] = []


def _noting(found: list[Unseen], **of: Any) -> Callable[[Any], Any]:
    def note(function: Any) -> Any:
        found.append(Unseen(function, **of))
        return function

    return note


def wrong(contract: str = "", says: str = "", **of: Any) -> Callable[[Any], Any]:
    """Note the wrong function below."""
    return _noting(WRONG, contract=contract, says=says, **of)


def sound(contract: str = "", **of: Any) -> Callable[[Any], Any]:
    """Note the sound function below."""
    return _noting(SOUND, contract=contract, **of)
