"""Changes under which a function or a step runs; importing this module does not import torch."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from harness.error import UsageError, did_you_mean, join_names
from harness.record import Record


class Kind(NamedTuple):
    """A kind of change: its targets and its default value; ``None`` if it needs one."""

    applies_to: Literal["function", "step", "both"]
    default: str | None = ""
    is_number: bool = False


KINDS = {
    "compile": Kind("both", "inductor"),
    "autocast": Kind("both", "bfloat16"),
    "threads": Kind("both", "1", is_number=True),
    "seed": Kind("both"),
    "processor": Kind("both", "AVX2"),
    "release": Kind("both", None),
    "device": Kind("both", None),
    "batch": Kind("function"),
    "accumulation": Kind("step", None, is_number=True),
    "resume": Kind("step"),
    "foreach": Kind("step"),
    "fused": Kind("step"),
}


KEEPING = ("threads", "seed", "processor", "release")
"""Changes that leave the code unchanged, so that it need not be a function of tensors."""


class Change(Record):
    """A kind of change, and its value; empty if the kind has none."""

    kind: str
    value: str

    def __str__(self) -> str:
        """Return it as in the option."""
        return f"{self.kind}={self.value}" if self.value else self.kind


def read_change(text: str) -> Change:
    """Return the change of an option, such as ``accumulation=4``.

    Raises
    ------
    UsageError
        If there is none of this name, or its value does not fit.
    """
    name, separator, value = text.partition("=")
    kind = KINDS.get(name)
    if kind is None:
        rule, remedy = f"choose from {join_names(KINDS)}", did_you_mean(name, KINDS)
        raise UsageError(f"unknown change `{name}`", rule=rule, remedy=remedy)
    if not separator and kind.default is not None:
        return Change(kind=name, value=kind.default)
    if not value or (kind.default == "" and separator):
        rule = f"write `{name}=VALUE`" if kind.default != "" else f"`{name}` has no value"
        raise UsageError(f"cannot read `--under {text}`", rule=rule)
    if kind.is_number and not (value.isdecimal() and int(value) > (name == "accumulation")):
        least = 2 if name == "accumulation" else 1
        raise UsageError(f"cannot read `--under {text}`", rule=f"it must be a number from {least}", value=f"`{value}`")
    return Change(kind=name, value=value)


def require_fit(change: Change, *, is_step: bool) -> None:
    """Raise a usage error if a change does not apply to a function, or to a step."""
    applies_to = KINDS[change.kind].applies_to
    if applies_to not in {"both", "step" if is_step else "function"}:
        rule = "only a step takes no arguments" if applies_to == "step" else "a step takes no arguments"
        raise UsageError(f"cannot apply `{change}`", rule=f"it is for a {applies_to}, and {rule}")


def find_releases(first: str | None, second: str | None, under: Sequence[str]) -> tuple[str, str] | None:
    """Return two releases or interpreters, if a command names such; this one for the target ``torch``."""
    if second is not None and first is not None and (_is_release(first) or _is_release(second)):
        return first, second
    names = [text.partition("=")[::2] for text in under]
    return (names[0][1], sys.executable) if first == "torch" and [name for name, _ in names] == ["release"] else None


def _is_release(text: str) -> bool:
    return text.startswith("torch==") or (":" not in text and not text.endswith(".py") and Path(text).is_file())
