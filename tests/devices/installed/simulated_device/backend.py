"""Registration in torch, and the operations: each is carried out at once on the CPU, and charged to the machine.

A tensor of the device has memory of the host, to which it refers as any tensor to its own; DLPack names the device. So
strides, views and saved tensors of autograd are those of torch.
"""

import ctypes
import os
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from simulated_device.machine import HOST
from simulated_device.memory import MEMORY, with_memory
from simulated_device.timeline import DEVICE, Event, Stream, choose, current

NAME = "sim"
CPU_DEVICE, EXTENSION_DEVICE = 1, 12
"""Numbers of devices in DLPack."""

CPU_KEY = torch._C.DispatchKeySet(torch._C.DispatchKey.CPU)
COPIES = {"aten::_copy_from", "aten::_copy_from_and_resize"}
INDICES = {"aten::index", "aten::index_put_", "aten::_index_put_impl_"}
"""Operations whose operands may be on the CPU too."""

WAITING = {"aten::nonzero", "aten::masked_select", "aten::_unique2"}
"""Operations whose result has a shape that the host waits for."""

PRODUCTS = {"aten::mm": 0, "aten::bmm": 0, "aten::addmm": 1, "aten::mv": 0, "aten::dot": 0, "aten::baddbmm": 1}
"""Products, and the place of their first factor."""


LARGE = 2**23
"""Elements of an operand beyond which operations that measure the machine are charged, and not carried out."""


# Placement


