"""Elementary functions: the same claims in torch, ``torch.special``, NumPy, SciPy and JAX."""

from harness.calling.known.entry import Known, Table, plain

_LOG_10 = "log(x) / 2.302585092994045684017991454684364207601101488628772976"

ELEMENTARY: Table = {
    **plain("exp expm1 log1p log2 tanh sinh cosh hypot reciprocal add logaddexp"),
    **{name: Known(f"formula(x): {name}(x)") for name in ("exp2", "sin", "cos")},
    **{name: Known(f"formula(x: positive): {name}(x)") for name in ("log", "sqrt")},
    "log10": Known(f"formula(x: positive): {_LOG_10}"),
    "square": Known("formula(x): x * x"),
    "tan": Known("formula(x): sin(x) / cos(x)"),
    "arctan": Known("atan"),
    "arcsin": Known("formula(x: -0.9..0.9): atan(x / sqrt(1 - x * x))"),
    "arccos": Known("formula(x: -0.9..0.9): pi / 2 - atan(x / sqrt(1 - x * x))"),
    "arcsinh": Known(
        "formula(x): where(x < 0, -log(sqrt(x * x + 1) - x), log(sqrt(x * x + 1) + x)) | "
        "a = abs(x); sign(x) * log1p(a + a * a / (1 + sqrt(a * a + 1)))"
    ),
    "arccosh": Known("formula(x: 1.5..1e9): log(x + sqrt(x - 1) * sqrt(x + 1))"),
    "arctanh": Known("formula(x: -0.9..0.9): log((1 + x) / (1 - x)) / 2 | (log1p(x) - log1p(-x)) / 2"),
    "subtract": Known("formula(x, y): x - y"),
    "multiply": Known("formula(x, y): x * y"),
    "divide": Known("formula(x, y: positive): x / y"),
    "maximum": Known("formula(x, y): max(x, y)"),
    "minimum": Known("formula(x, y): min(x, y)"),
    "logaddexp2": Known(
        "formula(x, y): log(exp2(x) + exp2(y)) / log(2) | m = max(x, y); m + log1p(exp2(-abs(x - y))) / log(2)"
    ),
}
"""Entries by the names of NumPy and the array API."""

SPECIAL: Table = {
    **plain("expm1 log1p logit xlogy softmax log_softmax logsumexp erf erfc"),
    "expit": Known("sigmoid"),
    "log_expit": Known("logsigmoid"),
    "exp2": ELEMENTARY["exp2"],
    "ndtr": Known("normal_cdf"),
    "log_ndtr": Known("formula(x): log(erfc(-x / sqrt(2)) / 2)"),
    "entr": Known("formula(x: positive): -x * log(x)"),
    "erfcx": Known("formula(x: -5..5): exp(x * x) * erfc(x)"),
    "rel_entr": Known("formula(x: positive, y: positive): x * log(x / y)"),
    "xlog1py": Known("formula(x, y: positive): where(x == 0, 0, x * log(1 + y)) | where(x == 0, 0, x * log1p(y))"),
    "sinc": Known("formula(x): where(x == 0, 1, sin(pi * x) / (pi * x))"),
    "spherical_bessel_j0": Known("formula(x: constant): where(x == 0, 1, sin(x) / x)"),
    "huber": Known("formula(d: positive, r): where(abs(r) <= d, r * r / 2, d * (abs(r) - d / 2))"),
    "pseudo_huber": Known("formula(r, d: 0.1..10): d * d * (sqrt(1 + (r / d) ** 2) - 1)"),
}
"""Entries by the names of SciPy and ``torch.special``."""

ACTIVATIONS: Table = {
    **plain("relu relu6 leaky_relu elu selu gelu silu mish tanh sigmoid softplus"),
    "celu": Known("elu"),
    "swish": Known("silu"),
}
"""Entries by the names of torch, JAX and Keras."""
