"""The declaration of a case: one implementation under test and its contract.

A package of cases imports nothing else from the harness. This module does not import torch.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

FLOATS = ("float64", "float32", "bfloat16", "float16")
"""The default dtypes of a case."""

UNCLAIMED = ("bfloat16", "float16")
"""The dtypes that a single function claims only if the user names dtypes; it is checked in them all the same."""


@dataclass(frozen=True)
class Break:
    """A known failure in some dtypes only.

    Parameters
    ----------
    reason
        Why the law fails, with the closed form of the breaking point if there is one.
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
        Name of its contract; if empty, inferred from the name of the function.
    breaks
        Known failures: laws that it breaks, each with its reason. A declared failure that does not occur is an error
        too.
    declares
        Conventions that it follows where the contract allows several, for example ``{"factor": 0.5}``.
    attains
        Laws about lost digits that it must satisfy, although careful implementations may break them. Breaking such a
        law is then a defect.
    breaks_at
        Closed forms of breaking points by law and ray, for example ``{("value", "spike"): "ln(max + ulp/2)"}``. A
        survey reports a breaking point that differs.
    dtypes
        Names of the torch dtypes that it supports.
    style
        ``scratch`` or ``concise``; by default from the name of the module, otherwise ``foreign``.
    name
        Identifier in every output; by default ``family.module.function``, and in a notebook only the function.
    target
        Its name on the command line; by default ``module:function``.
    call
        Adapter for another signature or another array library: ``call(function, *inputs)``, or its name on the command
        line.
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
        """Derive style, name and target from the place where the function is defined."""
        if self.style and self.target and self.name:
            return
        module, function = _find_place(self.function)
        parts = module.split(".")
        if not self.style:
            object.__setattr__(self, "style", parts[-1] if parts[-1] in {"scratch", "concise"} else "foreign")
        if not self.target:
            object.__setattr__(self, "target", f"{module}:{function}")
        if not self.name:
            # A function of a notebook or a program has no module name that a reader knows.
            home = [] if module == "__main__" else parts[-2:]
            object.__setattr__(self, "name", ".".join([*home, function]))

    @property
    def family(self) -> str:
        """The folder the case belongs to: the first part of its name."""
        return self.name.split(".", 1)[0]

    def declared_break(self, law: str, dtype: str) -> str | None:
        """Return the declared reason why ``law`` fails in ``dtype``; ``None`` if it should hold."""
        return _find_declared(self.breaks.get(law), dtype)

    def declared_point(self, law: str, ray: str, dtype: str) -> str | None:
        """Return the declared closed form at which ``law`` fails along ``ray``; ``None`` if there is none."""
        return _find_declared(self.breaks_at.get((law, ray)), dtype)


def _find_place(function: Any) -> tuple[str, str]:
    """Return the module and the name of a function, or of its type if the function has none.

    Compiled functions may have only a name, such as the functions of ``scipy.special`` and the ufuncs of JAX. Wrapped
    functions have the module of their wrapper, such as the functions of ``autograd``. Such functions are searched in
    the loaded modules.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    short_name = getattr(function, "__name__", None)
    if isinstance(short_name, str) and (name is None or "<locals>" in str(name)):
        loaded = list(sys.modules.items())
        owners = [path for path, owner in loaded if getattr(owner, "__dict__", {}).get(short_name) is function]
        public = [path for path in owners if not any(part.startswith("_") for part in path.split("."))]
        if owners:
            return min(public or owners, key=lambda path: (path.count("."), path)), short_name
    return module or type(function).__module__, name or type(function).__qualname__


def _find_declared(declared: str | Break | None, dtype: str) -> str | None:
    if isinstance(declared, Break):
        return declared.reason if dtype in declared.dtypes else None
    return declared
