"""``torch``, ``torch.linalg`` and ``torch.special``: elementary functions, reductions, products and polynomials."""

from harness.calling.known.elementwise import ELEMENTARY, SPECIAL
from harness.calling.known.entry import Known, Table, plain

_DIM = "lambda f, x: f(x, dim=-1)"
_LAST = "lambda f, x: f(x, -1)"

_RENAMED = {"atan": "arctan", "asin": "arcsin", "acos": "arccos", "asinh": "arcsinh", "acosh": "arccosh"}
_RENAMED |= {"atanh": "arctanh", "sub": "subtract", "mul": "multiply", "div": "divide", "true_divide": "divide"}

TORCH: Table = {
    **ELEMENTARY,
    **{name: ELEMENTARY[numpy_name] for name, numpy_name in _RENAMED.items()},
    **plain("sigmoid relu selu rsqrt lerp logit xlogy erf erfc pairwise_distance"),
    "celu": Known("elu"),
    "abs": Known("formula(x): abs(x)"),
    "neg": Known("formula(x): -x"),
    "sign": Known("formula(x: constant): sign(x)"),
    "clamp": Known("hardtanh", "lambda f, x: f(x, -1.0, 1.0)"),
    "pow": Known("formula(x): x ** 3", "lambda f, x: f(x, 3)"),
    "addcmul": Known("formula(x, y, z): x + y * z"),
    "addcdiv": Known("formula(x, y, z: positive): x + y / z"),
    **plain("softmax log_softmax logsumexp logcumsumexp mean cumsum", _DIM),
    "sum": Known("formula(x): sum(x)", _DIM),
    "var": Known("variance", _DIM),
    "std": Known("standard_deviation", _DIM),
    "amax": Known("formula(x): max(x)", _DIM),
    "amin": Known("formula(x): min(x)", _DIM),
    "norm": Known("vector_norm", _DIM),
    **plain("layer_norm rms_norm", "lambda f, x: f(x, x.shape[-1:])"),
    "cosine_similarity": Known("cosine_similarity", "lambda f, x, y: f(x, y, dim=-1)"),
    "cdist": Known(
        "formula(x, y): sqrt(sum((x - y) ** 2))",
        "lambda f, x, y: f(x[..., None, :], y[..., None, :]).reshape(x.shape[:-1])",
    ),
    "bmm": Known("matrix_product", "lambda f, x, y: f(x[:, None], y[..., None]).reshape(x.shape[:-1])"),
    "matmul": Known("matrix_product", "lambda f, x, y: f(x[..., None, :], y[..., None]).reshape(x.shape[:-1])"),
    "einsum": Known("matrix_product", "lambda f, x, y: f('...i,...i->...', x, y)"),
}
"""Entries of ``torch``."""

LINALG: Table = {"vector_norm": Known("vector_norm", _DIM), "norm": Known("vector_norm", _DIM), "vecdot": Known("dot")}

_POLYNOMIALS = {
    "chebyshev_polynomial_t": "4 * x ** 3 - 3 * x",
    "chebyshev_polynomial_u": "8 * x ** 3 - 4 * x",
    "chebyshev_polynomial_v": "8 * x ** 3 - 4 * x ** 2 - 4 * x + 1",
    "chebyshev_polynomial_w": "8 * x ** 3 + 4 * x ** 2 - 4 * x - 1",
    "hermite_polynomial_h": "8 * x ** 3 - 12 * x",
    "hermite_polynomial_he": "x ** 3 - 3 * x",
    "laguerre_polynomial_l": "(6 - 18 * x + 9 * x ** 2 - x ** 3) / 6",
    "legendre_polynomial_p": "(5 * x ** 3 - 3 * x) / 2",
    "shifted_chebyshev_polynomial_t": "z = 2 * x - 1; 4 * z ** 3 - 3 * z",
    "shifted_chebyshev_polynomial_u": "z = 2 * x - 1; 8 * z ** 3 - 4 * z",
    "shifted_chebyshev_polynomial_v": "z = 2 * x - 1; 8 * z ** 3 - 4 * z ** 2 - 4 * z + 1",
    "shifted_chebyshev_polynomial_w": "z = 2 * x - 1; 8 * z ** 3 + 4 * z ** 2 - 4 * z - 1",
}
"""Formulas of degree three; torch has no gradient of these polynomials."""

_NOT_IN_TORCH = {"log_expit", "rel_entr", "huber", "pseudo_huber"}

TORCH_SPECIAL: Table = {
    **{name: entry for name, entry in SPECIAL.items() if name not in _NOT_IN_TORCH},
    **plain("softmax log_softmax logsumexp", _LAST),
    **{
        name: Known(f"formula(x: {'0..1' if 'shifted' in name else '-1..1'} constant): {text}", "lambda f, x: f(x, 3)")
        for name, text in _POLYNOMIALS.items()
    },
}
"""Entries of ``torch.special``."""
