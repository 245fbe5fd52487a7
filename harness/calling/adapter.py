"""Adapters: call a function with another signature or on other arrays, as the laws of a contract do.

An adapter is ``adapter(function, *inputs)``. It calls the function on suitable inputs and returns the result, which may
be a NumPy array or an array with DLPack support. One is given by name, with keywords for the function where it needs
some, ``jax(axis=-1)``; as a Python expression; as ``file.py:adapter``; or, in Python, as itself. Modules and optimizers
need no adapter.
"""

import ast
import copy
import inspect
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.dlpack import from_dlpack

from harness.calling import jax_bridge
from harness.calling.discovery import attribute
from harness.calling.model import UnfitModelError
from harness.case import Case
from harness.compat.torch import COMPILER_LOG
from harness.error import UsageError, join_names

Adapter = Callable[..., Any]
"""``adapter(function, *inputs)`` returns the function's result for the inputs."""


class NotApplicable(Exception):  # noqa: N818 - not an error: the verdict is that there is nothing to say
    """Raised if a law does not apply to an implementation; the message is the reason."""


# Named adapters

NO_BFLOAT16 = "NumPy has no bfloat16"
NUMPY_IS_ON_THE_CPU = "NumPy computes on the CPU"
NO_AUTOGRAD = "it computes on arrays, which autograd cannot follow back to the input"
NO_MODULE = "it is no module"
ADAPTER_DETACHES = "its adapter returns a result that autograd cannot follow back to the input"


