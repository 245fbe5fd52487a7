"""A function that stands in for one in another process: it asks, and autograd goes back through it by asking."""

import weakref
from collections.abc import Iterable, Mapping, Sequence
from inspect import Parameter, Signature
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from harness.calling.device import CPU
from harness.calling.surroundings import ElsewhereError
from harness.case import Break, Case


class Asked(Protocol):
    """Who is asked."""

    views: list[tuple[int, Any]]

    @property
    def generation(self) -> int:
        """Which process it is."""

    def carried_out(self, what: str, tensors: Iterable[Tensor], device: str, **facts: Any) -> dict[str, Any]:
        """Ask for something of an implementation's, and raise what it raises."""

    def dropped(self, handle: int, generation: int) -> None:
        """Let go of what was kept of a call."""


class StandIn:
    """Stands in for an implementation.

    Parameters
    ----------
    surroundings
        Where it is called.
    index
        Of the case there.
    facts
        What is said of it there.
    """

    def __init__(self, surroundings: Asked, index: int, facts: Mapping[str, Any]) -> None:
        self.surroundings, self.index = surroundings, index
        self.is_adapted = facts["adapted"] is True
        names = facts["parameters"]
        if names is not None:
            parameters = [Parameter(str(name), Parameter.POSITIONAL_OR_KEYWORD) for name in names]
            self.__signature__ = Signature(parameters)

    def __call__(self, *inputs: Any) -> Any:
        """Call it on the CPU."""
        return self.on(CPU, *inputs)[0]

    def on(self, device: str, *inputs: Any) -> tuple[Any, dict[str, Any]]:
        """Call it there on a device; return what it says, and the answer of the process."""
        calling = _Calling(self.surroundings, self.index, device, inputs)
        tensors = [x for x in inputs if isinstance(x, Tensor)]
        if torch.is_grad_enabled() and any(x.requires_grad for x in tensors):
            leaves = _Forward.apply(calling, *tensors)  # type: ignore[no-untyped-call]
        else:
            leaves = calling.ask(tensors)
        return calling.value(leaves or []), calling.answer


