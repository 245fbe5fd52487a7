"""A program that computes result bits with the torch of another interpreter. It imports nothing else of the harness.

Each line of standard input is a request: the operation, value or gradient, blocks of inputs, and whether to return the
bits of the results or a digest for each block. After the version of torch, standard output has only the bytes of the
answers.
"""

import ctypes
import hashlib
import json
import sys
from functools import partial
from typing import Any

import torch

SIZE = 1 << 16
"""Number of inputs of a block: the float32 bit patterns with equal upper halves."""

DIGEST = 16
"""Bytes of a digest."""

_of = torch.nn.functional

KINKED: dict[str, Any] = {
    **{name: getattr(_of, name) for name in ("relu", "relu6", "leaky_relu", "elu", "selu", "hardtanh", "hardsigmoid")},
    **{name: getattr(_of, name) for name in ("hardswish", "hardshrink", "softshrink")},
    **{name: getattr(torch, name) for name in ("abs", "sign", "round")},
    "clamp": partial(torch.clamp, min=0.0, max=1.0),
    "maximum": lambda x: torch.maximum(x, torch.zeros_like(x)),
    "minimum": lambda x: torch.minimum(x, torch.zeros_like(x)),
}
"""Operations with a kink or a jump, which have no power series."""


def main() -> None:
    """Answer requests until the end of standard input."""
    torch.set_num_threads(1)
    sys.stdout.write(f"torch {torch.__version__} with {torch.backends.cpu.get_cpu_capability()}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        request = json.loads(line)
        function = _find_function(request["operation"])
        for block in request["blocks"]:
            first = block * SIZE - (1 << 32 if block >= 1 << 15 else 0)
            x = (torch.arange(SIZE, dtype=torch.int32) + first).view(torch.float32)
            result = _differentiate(function, x) if request["quantity"] == "gradient" else function(x)
            # An environment with only torch has no NumPy.
            bits = ctypes.string_at(result.data_ptr(), 4 * SIZE)
            sys.stdout.buffer.write(bits if request["raw"] else hashlib.blake2b(bits, digest_size=DIGEST).digest())
        sys.stdout.flush()


def _differentiate(function: Any, x: torch.Tensor) -> torch.Tensor:
    """Return the derivative of an elementwise function, from a backward pass with the cotangent 1."""
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(function(x), x, torch.ones_like(x))
    return gradient.contiguous()


def _find_function(name: str) -> Any:
    """Return the function of torch with a name."""
    if name in KINKED:
        return KINKED[name]
    if name == "gelu_tanh":
        return partial(torch.nn.functional.gelu, approximate="tanh")
    return getattr(torch, name, None) or getattr(torch.nn.functional, name)


if __name__ == "__main__":
    main()
