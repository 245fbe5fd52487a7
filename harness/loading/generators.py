"""Random number generators: which ones a data set can use, and digests of their states."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import torch

GLOBAL: tuple[tuple[str, Any], ...] = (("random", random), ("numpy.random", np.random), ("torch", torch))
"""The global generators."""

_DEEP, _MANY = 4, 400


def find_generators(thing: Any) -> list[tuple[str, Any]]:
    """Return the names and random number generators that a data set can use."""
    return [*GLOBAL, *_walk(thing, "its data set", set(), _DEEP)]


_OWN = "its data set."

_KINDS = (np.random.Generator, np.random.RandomState, random.Random, torch.Generator)


def _walk(thing: Any, name: str, visited: set[int], deep: int) -> Iterator[tuple[str, Any]]:
    if id(thing) in visited or len(visited) > _MANY:
        return
    visited.add(id(thing))
    if isinstance(thing, _KINDS):
        is_own = name.startswith(_OWN)
        yield f"`{name.removeprefix(_OWN)}` of its data set" if is_own else f"`{name}`", thing
        return
    if deep == 0 or isinstance(thing, str | bytes | int | float | torch.Tensor | np.ndarray | type):
        return
    for called, value in _list_parts(thing, name):
        yield from _walk(value, called, visited, deep - 1)


def _list_parts(thing: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the parts of an object, and the objects that a function refers to, with their names."""
    if isinstance(thing, list | tuple):
        yield from ((f"{name}[{index}]", value) for index, value in enumerate(thing[:16]))
    elif isinstance(thing, dict):
        yield from ((f"{name}[{key!r}]", thing[key]) for key in list(thing)[:16])
    elif isinstance(thing, FunctionType):
        yield from _list_function_parts(thing, name)
    elif isinstance(thing, MethodType):
        yield from ((name, thing.__self__), (name, thing.__func__))
    elif isinstance(thing, partial):
        yield from ((name, part) for part in (thing.func, thing.args, thing.keywords))
    else:
        yield from ((f"{name}.{key}", value) for key, value in getattr(thing, "__dict__", {}).items())
        for method in ("__getitem__", "__getitems__", "__iter__", "__call__"):
            if isinstance(function := getattr(type(thing), method, None), FunctionType):
                yield from _list_function_parts(function, name)


def _list_function_parts(function: FunctionType, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the closure and defaults of a function, and the generators and functions of its module that it uses."""
    for called, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        with suppress(ValueError):  # an empty cell
            yield f"{name}.{called}", cell.cell_contents
    yield from ((name, default) for default in function.__defaults__ or ())
    for called in function.__code__.co_names:
        value = function.__globals__.get(called)
        is_own = isinstance(value, FunctionType) and value.__module__ == function.__module__
        if is_own or isinstance(value, _KINDS):
            yield called, value


def read_states(generators: Sequence[tuple[str, Any]]) -> dict[str, str]:
    """Return a digest of the state for each generator."""
    return {name: _read_state(source) for name, source in generators}


def _read_state(source: Any) -> str:
    if source is random or isinstance(source, random.Random):
        _, numbers, following = source.getstate()
        raw = repr((hash(numbers), following)).encode()  # the hash of whole numbers is the same in each process
    elif source is np.random or isinstance(source, np.random.RandomState):
        state = source.get_state(legacy=False)
        raw = state["state"]["key"].tobytes() + repr((state["state"]["pos"], state["has_gauss"])).encode()
    elif isinstance(source, np.random.Generator):
        raw = repr(source.bit_generator.state).encode()
    else:
        current = torch.get_rng_state() if source is torch else source.get_state()
        raw = current.cpu().numpy().tobytes()
    return blake2b(raw, digest_size=12).hexdigest()


def get_setter(source: Any) -> tuple[Callable[[Any], object], Any]:
    """Return the function that sets the state of a generator, and its state."""
    if isinstance(source, np.random.Generator):
        return partial(setattr, source.bit_generator, "state"), source.bit_generator.state
    if source is torch:
        return torch.set_rng_state, torch.get_rng_state()
    if isinstance(source, torch.Generator | np.random.RandomState) or source is np.random:
        return source.set_state, source.get_state()
    return source.setstate, source.getstate()


def changed_states(before: dict[str, str], after: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the generators whose states differ, each with its state before."""
    return tuple((name, before[name]) for name in before if before[name] != after.get(name))


def global_states() -> dict[str, str]:
    """Return digests of the states of the global generators."""
    return read_states(GLOBAL)


def seed_all(seed: int) -> None:
    """Seed the global generators, so that code that seeds them again is noticed."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the generator that everybody shares
    torch.manual_seed(seed)
