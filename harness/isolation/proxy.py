"""A local function that calls one in another process; autograd sends a request for its backward pass, too."""

import weakref
from collections.abc import Mapping, Sequence
from inspect import Parameter, Signature
from typing import Any, Protocol

import torch
from torch import Tensor

from harness.calling.device import CPU
from harness.calling.host import RemoteError
from harness.case import Break, Case
from harness.compat.torch import tree_flatten, tree_unflatten


class Requester(Protocol):
    """Interface of the host that receives the requests."""

    views: list[tuple[int, Any]]

    @property
    def generation(self) -> int:
        """Number of the process."""

    def each(
        self, what: str, tensors: Sequence[Tensor], device: str, case: int, parts: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Send several requests to an implementation in one message, and raise the exceptions that it raises."""

    def drop(self, handle: int, generation: int) -> None:
        """Discard the stored data of a call."""


_NONE: Mapping[str, Any] = {}


class Proxy:
    """Local proxy of an implementation.

    Parameters
    ----------
    host
        Its process.
    index
        Index of the case there.
    description
        Facts about the case.
    """

    def __init__(self, host: Requester, index: int, description: Mapping[str, Any]) -> None:
        self.host, self.index = host, index
        self.is_adapted = description["adapted"] is True
        self.is_object = description["object"] is True
        self.is_module = description["model"] is True
        parameters = description["parameters"]
        if parameters is not None:
            self.__signature__ = _build_signature(parameters)
        self.bridge = _build_signature(description["bridge"] or [])
        """Signature of its adapter, or of the module itself."""

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Call it on the CPU."""
        return self.each([inputs], **options)[0]

    def each(self, calls: Sequence[Sequence[Any]], **options: Any) -> list[Any]:
        """Call the implementation on the CPU, once for each set of inputs, in one exchange."""
        return self.on(CPU, calls, options)[0]

    def on(
        self, device: str, calls: Sequence[Sequence[Any]], options: Mapping[str, Any] = _NONE
    ) -> tuple[list[Any], bool]:
        """Call it on a device, once for each set of inputs, in one message.

        Parameters
        ----------
        device
            The device.
        calls
            The inputs of each call.
        options
            Keywords of each call.

        Returns
        -------
        The results, and whether they are arrays of another library.
        """
        calling = _Calling(self.host, self.index, device, calls, options)
        tensors = calling.tensors
        if torch.is_grad_enabled() and any(x.requires_grad for x in tensors):
            leaves = _Forward.apply(calling, *tensors)  # type: ignore[no-untyped-call]
        else:
            leaves = calling.ask(tensors)
        return calling.values(leaves or []), calling.arrays


class _Calling:
    """Some calls and their replies."""

    def __init__(
        self, host: Requester, index: int, device: str, calls: Sequence[Sequence[Any]], options: Mapping[str, Any]
    ) -> None:
        self.host, self.index, self.device, self.calls, self.options = host, index, device, calls, dict(options)
        self.tensors = [x for call in calls for x in call if isinstance(x, Tensor)]
        self.arrays = False

    def each(self, what: str, parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Send a request for each call, and collect the records of the tape."""
        answers = self.host.each(what, self.tensors, self.device, self.index, parts)
        for part, answer in zip(parts, answers, strict=True):
            handle = answer.get("handle") if what == "call" else part["handle"]
            self.host.views += [(handle or 0, view) for view in answer.get("views", [])]
        return answers

    def ask(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Send the calls, and return the tensors of the replies."""
        remaining = iter(tensors)
        calls = [[_match_grad(next(remaining), x) if isinstance(x, Tensor) else x for x in call] for call in self.calls]
        options = {"options": self.options} if self.options else {}
        answers = self.each("call", [{"inputs": call, **options} for call in calls])
        self.arrays = any(answer.get("arrays") is True for answer in answers)
        values = [answer["value"] for answer in answers]
        # Torch takes long to find that a tensor has no structure.
        self._flat = [([value], None) if isinstance(value, Tensor) else tree_flatten(value) for value in values]
        self.counts = [sum(isinstance(x, Tensor) for x in parts) for parts, _ in self._flat]
        self.handles = [answer.get("handle") for answer in answers]
        for handle in self.handles:
            if isinstance(handle, int):
                weakref.finalize(self, self.host.drop, handle, self.host.generation)
        return [x for parts, _ in self._flat for x in parts if isinstance(x, Tensor)]

    def values(self, leaves: Sequence[Tensor]) -> list[Any]:
        """Return the replies with tensors known to autograd; they are not stored, to avoid a reference cycle."""
        remaining, flat, self._flat = iter(leaves), self._flat, []
        filled = [([next(remaining) if isinstance(x, Tensor) else x for x in parts], tree) for parts, tree in flat]
        return [parts[0] if tree is None else tree_unflatten(parts, tree) for parts, tree in filled]


def _build_signature(description: Sequence[Any]) -> Signature:
    """Return the signature from names, kinds and defaults that another process sent."""
    return Signature(
        [
            Parameter(str(name), _KIND[str(kind)], default=... if optional is True else Parameter.empty)
            for name, kind, optional in description
        ]
    )


_KIND: Any = type(Parameter.KEYWORD_ONLY)
"""The enumeration of the kinds of parameters."""


def _match_grad(x: Any, like: Any) -> Any:
    """Return the tensor with the ``requires_grad`` of another; autograd removes it inside a function."""
    if isinstance(x, Tensor) and x.requires_grad != like.requires_grad:
        return x.detach().requires_grad_(like.requires_grad)
    return x


class _Forward(torch.autograd.Function):
    """A call through which autograd goes back."""

    @staticmethod
    def forward(ctx: Any, calling: _Calling, *tensors: Tensor) -> Any:
        """Request the value."""
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
        """Request the gradient; it can be differentiated if autograd records."""
        tensors = ctx.saved_tensors
        create = torch.is_grad_enabled()
        gradients = _Backward.apply(ctx.calling, create, len(tensors), *tensors, *cotangents)  # type: ignore[no-untyped-call]
        return None, *(gradients if isinstance(gradients, tuple) else (gradients,))


class _Backward(torch.autograd.Function):
    """The backward pass of some calls."""

    @staticmethod
    def forward(ctx: Any, calling: _Calling, create: Any, count: int, *tensors: Any) -> Any:
        """Request the gradients of the inputs that require one."""
        cotangents = iter([x if create or x is None else x.detach() for x in tensors[count:]])
        parts = [
            {"handle": handle, "cotangents": [next(cotangents) for _ in range(count)], "create": create}
            for handle, count in zip(calling.handles, calling.counts, strict=True)
        ]
        wanted = [[x.requires_grad for x in call if isinstance(x, Tensor)] for call in calling.calls]
        with torch.enable_grad():
            replies = calling.each("backward", [part for part in parts if part["handle"] is not None])
        answers = iter(replies)
        gradients: list[Tensor | None] = []
        for part, flags in zip(parts, wanted, strict=True):
            of_call = [] if part["handle"] is None else _read_gradients(next(answers), sum(flags))
            gradients += [of_call.pop(0) if flag and of_call else None for flag in flags]
        ctx.calling, ctx.handles, ctx.wanted = calling, [answer.get("handle") for answer in replies], wanted
        ctx.cotangents = [x is not None for x in tensors[count:]]
        is_known = [x is not None and x.requires_grad for x in gradients]
        gradients = [None if x is None else x.detach() for x in gradients]
        ctx.mark_non_differentiable(
            *(x for x, flag in zip(gradients, is_known, strict=True) if x is not None and not flag)
        )
        return tuple(gradients)

    @staticmethod
    def backward(ctx: Any, *directions: Tensor) -> Any:
        """Request the second derivative."""
        remaining = iter(directions)
        wanted = [[g for flag, g in [(flag, next(remaining)) for flag in flags] if flag] for flags in ctx.wanted]
        parts = [{"handle": handle, "cotangents": of_call} for handle, of_call in zip(ctx.handles, wanted, strict=True)]
        with torch.enable_grad():
            answers = ctx.calling.each("twice", [part for part in parts if part["handle"] is not None])
        gradients = [list(answer["value"]) for answer in answers]
        of_inputs = [
            of_call.pop(0) if flag and of_call else None
            for flags, of_call in zip(ctx.wanted, gradients, strict=True)
            for flag in flags
        ]
        rest = iter([x for of_call in gradients for x in of_call])
        return None, None, None, *of_inputs, *(next(rest, None) if flag else None for flag in ctx.cotangents)


def _read_gradients(answer: dict[str, Any], count: int) -> list[Tensor | None]:
    """Return the gradients of a reply: tensors or ``None``."""
    gradients = answer["value"]
    if not isinstance(gradients, list) or len(gradients) != count:
        raise RemoteError("an exception: not one gradient for each input")
    return [x if isinstance(x, Tensor) else None for x in gradients]


def read_case(function: Proxy, description: Mapping[str, Any]) -> Case:
    """Return a case with the declarations of its package; other objects become texts."""
    call = description["call"]
    return Case(
        function,
        str(description["contract"]),
        name=str(description["name"]),
        style=str(description["style"]),
        target=str(description["target"]),
        dtypes=tuple(map(str, description["dtypes"])),
        attains=tuple(map(str, description["attains"])),
        declares={str(name): value for name, value in description["declares"].items()},
        breaks={str(law): _read_reason(why) for law, why in description["breaks"].items()},
        breaks_at={(str(law), str(ray)): _read_reason(why) for law, ray, why in description["breaks_at"]},
        call=call if isinstance(call, str) else (_call_adapter if function.is_adapted else None),
    )


def _read_reason(why: Any) -> str | Break:
    return str(why) if isinstance(why, str) else Break(str(why[0]), tuple(map(str, why[1])))


def _call_adapter(*_: Any) -> Any:
    """Stand in for an adapter that only the other process has."""
    raise AssertionError("it is called where it was loaded")
