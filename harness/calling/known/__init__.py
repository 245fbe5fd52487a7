"""Functions of libraries that the harness can call, each with the contract or formula that it claims.

The tables are data: a contract or formula, and an adapter in the syntax of ``--call``. These modules import no library,
so that a target can be looked up before its code is loaded.
"""

from collections.abc import Mapping

from harness.calling.known import arrays, functional, tensor
from harness.calling.known.entry import Table

TABLES: Mapping[str, Table] = {
    "torch.nn.functional": functional.FUNCTIONAL,
    "torch": tensor.TORCH,
    "torch.linalg": tensor.LINALG,
    "torch.special": tensor.TORCH_SPECIAL,
    "numpy": arrays.NUMPY,
    "scipy.special": arrays.SCIPY_SPECIAL,
    "jax.nn": arrays.JAX_NN,
    "jax.numpy": arrays.JAX_NUMPY,
    "jax.scipy.special": arrays.JAX_SPECIAL,
    "optax": arrays.OPTAX,
    "keras.activations": arrays.KERAS,
}
"""The tables by module."""