class _Calling:
    """One call, and what was answered."""

    def __init__(self, surroundings: Asked, index: int, device: str, inputs: Sequence[Any]) -> None:
        self.surroundings, self.index, self.device, self.inputs = surroundings, index, device, inputs
        self.answer: dict[str, Any] = {}

    def ask(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Ask, and return the tensors of the answer."""
        given = iter(tensors)
        inputs = [next(given) if isinstance(x, Tensor) else x for x in self.inputs]
        inputs = [_requiring(x, like) for x, like in zip(inputs, self.inputs, strict=True)]
        self.answer = self.surroundings.carried_out(
            "call", [x for x in inputs if isinstance(x, Tensor)], self.device, case=self.index, inputs=inputs
        )
        self._parts, self._tree = tree_flatten(self.answer.pop("value"))
        self.handle = self.answer.get("handle")
        self.generation = self.surroundings.generation
        if isinstance(self.handle, int):
            weakref.finalize(self, self.surroundings.dropped, self.handle, self.generation)
        views = self.answer.get("views", [])
        self.surroundings.views += [(self.handle or 0, view) for view in views]
        return [x for x in self._parts if isinstance(x, Tensor)]

    def value(self, leaves: Sequence[Tensor]) -> Any:
        """What was answered, with tensors that autograd knows; they are not kept, since they would keep this one."""
        known, parts = iter(leaves), self._parts
        self._parts = []
        return tree_unflatten([next(known) if isinstance(x, Tensor) else x for x in parts], self._tree)


def _requiring(x: Any, like: Any) -> Any:
    """What the function of autograd is given requires nothing; what it was given from may have."""
    if isinstance(x, Tensor) and x.requires_grad != like.requires_grad:
        return x.detach().requires_grad_(like.requires_grad)
    return x


class _Forward(torch.autograd.Function):
    """A call through which autograd goes back."""

    @staticmethod
    def forward(ctx: Any, calling: _Calling, *tensors: Tensor) -> Any:
        """Ask for the value."""
        with torch.enable_grad():
            leaves = calling.ask(tensors)
        flags = [x.requires_grad for x in leaves]
        leaves = [x.detach() for x in leaves]
        ctx.calling = calling
        ctx.save_for_backward(*tensors)
        ctx.mark_non_differentiable(*(x for x, flag in zip(leaves, flags, strict=True) if not flag))
        return tuple(leaves) if leaves else None

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Any:
        """Ask for the gradient, in a way that can be differentiated where that is wanted."""
        tensors = ctx.saved_tensors
        create = torch.is_grad_enabled()
        found = _Backward.apply(ctx.calling, create, len(tensors), *tensors, *cotangents)  # type: ignore[no-untyped-call]
        return None, *(found if isinstance(found, tuple) else (found,))


class _Backward(torch.autograd.Function):
    """The backward pass of a call."""

    @staticmethod
    def forward(ctx: Any, calling: _Calling, create: Any, count: int, *tensors: Any) -> Any:
        """Ask for the gradients of the inputs that require one."""
        cotangents = [x if create or x is None else x.detach() for x in tensors[count:]]
        wanted = [x for x in calling.inputs if isinstance(x, Tensor)]
        with torch.enable_grad():
            answer = calling.surroundings.carried_out(
                "backward",
                [],
                calling.device,
                case=calling.index,
                handle=calling.handle,
                cotangents=cotangents,
                create=create,
            )
        found = iter(_gradients(answer, [x for x in wanted if x.requires_grad]))
        gradients = [next(found) if like.requires_grad else None for like in wanted]
        calling.surroundings.views += [(calling.handle or 0, view) for view in answer.get("views", [])]
        ctx.calling, ctx.handle, ctx.generation = calling, answer.get("handle"), calling.surroundings.generation
        ctx.cotangents = [g is not None for g in cotangents]
        flags = [x is not None and x.requires_grad for x in gradients]
        gradients = [None if x is None else x.detach() for x in gradients]
        ctx.mark_non_differentiable(
            *(x for x, flag in zip(gradients, flags, strict=True) if x is not None and not flag)
        )
        return tuple(gradients)

    @staticmethod
    def backward(ctx: Any, *directions: Tensor) -> Any:
        """Ask for the second derivative."""
        calling = ctx.calling
        wanted = [x for x in calling.inputs if isinstance(x, Tensor)]
        kept = [g for g, like in zip(directions, wanted, strict=True) if like.requires_grad]
        with torch.enable_grad():
            answer = calling.surroundings.carried_out(
                "twice", [], calling.device, case=calling.index, handle=ctx.handle, cotangents=kept
            )
        found = list(answer["value"])
        of_inputs = [found.pop(0) if x.requires_grad and found else None for x in wanted]
        of_cotangents = [found.pop(0) if known and found else None for known in ctx.cotangents]
        return None, None, None, *of_inputs, *of_cotangents


def _gradients(answer: dict[str, Any], likes: list[Tensor]) -> list[Tensor | None]:
    """The gradients that were answered: tensors, or none."""
    found = answer["value"]
    if not isinstance(found, list) or len(found) != len(likes):
        raise ElsewhereError("no gradient for each input")
    return [x if isinstance(x, Tensor) else None for x in found]


def declared(function: StandIn, facts: Mapping[str, Any]) -> Case:
    """Return a case as its package declares it; what is no text is made one."""
    call = facts["call"]
    return Case(
        function,
        str(facts["contract"]),
        name=str(facts["name"]),
        style=str(facts["style"]),
        target=str(facts["target"]),
        dtypes=tuple(map(str, facts["dtypes"])),
        attains=tuple(map(str, facts["attains"])),
        declares={str(name): value for name, value in facts["declares"].items()},
        breaks={str(law): _reason(why) for law, why in facts["breaks"].items()},
        breaks_at={(str(law), str(ray)): _reason(why) for law, ray, why in facts["breaks_at"]},
        call=call if isinstance(call, str) else (_adapted if function.is_adapted else None),
    )


def _reason(why: Any) -> str | Break:
    return str(why) if isinstance(why, str) else Break(str(why[0]), tuple(map(str, why[1])))


def _adapted(*_: Any) -> Any:
    """Stand for an adapter that is known there."""
    raise AssertionError("it is called where it was loaded")
