"""NumPy, SciPy, JAX and optax, whose functions take arrays, and the functions of Keras on torch."""

from harness.calling.known.elementwise import ACTIVATIONS, ELEMENTARY, SPECIAL
from harness.calling.known.entry import Known, Table, plain, replace_call

_ELEMENTARY = {
    **ELEMENTARY,
    "absolute": Known("formula(x): abs(x)"),
    "negative": Known("formula(x): -x"),
    "sign": Known("formula(x: constant): sign(x)"),
}
_REDUCTIONS: Table = {
    **{name: Known(f"formula(x): {name}(x)") for name in ("sum", "max", "min")},
    **plain("mean cumsum"),
    "var": Known("variance"),
}
_ROWS: Table = plain("softmax log_softmax logsumexp")
_OF_ROWS = {"softmax", "log_softmax", "logsumexp"}
_SCIPY = {name: entry for name, entry in SPECIAL.items() if name not in {*_OF_ROWS, "sinc", "spherical_bessel_j0"}}
_NOT_IN_JAX = {"erfcx", "huber", "pseudo_huber", "exp2", "expm1", "log1p", "log_expit"}
_OF_JAX = {name: entry for name, entry in _SCIPY.items() if name not in _NOT_IN_JAX}

NUMPY: Table = {
    **replace_call({name: entry for name, entry in _ELEMENTARY.items() if name != "rsqrt"}, "numpy"),
    **replace_call(_REDUCTIONS, "numpy(axis=-1)"),
    "std": Known("formula(x): sqrt(mean((x - mean(x)) ** 2))", "numpy(axis=-1)"),
    "sinc": SPECIAL["sinc"]._replace(call="numpy"),
    "linalg.norm": Known("vector_norm", "numpy(axis=-1)"),
    "vecdot": Known("dot", "numpy"),
}
SCIPY_SPECIAL: Table = {
    **replace_call(_SCIPY, "numpy"),
    **replace_call(_ROWS, "numpy(axis=-1)"),
    "pseudo_huber": SPECIAL["pseudo_huber"]._replace(call="lambda f, r, d: f(d.numpy(), r.numpy())"),
}

JAX_NUMPY: Table = {**replace_call(_ELEMENTARY, "jax"), **replace_call(_REDUCTIONS, "jax(axis=-1)")}
JAX_SPECIAL: Table = {**replace_call(_OF_JAX, "jax"), "logsumexp": Known("logsumexp", "jax(axis=-1)")}
JAX_NN: Table = {
    **replace_call(ACTIVATIONS, "jax"),
    **replace_call(_ROWS, "jax(axis=-1)"),
    "gelu": Known("gelu_tanh", "jax"),
    "log_sigmoid": Known("logsigmoid", "jax"),
    "hard_tanh": Known("hardtanh", "jax"),
    "hard_sigmoid": Known("hardsigmoid", "jax"),
    "hard_swish": Known("hardswish", "jax"),
    "soft_sign": Known("softsign", "jax"),
    "squareplus": Known("formula(x): (x + sqrt(x * x + 4)) / 2", "jax"),
    "standardize": Known("layer_norm", "jax(axis=-1)"),
}
OPTAX: Table = {
    "softmax_cross_entropy": Known("cross_entropy_of_distributions", "jax"),
    "softmax_cross_entropy_with_integer_labels": Known("formula(x, t: index): -log_softmax(x)[t]", "jax"),
    "sigmoid_binary_cross_entropy": Known(
        "formula(x, y: unit constant): y * log(1 + exp(-x)) + (1 - y) * log(1 + exp(x)) | "
        "y * softplus(-x) + (1 - y) * softplus(x)",
        "jax",
    ),
    "squared_error": Known("formula(x, y): (x - y) ** 2", "jax"),
    "l2_loss": Known("formula(x, y): (x - y) ** 2 / 2", "jax"),
    "huber_loss": Known("huber", "jax"),
    "hinge_loss": Known("hinge", "jax"),
    "log_cosh": Known(
        "formula(x, y): log((exp(x - y) + exp(y - x)) / 2) | abs(x - y) + log1p(exp(-2 * abs(x - y))) - log(2)", "jax"
    ),
    "kl_divergence": Known("kl_divergence", "jax"),
}

KERAS: Table = {
    name: entry
    for name, entry in {
        **ACTIVATIONS,
        "leaky_relu": Known("formula(x): where(x < 0, 0.2 * x, x)"),
        **plain("softmax log_softmax softsign"),
        "log_sigmoid": Known("logsigmoid"),
        "hard_sigmoid": Known("hardsigmoid"),
    }.items()
    if name not in {"swish", "mish", "sigmoid"}
}
"""Functions of ``keras.activations`` on the torch backend."""