def _capsule_device(capsule: Any) -> ctypes.c_int32:
    """Return the device's number in a capsule of DLPack, after the pointer to the data."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return ctypes.c_int32.from_address(pointer(capsule, b"dltensor") + ctypes.sizeof(ctypes.c_void_p))


def _relabel(x: Tensor, number: int) -> Tensor:
    capsule = torch.utils.dlpack.to_dlpack(x.detach())  # type: ignore[attr-defined]
    _capsule_device(capsule).value = number
    return torch.utils.dlpack.from_dlpack(capsule)


def place(x: Tensor) -> Tensor:
    """Return a tensor of the device with the memory of one of the CPU."""
    placed = _relabel(x, EXTENSION_DEVICE)
    MEMORY.add(placed)
    return placed


def on_cpu(x: Any) -> Any:
    """Return what the CPU sees of an argument."""
    if isinstance(x, Tensor) and x.device.type == NAME:
        return _relabel(x, CPU_DEVICE)
    return torch.device("cpu") if isinstance(x, torch.device) and x.type == NAME else x


# Operations


def run(op: Any, *args: Any, **kwargs: Any) -> Any:
    """Carry out an operation, and charge it to the device."""
    begin_use()
    schema = op._schema
    is_view = any(value.alias_info is not None and not value.alias_info.is_write for value in schema.returns)
    if is_view or schema.name == "aten::set_":
        return op.redispatch(CPU_KEY, *args, **kwargs)  # torch's own code, which reads no memory
    with HOST.stop(), torch._C._AutoDispatchBelowAutograd():
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        _refuse_misplaced(schema.name, tensors)
        resizes = schema.name == "aten::resize_"
        out = kwargs.get("out")
        seen = {id(x): on_cpu(x).clone() if resizes or x is out or not x.numel() else on_cpu(x) for x in tensors}
        given = tree_map(lambda x: seen[id(x)] if isinstance(x, Tensor) else on_cpu(x), (args, kwargs))
        if any(argument.name == "generator" for argument in schema.arguments):
            given[1]["generator"] = given[1].get("generator") or GENERATOR
        call = _copy if schema.name in COPIES else op
        if tensors and tensors[0].numel() > LARGE and all(x.device.type == NAME for x in tensors):
            call = SKIPPED.get(schema.name, call)
        result = call(*_round_factors(schema.name, given[0]), **given[1])
        for x in (x for x in tensors if x.shape != seen[id(x)].shape):
            torch.ops.aten.set_.source_Tensor(x, place(seen[id(x)]))
        if out is not None:
            on_cpu(out).copy_(seen[id(out)])
        originals = {id(seen[id(x)]): x for x in tensors}
        placed = tree_map(lambda x: originals.get(id(x)) if id(x) in originals else _place_result(x), result)
        _charge(schema.name, tensors, placed, args, kwargs)
    return placed


def _copy(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:  # noqa: FBT002 - as torch's
    return target.copy_(source, non_blocking)


SKIPPED: dict[str, Any] = {
    "aten::mm": lambda a, b, *, out=None: a.new_zeros(len(a), b.shape[1]) if out is None else out,
    "aten::sum": lambda x, *_, dtype=None, out=None: x.new_zeros((), dtype=dtype) if out is None else out,
    "aten::_copy_from": lambda _, target, *__: target,
    "aten::zero_": lambda x: x,
    "aten::fill_": lambda x, *_: x,
}
"""Operations on large tensors of the device that are charged, and not carried out."""


def _place_result(x: Any) -> Any:
    return place(x) if isinstance(x, Tensor) else x


def _refuse_misplaced(name: str, tensors: list[Tensor]) -> None:
    others = {str(x.device) for x in tensors if x.device.type != NAME and x.dim()}
    if others and name not in COPIES | INDICES and any(x.device.type == NAME for x in tensors):
        found = ", ".join(sorted({f"{NAME}:0"} | others))
        raise RuntimeError(f"Expected all tensors to be on the same device, but found at least two devices: {found}")


def _round_factors(name: str, args: Any) -> Any:
    """Keep ten bits of the factors of a product in float32, if the user allows it."""
    if name not in PRODUCTS or torch.get_float32_matmul_precision() == "highest" or args[0].dtype != torch.float32:
        return args
    first = PRODUCTS[name]
    kept = [((x.view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32) for x in args[first : first + 2]]
    return (*args[:first], *kept, *args[first + 2 :])


def _charge(name: str, tensors: list[Tensor], result: Any, args: Any, kwargs: Any) -> None:
    queue = current().queue
    if name in COPIES and any(x.device.type != NAME for x in tensors[:2]):
        there, host = sorted(tensors[:2], key=lambda x: x.device.type != NAME)
        pinned, size = MEMORY.is_pinned(host), there.numel() * there.element_size()
        asks = bool(kwargs.get("non_blocking") or (len(args) > 2 and args[2]))
        waits = not (asks and pinned)
        DEVICE.transfer(queue, size, there.untyped_storage().data_ptr(), pinned=pinned, waits=waits)
        return
    leaves = [x for x in (*tensors, *tree_leaves(result)) if isinstance(x, Tensor) and x.device.type == NAME]
    if "empty" not in name:
        touched = {x.untyped_storage().data_ptr(): x.numel() * x.element_size() for x in leaves}
        if name == "aten::zero_" and not DEVICE.parameters.fills_cached:
            touched = {}
        DEVICE.launch(queue, touched, _count_operations(name, args, result))
    if name in WAITING or any(not isinstance(x, Tensor) and x is not None for x in tree_leaves(result)):
        DEVICE.synchronize(queue)


def _count_operations(name: str, args: Any, result: Any) -> float:
    """Return the operations of a product, in those of float32."""
    if name not in PRODUCTS:
        return 0.0
    factor = args[PRODUCTS[name]]
    faster = 2 if factor.element_size() == 2 or torch.get_float32_matmul_precision() != "highest" else 1
    return 2.0 * float(result.numel() * factor.shape[-1]) / faster


# Registration

MADE_WITHIN_TORCH = (
    torch.ops.aten.empty.memory_format,
    torch.ops.aten.empty_strided.default,
    torch.ops.aten._copy_from.default,
)
"""Operations by which torch makes a tensor of a list; it finds no fallback for them while a dispatch mode is active."""

GENERATOR = torch.Generator()
_first_process: list[int] = []


def begin_use() -> None:
    """Begin to use the device, which no forked process can do after its parent."""
    if not _first_process:
        _first_process.append(os.getpid())
    elif is_in_bad_fork():
        reason = f"Cannot re-initialize {NAME} in forked subprocess."
        raise RuntimeError(f"{reason} To use {NAME} with multiprocessing, you must use the 'spawn' start method")


def is_in_bad_fork() -> bool:
    """Whether this process was forked from one that used the device."""
    return bool(_first_process) and _first_process[0] != os.getpid()


def is_available() -> bool:
    """Whether there is a device; as on CUDA, no process that is forked later can use it."""
    if not _first_process:
        _first_process.append(os.getpid())
    return not is_in_bad_fork()


def synchronize(*_: object) -> None:
    """Wait for all streams."""
    begin_use()
    DEVICE.synchronize()


def register() -> None:
    """Register the device, and let the functions of torch that have no hook in Python reach it."""
    at = DEVICE.parameters
    properties = SimpleNamespace(name="Simulated", L2_cache_size=at.reported_l2_bytes or at.l2_bytes)
    module = SimpleNamespace(
        is_available=is_available,
        is_initialized=lambda: bool(_first_process),
        device_count=lambda: int(is_available()),
        current_device=lambda: 0,
        _is_in_bad_fork=is_in_bad_fork,
        manual_seed_all=GENERATOR.manual_seed,
        get_rng_state=lambda *_: GENERATOR.get_state(),
        set_rng_state=lambda state, *_: GENERATOR.set_state(state),
        get_amp_supported_dtype=lambda: [torch.float16, torch.bfloat16],
        is_tf32_supported=lambda: True,
        get_device_name=lambda *_: "Simulated",
        get_device_properties=lambda *_: properties,
        clock_rate=lambda *_: at.clock_mhz * DEVICE.share,
    )
    _setup_privateuseone_for_python_backend(NAME, backend_module=module)
    _keep.append(torch.library.Library("_", "IMPL"))
    _keep[0].fallback(run, "PrivateUse1")
    _keep.append(torch.library.Library("aten", "IMPL"))
    for op in MADE_WITHIN_TORCH:
        _keep[1].impl(op, partial(run, op), "PrivateUse1")
    functions = {"synchronize": synchronize, "current_stream": current, "set_stream": choose}
    for name, function in functions.items():
        setattr(torch.accelerator, name, function)
    with_memory(torch.accelerator)
    torch.Event, torch.Stream = Event, Stream  # type: ignore[misc, assignment]


_keep: list[torch.library.Library] = []