def call_on_numpy(function: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
    """Call on NumPy arrays, which share the tensors' memory."""
    return function(*(_convert_to_jax(x) if isinstance(x, Tensor) else x for x in inputs), **options)


def call_on_jax(function: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
    """Call on JAX arrays; float64 needs ``JAX_ENABLE_X64=1`` in the environment."""
    return jax_bridge.call_jax(function, inputs, options)


def _convert_to_jax(x: Tensor) -> Any:
    if x.dtype is torch.bfloat16:
        raise NotApplicable(NO_BFLOAT16)
    if x.requires_grad:
        raise NotApplicable(NO_AUTOGRAD)
    return x.numpy()


NAMED: Mapping[str, Adapter] = {"numpy": call_on_numpy, "jax": call_on_jax}
"""The adapters that have a name."""


# Which adapter


@cache
def adapter_of(call: str | Adapter) -> Adapter:
    """Return the adapter that a name, ``file.py:function``, ``module:function`` or an expression stands for.

    A name may have keywords behind it, with which the function is called.

    Raises
    ------
    UsageError
        If it stands for nothing that can be called.
    """
    if callable(call):
        return call
    if named := _NAME.fullmatch(call):
        return _find_adapter(*named.groups(default=""))
    adapter = attribute(*call.split(":")) if _PLACE.fullmatch(call) else _evaluate_expression(call)
    if not callable(adapter):
        value = f"an object of type {type(adapter).__name__}"
        raise UsageError(f"cannot use `--call {call}`", rule="an adapter must be callable", value=value, remedy=_REMEDY)
    return adapter  # type: ignore[no-any-return]


_PLACE = re.compile(r"[\w./\\-]+:[A-Za-z_][\w.]*")
_NAME = re.compile(rf"\s*({'|'.join(NAMED)})\s*(?:\((.*)\))?\s*", re.DOTALL)
_OF_JAX = re.compile(r"\b(jax|jnp)\b")
_REMEDY = (
    f"use {join_names(NAMED)} (optionally with keywords), `file.py:adapter` or a Python expression, "
    "such as `lambda f, x: f(x, dim=-1)`"
)

_ON_DEMAND = {"jax": "jax", "jnp": "jax.numpy"}
"""Modules that are imported only if an expression names them, by that name."""


def _find_adapter(name: str, keywords: str) -> Adapter:
    """Return the adapter with a name; keywords are passed on to the function."""
    if name in _ON_DEMAND.values():
        _evaluate_expression(name)
    options = _evaluate_expression(f"dict({keywords})")
    return partial(NAMED[name], **options) if options else NAMED[name]


def _evaluate_expression(expression: str) -> Any:
    names = {"torch": torch, "F": functional, "nn": nn, "np": np, "numpy": np}
    try:
        named = {node.id for node in ast.walk(ast.parse(expression, mode="eval")) if isinstance(node, ast.Name)}
        names |= {name: import_module(_ON_DEMAND[name]) for name in named & _ON_DEMAND.keys()}
        return eval(expression, names)  # noqa: S307 - of the user's own command line
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it is the user's to mend
        problem = f"cannot evaluate `--call {expression}`: {type(error).__name__}: {error}"
        raise UsageError(problem, remedy=_REMEDY) from None


def compiles_each_shape(case: Case) -> bool:
    """Whether a case computes on JAX arrays, so that each shape costs a compilation.

    This follows from the adapter alone, so that the drawn examples depend neither on the process nor on earlier checks.
    """
    call = unwrap_bridge(case).call
    return isinstance(call, str) and _OF_JAX.search(call) is not None


def call_case(case: Case, inputs: Sequence[Any], of_model: Adapter | None = None, **options: Any) -> Any:
    """Call a case on the inputs of its contract.

    Raises
    ------
    NotApplicable
        If a module does not fit, or the adapter has nothing to call it on.
    """
    function = case.function
    if case.call is None and of_model is not None and is_model(function):
        return _require_fit(of_model, function, inputs)
    if isinstance(function, nn.Module):
        function = _copy_like(function, inputs)
    if case.call is not None:
        return adapter_of(case.call)(function, *inputs, **options)
    if _is_class(function, nn.Module):
        return _copy_like(_instantiate(function), inputs)(*inputs)
    if _is_class(function, torch.optim.Optimizer):
        return _step(function, *inputs)
    return function(*inputs, **options)


def instantiate_case(case: Any) -> Any:
    """Return the case with an instance if its function is a module class without an adapter."""
    if case.call is not None or not _is_class(case.function, nn.Module):
        return case
    return SimpleNamespace(function=_instantiate(case.function), call=None)


def switch_mode(case: Any) -> Any:
    """Return a case whose module is a copy in its other mode: evaluation where it was in training mode.

    Raises
    ------
    NotApplicable
        If it is no module.
    """
    module = instantiate_case(case).function
    if not isinstance(module, nn.Module):
        raise NotApplicable(NO_MODULE)
    return SimpleNamespace(function=copy.deepcopy(module).train(not module.training), call=case.call)


def change_case(case: Any, *, switched: bool = False, compiled: bool = False) -> Any:
    """Return a case with its module in the other mode, or with its function compiled.

    The backend traces the code like the default one, but generates none, which would take a minute of a C++ compiler.
    """
    if switched:
        return switch_mode(case)
    if not compiled:
        return case
    if case.function not in _compiled:
        compiled_function: Any = torch.compile(instantiate_case(case).function, backend="aot_eager")
        _compiled[case.function] = _silence_compiler()(compiled_function)
    return SimpleNamespace(function=_compiled[case.function], call=case.call)


@contextmanager
def _silence_compiler() -> Iterator[None]:
    """Suppress the compiler's warnings, such as of a branch on a value: user code did not print them."""
    logger = logging.getLogger(COMPILER_LOG)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


_compiled: dict[Any, Any] = {}
"""Compiled functions and modules, by their source."""


class Witness:
    """A function that records whether autograd can follow its calls through an adapter.

    Parameters
    ----------
    function
        The function.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.taken: bool | None = None
        self.given: bool | None = None

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Call the function."""
        output = self._function(*inputs, **options)
        self.taken = any(isinstance(x, Tensor) and x.requires_grad for x in (*inputs, *options.values()))
        self.given = output.requires_grad if isinstance(output, Tensor) else None
        return output

    def __getattr__(self, name: str) -> Any:
        """Look other attributes up on the function."""
        return getattr(self._function, name)


def detaches(case: Case, inputs: Sequence[Any]) -> bool:
    """Whether autograd cannot follow the adapter of a case, although it can follow the function."""
    if case.call is None:
        return False
    function = case.function
    witness = Witness(_copy_like(function, inputs) if isinstance(function, nn.Module) else function)
    adapter_of(case.call)(witness, *inputs)
    return witness.taken is False or witness.given is True


def is_model(function: Any) -> bool:
    """True if a function is a module or a module class."""
    return isinstance(function, nn.Module) or _is_class(function, nn.Module)


def _require_fit(of_model: Adapter, model: Any, inputs: Sequence[Any]) -> Any:
    """Return the result of a model, or raise if it does not fit."""
    try:
        return of_model(model, *inputs)
    except UnfitModelError as error:
        raise NotApplicable(str(error)) from error


def _is_class(function: Any, base: type) -> bool:
    return isinstance(function, type) and issubclass(function, base)


def _instantiate(model: Callable[..., nn.Module]) -> nn.Module:
    """Return an instance of a module class, with arguments from ``get_init_inputs`` in its file."""
    arguments = getattr(model, "forward").__globals__.get("get_init_inputs", list)()  # noqa: B009 - a class
    return model(*arguments)


def _copy_like(module: nn.Module, inputs: Sequence[Any]) -> nn.Module:
    """Return a copy of the module whose parameters have the dtype and the device of the inputs."""
    floating = next((x for x in inputs if isinstance(x, Tensor) and x.is_floating_point()), None)
    parameter = next((p for p in (*module.parameters(), *module.buffers()) if p.is_floating_point()), None)
    if (
        floating is None
        or parameter is None
        or (parameter.dtype, parameter.device) == (floating.dtype, floating.device)
    ):
        return module
    return copy.deepcopy(module).to(floating.device, floating.dtype)


def _step(optimizer: Callable[..., Any], parameter: Tensor, gradient: Tensor, lr: float, *settings: Any) -> Tensor:
    """Take one step of a fresh optimizer, or with momentum one step for each of several gradients."""
    names = ("momentum", "weight_decay", "nesterov")
    moved = nn.Parameter(parameter.detach().clone())
    stepping = optimizer([moved], lr=lr, **dict(zip(names, settings, strict=False)))
    for step_gradient in gradient if settings else (gradient,):
        moved.grad = step_gradient.detach().clone()
        stepping.step()
    return moved.detach()


@dataclass(frozen=True)
class Bridge:
    """A case as one function, which calls the implementation through its adapter, or as the module that it is.

    Parameters
    ----------
    case
        The case.
    """

    case: Case

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Call the implementation; the options go to the adapter."""
        if self.is_remote:
            return self.case.function(*inputs, **options)
        if self.case.call is None:
            return call_case(self.case, inputs)
        return convert_to_tensors(adapter_of(self.case.call)(self.case.function, *inputs, **options))

    @property
    def is_remote(self) -> bool:
        """Whether the implementation and its adapter are in another process."""
        return getattr(self.case.function, "is_adapted", False) is True

    @property
    def __signature__(self) -> inspect.Signature:
        """The signature of the adapter without the function; a module takes anything."""
        if self.is_remote:
            return self.case.function.bridge  # type: ignore[attr-defined, no-any-return]
        if self.case.call is None:
            return inspect.signature(lambda *_: None)
        signature = inspect.signature(adapter_of(self.case.call))
        return signature.replace(parameters=list(signature.parameters.values())[1:])


def bridge_case(case: Case) -> Case:
    """Return the case without an adapter, with the signature of its contract."""
    if case.call is None and not isinstance(case.function, (nn.Module, type)):
        return case
    return replace(case, function=Bridge(case), call=None)


def unwrap_bridge(case: Case) -> Case:
    """Return the declared case."""
    return case.function.case if isinstance(case.function, Bridge) else case


def find_adapter_signature(case: Case) -> inspect.Signature | None:
    """Return the signature of a case's adapter without the function; ``None`` for a case without an adapter."""
    plain_case = unwrap_bridge(case)
    return None if plain_case.call is None else Bridge(plain_case).__signature__


def passes_inputs_on(case: Case) -> bool:
    """Whether a case's adapter is a named one, which passes its inputs on in order."""
    call = unwrap_bridge(case).call
    return isinstance(call, str) and _NAME.fullmatch(call) is not None


# What comes back


def convert_to_tensors(output: Any) -> Any:
    """Convert arrays to tensors, also in lists and tuples; other objects stay unchanged."""
    if isinstance(output, (list, tuple)):
        return type(output)(map(convert_to_tensors, output))
    if isinstance(output, np.float64):
        # A NumPy float64 scalar is a Python float.
        return float(output)
    if isinstance(output, (np.ndarray, np.generic)):
        return _convert_array(np.asarray(output))
    if not isinstance(output, Tensor) and hasattr(output, "__dlpack__"):
        return from_dlpack(output)
    return output


def _convert_array(array: Any) -> Any:
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        return array
    # Torch has no negative strides and no read-only memory.
    return torch.from_numpy(array if array.flags.writeable and min(array.strides, default=0) >= 0 else array.copy())


def explain_missing_numpy(case: Case, error: BaseException) -> str | None:
    """Return why the adapter cannot use NumPy, if it asked torch for an array that torch cannot provide.

    The same complaint from within the implementation is the implementation's failure.
    """
    if case.call is None or not isinstance(error, (RuntimeError, TypeError)) or error.__traceback__ is None:
        return None
    innermost = error.__traceback__
    while innermost.tb_next is not None:
        innermost = innermost.tb_next
    if innermost.tb_frame.f_code is not getattr(adapter_of(case.call), "__code__", None):
        return None
    if "BFloat16" in str(error):
        return NO_BFLOAT16
    if "device type tensor to numpy" in str(error):
        return NUMPY_IS_ON_THE_CPU
    return NO_AUTOGRAD if "requires grad" in str(error) else None
