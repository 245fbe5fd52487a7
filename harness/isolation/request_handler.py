"""Answer requests about user code, one after another, in the process that runs it."""

import contextlib
import os
import random
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.calling import modes, watch
from harness.calling.adapter import (
    NotApplicable,
    call_case,
    change_case,
    convert_to_tensors,
    detaches,
    explain_missing_numpy,
)
from harness.calling.device import CPU, MisplacedError, call_on, has_same_bits
from harness.calling.model import AsStep
from harness.calling.modes import (
    DEFAULT,
    Observation,
    collect_warnings,
    enter_modes,
    explain_missing_compiler,
    overwrite_freed,
    raise_recompile_limit,
    run_uncompiled,
)
from harness.calling.sequence import SEQUENCES, MisfitError
from harness.compat.torch import OpOverload, overload_name, schema_of, tree_leaves
from harness.error import shorten_error
from harness.exact.tape import Recorder, Tape, View, is_floating, place
from harness.isolation.lost_worker import OUT_OF_MEMORY, SILENT
from harness.isolation.wire import buffered_reader, receive, send

_WATCHES = 64


@contextlib.contextmanager
def exit_quietly() -> Iterator[None]:
    """Exit quietly if the connection is closed or memory is exhausted."""
    try:
        yield
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except (OSError, EOFError):
        os._exit(SILENT)


def _flush_printed() -> None:
    """Write the printed text; an object that the code put in place of standard output may not be able to."""
    with contextlib.suppress(Exception):
        sys.stdout.flush()


