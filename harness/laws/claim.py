"""Infer the contract that a function claims by its name.

The name must consist of the words of a contract or of an alias, and of words without meaning for the operation.
``my_softmax``, ``softmax_v2`` and ``FusedRMSNorm`` claim a contract. ``sigmoid_focal_loss`` and ``softmax_backward`` do
not. If a name belongs to several contracts, the names of the arguments decide.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from harness.error import UsageError, nearest
from harness.laws.contract import Contract

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")

SAY_NOTHING = frozenset(
    {
        "a",
        "the",
        "my",
        "our",
        "own",
        "new",
        "old",
        "final",
        "v",
        "version",
        "test",
        "plain",
        "simple",
        "basic",
        "naive",
        "stable",
        "safe",
        "robust",
        "exact",
        "correct",
        "good",
        "bad",
        "broken",
        "wrong",
        "shifted",
        "fast",
        "slow",
        "faster",
        "quick",
        "optimized",
        "optimised",
        "fused",
        "online",
        "chunked",
        "blockwise",
        "rowwise",
        "batched",
        "vectorized",
        "vectorised",
        "custom",
        "manual",
        "manually",
        "scratch",
        "concise",
        "ref",
        "reference",
        "baseline",
        "torch",
        "pytorch",
        "jax",
        "jnp",
        "numpy",
        "np",
        "flax",
        "optax",
        "xla",
        "triton",
        "cuda",
        "cpu",
        "gpu",
        "llama",
        "liger",
        "eager",
        "compiled",
        "jit",
        "jitted",
        "scripted",
        "vmapped",
        "fn",
        "func",
        "function",
        "op",
        "kernel",
        "impl",
        "implementation",
        "layer",
        "module",
        "loss",
        "forward",
        "fwd",
        "mean",
        "sum",
        "elementwise",
        "batch",
        "fp",
        "bf",
        "f",
        "float",
        "half",
        "double",
    }
)
"""Words that say how, by whom or for what, and not which operation."""

ALSO_CALLED = {
    "logits": {"input", "x", "X", "scores", "outputs"},
    "probabilities": {"y_hat", "probs", "probability", "p"},
    "log_q": {"input", "log_probs", "log_input"},
}
"""Other usual names of the arguments of contracts; ``y_hat`` is a softmax's name in the book."""


def contract_of(function: Callable[..., Any], name: str, contracts: Iterable[Contract]) -> Contract:
    """Return the contract that a function claims by its name.

    Raises :class:`UsageError` if the name fits no contract, or several; the message names similar contracts.
    """
    known = list(contracts)
    for part in reversed(name.split(".")):
        claimed = _claimed(part, known)
        if len(claimed) > 1:
            claimed = _by_arguments(function, claimed)
        if len(claimed) > 1:
            own = "".join(_words(part))
            claimed = [contract for contract in claimed if _names(contract)[0] == own] or claimed
        if len(claimed) == 1:
            return claimed[0]
        if claimed:
            raise _unclear(name, [contract.name for contract in claimed])
    raise _unclear(name, _near(name.rpartition(".")[2], known))


def decisive_parameter(function: Callable[..., Any], name: str, contracts: Iterable[Contract]) -> str:
    """Return the first parameter of a function if the contract depends on it, since several have the name; else ''."""
    known = list(contracts)
    claimed = next(filter(None, (_claimed(part, known) for part in reversed(name.split(".")))), [])
    if len(claimed) < 2 or len(_by_arguments(function, claimed)) == len(claimed):
        return ""
    return next(iter(inspect.signature(function).parameters), "")


def _words(name: str) -> list[str]:
    """Return the words of a name in snake or camel case."""
    return [word.lower() for word in _WORD.findall(name)]


def _names(contract: Contract) -> list[str]:
    """Return the names of a contract as keys: lower case, without separators."""
    return ["".join(_words(name)) for name in (contract.name, *contract.aliases)]


def _claimed(name: str, contracts: Sequence[Contract]) -> list[Contract]:
    """Return the contracts that match the longest part of a name, if its other words have no meaning."""
    words = _words(name)
    for length in range(len(words), 0, -1):
        for start in range(len(words) - length + 1):
            others = words[:start] + words[start + length :]
            key = "".join(words[start : start + length])
            found = [contract for contract in contracts if key in _names(contract)]
            if found and all(word in SAY_NOTHING or word.isdecimal() for word in others):
                return found
    return []


def _by_arguments(function: Callable[..., Any], contracts: Sequence[Contract]) -> list[Contract]:
    """Return the contracts whose first argument is the function's; all of them if there is none."""
    try:
        first = next(iter(inspect.signature(function).parameters), "")
    except (TypeError, ValueError):
        return list(contracts)
    arguments = {contract.name: next(iter(contract.axes), "") for contract in contracts}
    fitting = [c for c in contracts if first in {arguments[c.name], *ALSO_CALLED.get(arguments[c.name], ())}]
    return fitting or list(contracts)


def _near(name: str, contracts: Sequence[Contract]) -> list[str]:
    """Return the contracts whose names are part of a name, or else are spelled similarly."""
    key = "".join(_words(name))
    parts = [
        (len(own), contract.name) for contract in contracts for own in _names(contract) if len(own) > 3 and own in key
    ]
    longest = max((length for length, _ in parts), default=0)
    return [found for length, found in parts if length == longest] or nearest(
        name, [contract.name for contract in contracts]
    )


def _unclear(name: str, near: Sequence[str]) -> UsageError:
    options = " or ".join(f"`--contract {contract}`" for contract in dict.fromkeys(near))
    return UsageError(
        f"cannot infer the contract of `{name}` from its name",
        remedy=f"did you mean {options}?"
        if options
        else "pass `--contract NAME` (see `harness list --contracts`) or a `--formula`",
    )
