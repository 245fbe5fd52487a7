"""The declaration of a case: one implementation under test and what it claims.

This is all that a folder of specimens imports from the harness. It imports no torch.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

FLOATS = ("float64", "float32", "bfloat16", "float16")
"""The dtypes a case is checked in unless it says otherwise."""

UNCLAIMED = ("bfloat16", "float16")
"""The dtypes that a single function claims only if the user names dtypes; it is checked in them all the same."""


@dataclass(frozen=True)
class Break:
    """A failure that is known, and expected, in some dtypes only.

    Parameters
    ----------
    reason
        Why the law fails, with the breaking point in closed form where there is one.
    dtypes
        The dtypes in which it fails.
    """

    reason: str
    dtypes: tuple[str, ...] = FLOATS


@dataclass(frozen=True)
class Case:
    """One implementation under test.

    Parameters
    ----------
    function
        The implementation: a function, a class or a factory with the contract's signature.
    contract
        Name of the contract it claims; empty where its own name says it.
    breaks
        Laws it is known to break, each with its reason. Not finding a declared failure is as much an error as
        finding an undeclared one.
    declares
        Conventions in which the contract leaves a choice, for example ``{"factor": 0.5}``.
    attains
        Laws of lost digits that it is to keep, although careful implementations may break them: there, breaking one is
        a defect.
    breaks_at
        Closed forms of breaking points by law and ray, for example ``{("value", "spike"): "ln(max + ulp/2)"}``. A
        survey that finds another breaking point says so.
    dtypes
        Names of the torch dtypes it claims.
    style
        ``scratch`` or ``concise``; taken from the module's name when absent, ``foreign`` where that says nothing.
    name
        Identifier in every output; ``family.module.function`` when absent, the function alone in a notebook.
    target
        How the command line names it: ``module:function`` when absent.
    call
        How it is called where it has another signature, or computes on other arrays than torch's:
        ``call(function, *inputs)``, or the text that stands for such an adapter on the command line.
    """

    function: Callable[..., Any]
    contract: str
    breaks: Mapping[str, str | Break] = field(default_factory=dict)
    declares: Mapping[str, Any] = field(default_factory=dict)
    attains: tuple[str, ...] = ()
    breaks_at: Mapping[tuple[str, str], str | Break] = field(default_factory=dict)
    dtypes: tuple[str, ...] = FLOATS
    style: str = ""
    name: str = ""
    target: str = ""
    call: str | Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        """Derive style, name and target from where the function is defined."""
        if self.style and self.target and self.name:
            return
        module, function = _place(self.function)
        parts = module.split(".")
        if not self.style:
            object.__setattr__(self, "style", parts[-1] if parts[-1] in {"scratch", "concise"} else "foreign")
        if not self.target:
            object.__setattr__(self, "target", f"{module}:{function}")
        if not self.name:
            # What a notebook or a program defines has no module that a reader would know it by.
            home = [] if module == "__main__" else parts[-2:]
            object.__setattr__(self, "name", ".".join([*home, function]))

    @property
    def family(self) -> str:
        """The folder the case belongs to: the first part of its name."""
        return self.name.split(".", 1)[0]

    def declared_break(self, law: str, dtype: str) -> str | None:
        """Return the declared reason why ``law`` fails in ``dtype``; ``None`` where it is to hold."""
        return _declared(self.breaks.get(law), dtype)

    def declared_point(self, law: str, ray: str, dtype: str) -> str | None:
        """Return the closed form at which ``law`` is declared to fail along ``ray``; ``None`` where none is."""
        return _declared(self.breaks_at.get((law, ray)), dtype)


def _place(function: Any) -> tuple[str, str]:
    """The module and the name from which a function is imported; those of its kind where it has none of its own.

    What is compiled may know its name alone, as the functions of ``scipy.special`` do and the ufuncs of JAX, and what
    was wrapped bears the place of its wrapper, as those of ``autograd`` do: then it is looked for.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    own = getattr(function, "__name__", None)
    if isinstance(own, str) and (name is None or "<locals>" in str(name)):
        known = [at for at, one in list(sys.modules.items()) if getattr(one, "__dict__", {}).get(own) is function]
        public = [at for at in known if not any(part.startswith("_") for part in at.split("."))]
        if known:
            return min(public or known, key=lambda at: (at.count("."), at)), own
    return module or type(function).__module__, name or type(function).__qualname__


def _declared(declared: str | Break | None, dtype: str) -> str | None:
    if isinstance(declared, Break):
        return declared.reason if dtype in declared.dtypes else None
    return declared