class Server:
    """Handles one request after another."""

    def __init__(self, line: socket.socket, cases: Sequence[Any]) -> None:
        self._line, self._cases = line, cases
        self._kept: dict[int, tuple[list[Tensor], list[Any]]] = {}
        self._watches: dict[int, Any] = {}
        self._laws: dict[int, Any] = {}
        self._recorders: dict[int, Recorder] = {}
        self._handle = 0
        self._limits: list[Any] = []
        self._before: Any = None
        """State of the random generators before the caller seeded them."""

    def serve(self) -> None:
        """Answer until the connection closes, then exit without waiting for threads."""
        read = buffered_reader(self._line)
        with exit_quietly():
            while True:
                mark, request = receive(read)
                _flush_printed()
                reply = self._answer(request)
                _flush_printed()
                send(self._line, mark, reply, self.special)
                del request, reply

    def special(self, value: Any) -> Any:
        """Encode the objects of a tape for the wire."""
        return _encode_special(value)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        for handle in request.get("drop", ()):
            self._kept.pop(handle, None)
        if request.get("limits") is not None:
            self._limits = request["limits"]
            watch.limit_calls(*self._limits)
        if request.get("rng") is not None:
            modes.set_rng_state(request["rng"])
        if request.get("alike"):
            self._before = self._before or (random.getstate(), np.random.get_state())  # noqa: NPY002
            random.seed(0)
            np.random.seed(0)  # noqa: NPY002 - the generator that everybody shares
        handler: Callable[[dict[str, Any]], dict[str, Any]] = getattr(self, f"_{request['ask']}")
        before = modes.get_rng_state()
        reply = handler(request)
        after = modes.get_rng_state()
        if not modes.equal(before, after):
            reply["rng"] = after
        looked = self._watches.get(request.get("watch", (None,))[0])
        if looked is not None and looked.noticed is not None:
            reply["noticed"] = [str(looked.noticed[0]), looked.noticed[1]]
        return reply

    def _watch(self, request: dict[str, Any]) -> Any:
        key, draws = request.get("watch", (None, False))
        if key is None:
            return watch.TimeOnlyWatch()
        if key not in self._watches:
            self._watches[key] = watch.Watch(draws=draws)
            for old in list(self._watches)[:-_WATCHES]:
                del self._watches[old]
        return self._watches[key]

    def _law(self, request: dict[str, Any]) -> dict[str, Any]:
        """Begin or end the calls of a law."""
        key = request["watch"][0]
        self._restore_random()
        if request["begins"]:
            self._laws[key] = self._watch(request).law()
            self._laws[key].__enter__()
        elif key in self._laws:
            self._laws.pop(key).__exit__(None, None, None)
        return {}

    def _restore_random(self) -> None:
        """Restore the random generators to their state before they were seeded."""
        if self._before is not None:
            random.setstate(self._before[0])
            np.random.set_state(self._before[1])  # noqa: NPY002 - as above
            self._before = None

    def _fill(self, request: dict[str, Any]) -> dict[str, Any]:
        overwrite_freed(request["byte"], sizes=request["sizes"], device=request["device"])
        return {}

    def _jax(self, _: dict[str, Any]) -> dict[str, Any]:
        jax = sys.modules.get("jax")
        return {"value": jax is not None and not jax.config.jax_enable_x64}

    def _each(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer several requests with the same action, and stop at the first failure."""
        answers: list[dict[str, Any]] = []
        warnings: list[str] = []
        request = {"tape": None, "look": False, **request, "modes": {**DEFAULT, **request.get("modes", {})}}
        handler = getattr(self, f"_{request['of']}")
        hearing = collect_warnings(warnings) if request["modes"]["hear"] else contextlib.nullcontext()
        with hearing, enter_modes(request["modes"]), self._change_case(request):
            for part in request["parts"]:
                answers.append(handler({**request, **part}))
                if "value" not in answers[-1]:
                    break
        return {"each": answers, "heard": warnings}

    @contextlib.contextmanager
    def _change_case(self, request: dict[str, Any]) -> Iterator[None]:
        """Switch the mode of a module, or compile a function, for the body, if the request says so."""
        before, index = list(self._cases), request["case"]
        changes = {name: request["modes"][name] for name in ("switched", "compiled")}
        try:
            if any(changes.values()):
                self._cases = [*before[:index], change_case(before[index], **changes), *before[index + 1 :]]
            if changes["compiled"]:
                # The compiler, which is loaded now, has separate limits.
                watch.limit_calls(*self._limits)
            with raise_recompile_limit() if changes["compiled"] else contextlib.nullcontext():
                yield
        finally:
            self._cases = before

    def _call(self, request: dict[str, Any]) -> dict[str, Any]:
        case, inputs = self._cases[request["case"]], request["inputs"]
        arguments = tree_leaves(inputs)
        copies = [modes.clone(modes.detach(x)) if isinstance(x, Tensor) else None for x in arguments if request["look"]]
        shapes = [tuple(x.shape) for x in arguments if isinstance(x, Tensor)]
        seen = Observation() if request["modes"]["see"] else None
        try:
            output = self._carry_out(request, partial(_run, case, request), seen)
            value = output
            if case.call is not None:
                with watch.limit_time():
                    value = convert_to_tensors(output)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the answer
            return _describe_error(case, error)
        reply: dict[str, Any] = {"value": value}
        if value is not output:
            reply["arrays"] = True
        if seen is not None:
            reply["seen"] = [seen.left, seen.to_float32, seen.autocast]
        leaves = [x for x in tree_leaves(value) if isinstance(x, Tensor) and x.layout is torch.strided]
        if shapes != [tuple(x.shape) for x in arguments if isinstance(x, Tensor)]:
            reply["reshaped"] = True
        elif request["look"]:
            reply |= _compare_inputs(arguments, copies, leaves)
        if any(isinstance(x, Tensor) and x.requires_grad for x in inputs) and any(x.requires_grad for x in leaves):
            reply["handle"] = self._keep([x for x in inputs if isinstance(x, Tensor)], leaves)
        if request["tape"] is not None:
            reply["views"] = [self._recorders[request["tape"]].view(x) for x in leaves if is_floating(x)]
        return reply

    def _keep(self, inputs: list[Tensor], outputs: list[Any]) -> int:
        self._handle += 1
        self._kept[self._handle] = inputs, outputs
        return self._handle

    def _carry_out(self, request: dict[str, Any], action: Callable[[], Any], seen: Observation | None = None) -> Any:
        """Carry out an action under a watch."""
        tape = request["tape"]

        def record() -> Any:
            if tape is None:
                return action()
            if tape not in self._recorders:
                self._recorders[tape] = Recorder(Tape())
            with run_uncompiled(), self._recorders[tape]:
                return action()

        with seen if seen is not None else contextlib.nullcontext():
            return self._watch(request).call(record)

    def _backward(self, request: dict[str, Any]) -> dict[str, Any]:
        case = self._cases[request["case"]]
        inputs, outputs = self._kept[request["handle"]]
        wanted = [x for x in inputs if x.requires_grad]
        pairs = [(x, g) for x, g in zip(outputs, request["cotangents"], strict=True) if x.requires_grad]
        pairs = [(x, modes.zeros_like(x) if g is None else g) for x, g in pairs]
        create = request["create"]

        def action() -> Any:
            return modes.grad([x for x, _ in pairs], wanted, [g for _, g in pairs], keep=True, create=create)

        try:
            gradients = self._carry_out(request, action)
        except BaseException as error:  # noqa: BLE001 - as above
            return _describe_error(case, error)
        reply: dict[str, Any] = {"value": list(gradients)}
        if create and any(x is not None and x.requires_grad for x in gradients):
            leaves = [x for x in (*wanted, *(g for _, g in pairs)) if x.requires_grad and x.is_leaf]
            reply["handle"] = self._keep(leaves, list(gradients))
        if request["tape"] is not None:
            reply["views"] = [self._recorders[request["tape"]].view(x) for x in gradients if is_floating(x)]
        return reply

    def _twice(self, request: dict[str, Any]) -> dict[str, Any]:
        """Differentiate a gradient through its whole graph, because an operation off the path may refuse."""
        case = self._cases[request["case"]]
        leaves, once = self._kept[request["handle"]]
        for leaf in leaves:
            leaf.grad = None
        pairs = [
            (x, g)
            for x, g in zip(once, request["cotangents"], strict=True)
            if x is not None and x.requires_grad and g is not None
        ]

        def action() -> Any:
            modes.backward([x for x, _ in pairs], [g for _, g in pairs])

        try:
            self._carry_out(request, action)
        except BaseException as error:  # noqa: BLE001 - as above
            return _describe_error(case, error)
        return {"value": [leaf.grad for leaf in leaves]}

    def _again(self, request: dict[str, Any]) -> dict[str, Any]:
        """Repeat a call on the same inputs within a time limit, or its gradient."""
        case, seconds, rows = self._cases[request["case"]], request["seconds"], list[Any]()
        slopes = _Slopes(case, request["device"])
        # CPU time, because the machine may be busy; a function that sleeps gets three times as long.
        until, at_most = time.process_time() + seconds, time.monotonic() + 3.0 * seconds

        def action() -> None:
            while len(rows) < request["times"] and time.process_time() < until and time.monotonic() < at_most:
                inputs = [modes.clone(x) if isinstance(x, Tensor) else x for x in request["inputs"]]
                if request["back"]:
                    rows.append(slopes(inputs))
                    if len(rows) == 1 and not (rows[0].isfinite() & (rows[0] != 0.0)).any():
                        return
                    continue
                output = _call_case(case, inputs, request["device"])
                answered = convert_to_tensors(output) if case.call is not None else output
                is_number = isinstance(answered, float)
                rows.append(modes.tensor(answered, dtype=torch.float64) if is_number else answered)

        try:
            self._carry_out({**request, "watch": (None, False)}, action)
        except BaseException as error:  # noqa: BLE001 - as above
            # That there is no gradient at all is for the laws of the gradient to say.
            return {"value": None} if request["back"] and not rows else _describe_error(case, error)
        if rows and all(type(x) is Tensor and x.shape == rows[0].shape for x in rows):
            return {"value": modes.stack([modes.detach(x) for x in rows])}
        return {"value": rows[:1]}

    def _detaches(self, request: dict[str, Any]) -> dict[str, Any]:
        case = self._cases[request["case"]]
        try:
            return {"value": self._carry_out(request, lambda: detaches(case, request["inputs"]))}
        except BaseException as error:  # noqa: BLE001 - as above
            return _describe_error(case, error)

    def _tape(self, request: dict[str, Any]) -> dict[str, Any]:
        recorder = self._recorders.pop(request["tape"], None)
        tape = Tape() if recorder is None else recorder.tape
        steps = [
            [s.operator, s.arguments, s.given, s.results, s.values, s.returned, s.line, s.node] for s in tape.steps
        ]
        return {"value": {"steps": steps, "started": [[n, x] for n, x in tape.started.items()], "length": tape.length}}


def _encode_special(value: Any) -> Any:
    """Encode the objects of a tape for the wire."""
    if isinstance(value, View):
        return ["view", value.storage, list(value.size), list(value.stride), value.offset, value.dtype]
    if isinstance(value, OpOverload):
        return ["operator", schema_of(value).name, overload_name(value)]
    if hasattr(value, "instruction") and hasattr(value, "text"):
        return ["line", value.text, value.instruction]
    return None


def _run(case: Any, request: dict[str, Any]) -> Any:
    """Carry out a request: a call, or a sequence of calls on its result; a model may stand for its training step."""
    inputs, device, options = request["inputs"], request["device"], request.get("options", {})
    sequence, squared = request.get("sequence"), request.get("squared")
    if sequence is None:
        return _call_case(case, inputs, device, **options)

    def make(*arguments: Any) -> Any:
        return call_case(case, arguments, None if squared is None else AsStep(squared))

    action = partial(SEQUENCES[sequence], make)
    return action(*inputs) if device == CPU else call_on(device, action, inputs)


def _call_case(case: Any, inputs: Sequence[Any], device: str, **options: Any) -> Any:
    if device == CPU:
        return call_case(case, inputs, **options)
    return call_on(device, lambda *moved: call_case(case, moved, **options), inputs)


class _Slopes:
    """Gradients of a weighted sum of the result in all floating-point inputs, as one vector."""

    def __init__(self, case: Any, device: str) -> None:
        self._case, self._device = case, device
        self._weights: Tensor | None = None

    def __call__(self, inputs: Sequence[Any]) -> Tensor:
        """Return the gradients of a call."""
        wanted = [x.requires_grad_() for x in inputs if isinstance(x, Tensor) and x.is_floating_point()]
        output = _call_case(self._case, inputs, self._device)
        if not isinstance(output, Tensor):
            (output,) = [x for x in tree_leaves(convert_to_tensors(output)) if is_floating(x)]
        weights = self._weights
        like = output.shape, output.dtype, output.device
        if weights is None or (weights.shape, weights.dtype, weights.device) != like:
            # Not all alike: what sums to one has a gradient of zero then.
            self._weights = weights = modes.linspace(0.5, 1.0, output.numel()).reshape(output.shape).to(output)
        # A backward pass may write to its cotangent.
        gradients = modes.grad([output], wanted, [modes.clone(weights)])
        return modes.cat([x.flatten() for x in gradients if x is not None])


def _compare_inputs(inputs: Sequence[Any], before: Sequence[Any], outputs: Sequence[Tensor]) -> dict[str, Any]:
    """Return the inputs that changed, and the inputs whose memory an output shares."""
    pairs = [(index, x) for index, x in enumerate(inputs) if isinstance(x, Tensor)]
    changed = [(index, modes.detach(x)) for index, x in pairs if not has_same_bits(modes.detach(x), before[index])]
    where = {x.untyped_storage().data_ptr() for x in outputs if x.numel() and x.device.type == CPU}
    return {
        "changed": [list(pair) for pair in changed],
        "shared": [index for index, x in pairs if x.numel() and x.untyped_storage().data_ptr() in where],
    }


def _describe_error(case: Any, error: BaseException) -> dict[str, Any]:
    """Describe an exception, whose own text may take as long as a call."""
    with watch.limit_time():
        return _describe_kind(case, error)


def _describe_kind(case: Any, error: BaseException) -> dict[str, Any]:
    if isinstance(error, NotApplicable):
        return {"inapplicable": str(error)}
    if isinstance(error, MisfitError):
        return {"raised": [str(error), "misfit", ""]}
    if isinstance(error, MisplacedError):
        return {"misplaced": str(error)}
    words = shorten_error(error)
    if isinstance(error, (SystemExit, GeneratorExit)):
        kind = "exited"
    elif isinstance(error, MemoryError) or "can't allocate memory" in words:
        kind = "memory"
    else:
        if reason := explain_missing_numpy(case, error) or explain_missing_compiler(error):
            return {"inapplicable": reason}
        kind = "raised"
    frames = traceback.extract_tb(error.__traceback__)
    where = place((frame.filename, frame.lineno) for frame in reversed(frames))
    return {"raised": [words, kind, where]}
