"""The objects with which a step computes: models, optimizers, tensors, and others with a state."""

import io
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from harness.error import UsageError, shorten_error
from harness.sameness.modules import is_user_file, is_user_module

_CONTAINERS = (list, tuple, set, frozenset)


def find_objects(function: Any) -> dict[str, Any]:
    """Return the objects that a function reads, also through other functions of the user, by their paths."""
    found: dict[str, Any] = {}
    seen: set[int] = set()
    waiting = [("", function)]
    while waiting:
        path, value = waiting.pop(0)
        if id(value) not in seen:
            seen.add(id(value))
            if isinstance(value, Tensor) or has_state(value):
                found[path if path not in found else f"{path} {len(found)}"] = value
            waiting.extend((f"{path}.{name}".lstrip("."), child) for name, child in _list_children(value))
    return found


def has_state(value: Any) -> bool:
    """Whether an object has a state that can be saved and loaded."""
    return all(callable(getattr(type(value), name, None)) for name in ("state_dict", "load_state_dict"))


def _list_children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, nn.Module | torch.optim.Optimizer | torch.optim.lr_scheduler.LRScheduler | Tensor):
        return
    if isinstance(value, partial):
        yield from (("", child) for child in (value.func, value.args, value.keywords))
    elif isinstance(value, MethodType):
        yield from (("", child) for child in (value.__self__, value.__func__))
    elif isinstance(value, FunctionType) and is_user_file(value.__code__.co_filename):
        yield from zip(value.__code__.co_freevars, _read_cells(value), strict=False)
        yield from (("", x) for x in (value.__defaults__ or ()))
        names = dict.fromkeys(_list_names(value.__code__))
        globals_ = [(name, value.__globals__[name]) for name in names if name in value.__globals__]
        yield from globals_
        for name, module in globals_:
            if isinstance(module, ModuleType) and is_user_module(module.__name__):
                yield from ((f"{name}.{inner}", vars(module)[inner]) for inner in names if inner in vars(module))
    elif isinstance(value, dict):
        yield from ((str(key), child) for key, child in value.items())
    elif isinstance(value, _CONTAINERS):
        yield from ((str(index), child) for index, child in enumerate(value))
    elif not isinstance(value, type | ModuleType) and is_user_module(type(value).__module__):
        yield from vars(value).items() if hasattr(value, "__dict__") else ()
        yield from (("", x) for x in vars(type(value)).values() if isinstance(x, FunctionType))


def _read_cells(function: FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # a variable without a value
            yield None


def _list_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _list_names(constant)


def list_buffers(objects: Mapping[str, Any]) -> list[tuple[str, Tensor]]:
    """Return the buffers of the models, with names that count equal ones."""
    named: list[tuple[str, Tensor]] = []
    numbers: Counter[str] = Counter()
    for module in (x for x in objects.values() if isinstance(x, nn.Module)):
        for path, buffer in module.named_buffers():
            name = f"buffer {path.rpartition('.')[2]} {list(buffer.shape)}"
            numbers[name] += 1
            named.append((name + (f" number {numbers[name]}" if numbers[name] > 1 else ""), buffer))
    return named


def list_weights(objects: Mapping[str, Any]) -> list[Tensor]:
    """Return the tensors that a step can train."""
    weights = [x for x in objects.values() if isinstance(x, Tensor) and x.requires_grad and x.is_leaf]
    models = [x for x in objects.values() if isinstance(x, nn.Module)]
    unique = {id(x): x for x in (*weights, *(p for model in models for p in model.parameters()))}
    return [x for x in unique.values() if x.requires_grad]


def list_batch(objects: Mapping[str, Any], parts: int) -> list[Tensor]:
    """Return the tensors without gradients that have the most frequent length of all, which is a batch's."""
    tensors = [x for x in objects.values() if isinstance(x, Tensor) and not x.requires_grad and x.ndim]
    lengths = Counter(len(x) for x in tensors if len(x) >= parts)
    length = max(lengths, key=lambda length: (lengths[length], length), default=None)
    return [x for x in tensors if len(x) == length]


def save_state(objects: Mapping[str, Any]) -> bytes:
    """Save the weights, and the states of objects that have one.

    Raises
    ------
    UsageError
        If there is no state, or torch cannot save it.
    """
    state = {path: x.detach() if isinstance(x, Tensor) else x.state_dict() for path, x in _list_stateful(objects)}
    if not state:
        rule = "the step must read a weight, a model, an optimizer, or another object with `state_dict`"
        raise UsageError("cannot resume the step", rule=rule)
    file = io.BytesIO()
    try:
        torch.save(state, file)
    except Exception as error:
        raise UsageError("cannot save the state of the step", rule=f"it raises {shorten_error(error)}") from error
    return file.getvalue()


def load_state(objects: Mapping[str, Any], saved: bytes) -> None:
    """Load a saved state into the objects of the same paths.

    Raises
    ------
    UsageError
        If an object refuses its state.
    """
    state = torch.load(io.BytesIO(saved), weights_only=False)
    for path, x in _list_stateful(objects):
        try:
            if isinstance(x, Tensor):
                x.detach().copy_(state[path])
            else:
                x.load_state_dict(state[path])
        except Exception as error:
            rule = f"`{path}` raises {shorten_error(error)}"
            raise UsageError("cannot load the state of the step", rule=rule) from error


def _list_stateful(objects: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return objects with a state; the state of an object includes the states of its attributes."""
    own = [path for path, x in objects.items() if has_state(x)]
    items = [(path, x) for path, x in objects.items() if has_state(x) or (x.requires_grad and x.is_leaf)]
    return [(path, x) for path, x in items if not any(path != outer and path.startswith(f"{outer}.") for outer in own)]
