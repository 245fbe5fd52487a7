"""Private names of torch."""

import sys
from operator import attrgetter
from typing import Any

import torch
from torch._C import DisableTorchFunction, DisableTorchFunctionSubclass  # no public way past modes and subclasses
from torch._ops import OpOverload  # no public name of the type of an operator
from torch.autograd.graph import _engine_run_backward as call_engine  # see `BACKWARD_CODE`
from torch.nn.utils import clip_grad as clip_module  # its private functions see the calls of names that were imported
from torch.utils._python_dispatch import TorchDispatchMode  # no public way to see each operation that is dispatched
from torch.utils._python_dispatch import _disable_current_modes as disable_dispatch_modes  # nor to suspend that
from torch.utils._pytree import TreeSpec, tree_flatten, tree_leaves, tree_map, tree_unflatten  # no public functions
from torch.utils.data._utils.pin_memory import pin_memory  # `Tensor.pin_memory` takes no batch of any structure
from torch.utils.data._utils.signal_handling import _set_SIGCHLD_handler as set_sigchld_handler  # nor to set it again
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter as MultiProcessingIterator  # no public name
from torch.utils.data.dataloader import _SingleProcessDataLoaderIter as SingleProcessIterator  # no public name

# `torch.autocast(enabled=False)` is for one device, and takes longer than many an operation.
DisableAutocast = torch._C._DisableAutocast
is_any_autocast_enabled = torch._C._is_any_autocast_enabled
# `torch.set_grad_enabled` is a context, which takes longer to make.
set_grad_enabled = torch._C._set_grad_enabled
# No public way to the node that the backward pass evaluates, or to the numbers of nodes.
current_autograd_node = torch._C._current_autograd_node
next_sequence_number = torch._C._autograd._get_sequence_nr
# No public way to the norms of many tensors at once.
foreach_norm = torch._foreach_norm
# No public way to know a wrapper of `torch.func`, which has no storage.
is_functorch_wrapped_tensor = torch._C._functorch.is_functorch_wrapped_tensor
# No public way to the address of a storage itself; its data may have moved, or be missing.
storage_address = attrgetter("_cdata")
# No public way to see whether a tensor was changed in place.
version_of = attrgetter("_version")
# No public base class of dropouts, or of batch normalizations.
Dropout, BatchNorm = torch.nn.modules.dropout._DropoutNd, torch.nn.modules.batchnorm._BatchNorm
# No public way to the tensor that a view is a view of.
base_of_view = attrgetter("_base")
# No public way to the signature of an operator, and to the name of its overload.
schema_of = attrgetter("_schema")
overload_name = attrgetter("_overloadname")
# No public name of the log of the compiler, whose warnings would count as output of user code.
COMPILER_LOG = "torch._dynamo"
# `torch.autograd.grad` calls functions that other code can replace.
run_backward = torch.autograd.Variable._execution_engine.run_backward
# No public way to tell that torch itself dispatches an operation in a backward pass.
BACKWARD_CODE = call_engine.__code__

# Around `run_backward`, these are called where torch itself calls them. In torch 2.9, the first one exists for other
# uses, and adds no reference to the object: the next call would free an object that is already free.
keep_object = torch._C._stash_obj_in_tls if "_stash_obj_in_tls" in BACKWARD_CODE.co_names else None
drop_object = torch._C._remove_obj_from_tls if "_remove_obj_from_tls" in BACKWARD_CODE.co_names else None


def sequence_number(node: Any) -> int:
    """Return the number of a node; no public way to it."""
    return int(node._sequence_nr())


def loaded_compiler() -> Any:
    """Return torch's compiler if it is loaded, which takes a second; no public way to ask."""
    return sys.modules.get("torch._dynamo")


def find_device_without_compiler(error: str) -> str:
    """Return the accelerator if an error of the compiler names it and the compiler does not support it, else nothing.

    No public way to ask for the devices that the compiler supports.
    """
    device = torch.accelerator.current_accelerator()
    codegen = sys.modules.get("torch._inductor.codegen.common")
    if device is None or codegen is None or f"'{device.type}'" not in error:
        return ""
    return "" if codegen.get_scheduling_for_device(device.type) else device.type
