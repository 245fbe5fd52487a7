"""The LSTM layer of oneDNN and its gradient, in wider arithmetic.

oneDNN has this layer in float32 only. The gates i, f, g and o are stacked in the weights, and time is the first axis.
Autograd does not see operations on shadows, so the gradient is written out as backpropagation through time.

References
----------
S. Hochreiter, J. Schmidhuber (1997), "Long short-term memory", Neural Computation 9; with the forget gate of F. Gers,
J. Schmidhuber, F. Cummins (2000).
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

_LSTM = 2
"""oneDNN's integer code for an LSTM."""


class _Step(NamedTuple):
    """Gates, previous state and new state at one time."""

    i: Tensor
    f: Tensor
    g: Tensor
    o: Tensor
    h_before: Tensor
    c_before: Tensor
    c: Tensor

    @property
    def h(self) -> Tensor:
        """Output of the layer at this time."""
        return self.o * self.c.tanh()


def _run_forward(x: Tensor, weights: Any, h: Tensor, c: Tensor) -> list[_Step]:
    w_input, w_hidden, b_input, b_hidden = weights
    call = x @ w_input.t() + b_input + b_hidden
    steps = []
    for contribution in call:
        i, f, g, o = (contribution + h @ w_hidden.t()).chunk(4, 1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        steps.append(_Step(i, f, g, o, h, c, f * c + i * g))
        h, c = steps[-1].h, steps[-1].c
    return steps


def _check(mode: int, batch_sizes: Any, has_biases: int) -> None:
    if mode != _LSTM or batch_sizes or not has_biases:
        raise NotImplementedError("a recurrent layer of another kind, of packed sequences, or without biases")


def one_dnn_layer(_operator: Any, args: Any, _kwargs: Any, result: Any) -> tuple[Tensor, ...]:
    """Return the output, the last state and the unchanged workspace.

    Raises
    ------
    NotImplementedError
        If the layer is not an LSTM with biases on padded sequences.
    """
    x, *weights, h, c, is_reversed = args[:8]
    _check(args[9], args[8], args[12])
    steps = _run_forward(x.flip(0) if is_reversed else x, weights, h, c)
    output = torch.stack([step.h for step in steps])
    return output.flip(0) if is_reversed else output, steps[-1].h, steps[-1].c, result[3]


def one_dnn_layer_backward(_operator: Any, args: Any, _kwargs: Any, _result: Any) -> tuple[Tensor, ...]:
    """Return the gradients of input, weights, biases and first state.

    Raises
    ------
    NotImplementedError
        If the layer is not an LSTM with biases on padded sequences.
    """
    x, *weights, h, c = args[:7]
    of_output, of_h, of_c, is_reversed, mode = args[10:15]
    _check(mode, args[20], args[17])
    if is_reversed:
        x = x.flip(0)
        of_output = None if of_output is None else of_output.flip(0)
    steps = _run_forward(x, weights, h, c)
    d_h = torch.zeros_like(h) if of_h is None else of_h.view_as(h)
    d_c = torch.zeros_like(c) if of_c is None else of_c.view_as(c)
    gates = []
    for index in reversed(range(len(steps))):
        step = steps[index]
        d_h = d_h if of_output is None else d_h + of_output[index]
        t = step.c.tanh()
        d_c = d_c + d_h * step.o * (1 - t * t)
        d_i, d_f, d_g, d_o = d_c * step.g, d_c * step.c_before, d_c * step.i, d_h * t
        slopes = [d * gate * (1 - gate) for d, gate in ((d_i, step.i), (d_f, step.f), (d_o, step.o))]
        slopes.insert(2, d_g * (1 - step.g * step.g))
        gates.append(torch.cat(slopes, 1))
        d_h, d_c = gates[-1] @ weights[1], d_c * step.f
    all_gates = torch.stack(gates[::-1])
    flat = all_gates.flatten(0, 1)
    hidden = torch.stack([step.h_before for step in steps]).flatten(0, 1)
    d_x, bias = all_gates @ weights[0], flat.sum(0)
    d_x = d_x.flip(0) if is_reversed else d_x
    return d_x, flat.t() @ x.flatten(0, 1), flat.t() @ hidden, bias, bias.clone(), d_h, d_c
