"""A program that computes result bits with the torch of another interpreter. It imports nothing else of the harness.

Each line of standard input is a request: the operation, blocks of inputs, and whether to return the bits of the results
or a digest for each block. After the version of torch, standard output has only the bytes of the answers.
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
            result = function((torch.arange(SIZE, dtype=torch.int32) + first).view(torch.float32))
            # An environment with only torch has no NumPy.
            bits = ctypes.string_at(result.data_ptr(), 4 * SIZE)
            sys.stdout.buffer.write(bits if request["raw"] else hashlib.blake2b(bits, digest_size=DIGEST).digest())
        sys.stdout.flush()


def _find_function(name: str) -> Any:
    """Return the function of torch with a name."""
    if name == "gelu_tanh":
        return partial(torch.nn.functional.gelu, approximate="tanh")
    return getattr(torch, name, None) or getattr(torch.nn.functional, name)


if __name__ == "__main__":
    main()
