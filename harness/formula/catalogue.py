"""The catalog: common formulas by their usual names.

Each is a contract: ``harness check mine.py:mish`` uses it by the function's name. Operations with a handwritten
contract are not listed. Decimal numbers are exact. The optional form is what implementations compute if it differs from
the definition.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.formula.spelling import Spelling, domain


@dataclass(frozen=True)
class Entry:
    """A named formula.

    Parameters
    ----------
    name
        Its name.
    definition, form
        The exact formula, and what implementations compute if it differs.
    source
        Reference for the formula.
    inputs
        Domains of the inputs by name, in order.
    over
        ``rows`` or ``all``: the entries it reduces.
    """

    name: str
    definition: str
    source: str
    form: str = ""
    inputs: Mapping[str, str] = field(default_factory=lambda: {"x": ""})
    over: str = "rows"

    @property
    def spelling(self) -> Spelling:
        """The entry as a formula's text."""
        inputs = tuple((name, domain(words, name)) for name, words in self.inputs.items())
        return Spelling(self.definition, self.form, inputs, complete=True, whole=self.over == "all")


def _torch(name: str) -> str:
    return f"torch.nn.functional.{name}"


def _steps(decay: str, gradient: str, count: int = 3) -> str:
    """Steps of Adam from zero moments; ``decay`` is the parameter before a step, ``gradient`` the gradient it uses."""
    parts, m, v, p = [], "0.1 * d", "0.001 * d * d", "p"
    corrections = (("0.1", "0.001"), ("0.19", "0.001999"), ("0.271", "0.002997001"))[:count]
    for t, (first, second) in enumerate(corrections, 1):
        parts += [f"d = {gradient.format(t=t, p=p)}", f"m = {m}", f"v = {v}"]
        parts.append(f"p{t} = {decay.format(p=p)} - 0.001 * (m / {first}) / (sqrt(v / {second}) + 1e-8)")
        m, v, p = "0.9 * m + 0.1 * d", "0.999 * v + 0.001 * d * d", f"p{t}"
    return "; ".join([*parts, p])


_THREE_STEPS = {"p": "constant", "g1": "constant", "g2": "constant", "g3": "constant"}

_XY = {"x": "", "y": ""}
_UNIT_SUM = {"x": "", "p": "distribution"}

ACTIVATIONS = (
    Entry("relu", "max(x, 0)", _torch("relu")),
    Entry("relu6", "min(max(x, 0), 6)", _torch("relu6")),
    Entry("leaky_relu", "where(x < 0, 0.01 * x, x)", _torch("leaky_relu")),
    Entry("squared_relu", "max(x, 0) ** 2", "So et al. (2021), Primer"),
    Entry("elu", "where(x < 0, expm1(x), x)", "Clevert et al. (2016)"),
    Entry(
        "selu",
        "1.0507009873554804934193349852946 * where(x < 0, 1.6732632423543772848170429916717 * expm1(x), x)",
        "Klambauer et al. (2017)",
    ),
    Entry("gelu", "x * (1 + erf(x / sqrt(2))) / 2", "Hendrycks & Gimpel (2016)"),
    Entry(
        "gelu_tanh",
        "x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3))) / 2",
        "Hendrycks & Gimpel (2016), the approximation",
    ),
    Entry("silu", "x / (1 + exp(-x))", "Elfwing et al. (2018)"),
    Entry("mish", "x * tanh(log(1 + exp(x)))", "Misra (2019)", form="x * tanh(softplus(x))"),
    Entry("tanh", "tanh(x)", "definition"),
    Entry("tanhshrink", "x - tanh(x)", _torch("tanhshrink")),
    Entry("hardtanh", "min(max(x, -1), 1)", _torch("hardtanh")),
    Entry("hardsigmoid", "min(max(x + 3, 0), 6) / 6", "Howard et al. (2019)"),
    Entry("hardswish", "x * min(max(x + 3, 0), 6) / 6", "Howard et al. (2019)"),
    Entry("softsign", "x / (1 + abs(x))", "Turian et al. (2009)"),
    Entry("softshrink", "sign(x) * max(abs(x) - 0.5, 0)", _torch("softshrink")),
    Entry("glu", "x * sigmoid(y)", "Dauphin et al. (2017), for two halves", inputs=_XY),
    Entry("swiglu", "x / (1 + exp(-x)) * y", "Shazeer (2020)", inputs=_XY),
    Entry("geglu", "x * (1 + erf(x / sqrt(2))) / 2 * y", "Shazeer (2020)", inputs=_XY),
)

ELEMENTARY = (
    Entry("exp", "exp(x)", "definition"),
    Entry("expm1", "exp(x) - 1", "definition", form="expm1(x)"),
    Entry("log1p", "log(1 + x)", "definition", form="log1p(x)", inputs={"x": "positive"}),
    Entry("log2", "log(x) / log(2)", "definition", inputs={"x": "positive"}),
    Entry("erf", "erf(x)", "definition"),
    Entry("erfc", "erfc(x)", "definition"),
    Entry("logit", "log(x / (1 - x))", "definition", inputs={"x": "0.001..0.999"}),
    Entry("xlogy", "where(x <= 0, 0, x * log(y))", "torch.xlogy", inputs={"x": "unit", "y": "positive"}),
    Entry("hypot", "sqrt(x * x + y * y)", "definition", inputs=_XY),
    Entry("reciprocal", "1 / x", "definition"),
    Entry("rsqrt", "1 / sqrt(x)", "definition", inputs={"x": "positive"}),
    Entry("atan", "atan(x)", "definition"),
    Entry("sinh", "(exp(x) - exp(-x)) / 2", "definition", form="sinh(x)"),
    Entry("cosh", "(exp(x) + exp(-x)) / 2", "definition"),
    Entry("lerp", "x + t * (y - x)", "torch.lerp", inputs={"x": "", "y": "", "t": "unit"}),
    Entry("normal_cdf", "erfc(-x / sqrt(2)) / 2", "definition"),
)

REDUCTIONS = (
    Entry("mean", "mean(x)", "definition"),
    Entry("dot", "sum(x * y)", "definition", inputs=_XY),
    Entry("matrix_product", "sum(x * y)", "torch.matmul, one entry: a row times a column", inputs=_XY),
    Entry("vector_norm", "sqrt(sum(x * x))", "definition"),
    Entry("standard_deviation", "sqrt(sum((x - mean(x)) ** 2) / (count(x) - 1))", "definition"),
    Entry("cumsum", "cumsum(x)", "definition"),
    Entry(
        "logcumsumexp",
        "log(cumsum(exp(x)))",
        "definition",
        form="m = stop(max(x)); m + log(cumsum(exp(x - m)))",
    ),
    Entry("logmeanexp", "log(mean(exp(x)))", "definition", form="logsumexp(x) - log(count(x))"),
    Entry("normalize", "x / max(sqrt(sum(x * x)), 1e-12)", _torch("normalize")),
    Entry(
        "cosine_similarity",
        "sum(x * y) / sqrt(max(sum(x * x), 1e-16) * max(sum(y * y), 1e-16))",
        _torch("cosine_similarity"),
        form="sum(x / max(norm(x), 1e-8) * (y / max(norm(y), 1e-8)))",
        inputs=_XY,
    ),
    Entry("pairwise_distance", "sqrt(sum((x - y + 1e-6) ** 2))", _torch("pairwise_distance"), inputs=_XY),
    Entry("embedding", "x[t]", _torch("embedding"), inputs={"x": "", "t": "index"}),
    Entry(
        "masked_mean",
        "sum(where(keep, x, 0)) / sum(where(keep, 1, 0))",
        "mean over the entries that are not ignored",
        inputs={"x": "", "keep": "mask"},
    ),
    Entry("clip_by_norm", "x * min(1, 1 / (sqrt(sum(x * x)) + 1e-6))", "Pascanu et al. (2013)"),
)

LOSSES = (
    Entry("l1", "abs(x - y)", _torch("l1_loss"), inputs=_XY),
    Entry(
        "huber",
        "where(abs(x - y) <= 1, (x - y) ** 2 / 2, abs(x - y) - 0.5)",
        "Huber (1964); torch.nn.functional.huber_loss",
        inputs=_XY,
    ),
    Entry("hinge", "max(0, 1 - x * y)", "Cortes & Vapnik (1995)", inputs=_XY),
    Entry(
        "soft_margin",
        "log(1 + exp(-x * y))",
        _torch("soft_margin_loss"),
        form="softplus(-x * y)",
        inputs={"x": "", "y": "constant"},
    ),
    Entry("poisson_nll", "exp(x) - y * x", _torch("poisson_nll_loss"), inputs={"x": "", "y": "positive"}),
    Entry(
        "focal",
        "s = sigmoid(x); (1 - (s * y + (1 - s) * (1 - y))) ** 2 * (y * log(1 + exp(-x)) + (1 - y) * log(1 + exp(x)))",
        "Lin et al. (2017)",
        form="s = sigmoid(x); (1 - (s * y + (1 - s) * (1 - y))) ** 2 * (y * softplus(-x) + (1 - y) * softplus(x))",
        inputs={"x": "", "y": "unit"},
    ),
    Entry("laplace_nll", "log(2 * s) + abs(x - y) / s", "definition", inputs={"x": "", "y": "", "s": "positive"}),
    Entry("student_t_nll", "log(1 + (x - y) ** 2 / 4) * 2.5", "definition, with four degrees of freedom", inputs=_XY),
    Entry(
        "kl_of_gaussians",
        "log(t / s) + (s * s + (x - y) ** 2) / (2 * t * t) - 0.5",
        "definition",
        inputs={"x": "", "s": "0.1..10", "y": "", "t": "0.1..10"},
    ),
    Entry(
        "dice",
        "1 - (2 * sum(p * y) + 1) / (sum(p) + sum(y) + 1)",
        "Milletari et al. (2016)",
        inputs={"p": "unit", "y": "unit"},
    ),
    Entry(
        "cross_entropy_of_distributions",
        "-sum(p * (x - log(sum(exp(x)))))",
        "definition",
        form="-sum(p * log_softmax(x))",
        inputs=_UNIT_SUM,
    ),
    Entry(
        "weighted_cross_entropy",
        "-w[t] * log_softmax(x)[t]",
        "torch.nn.functional.cross_entropy, with class weights",
        inputs={"x": "", "t": "index", "w": "0.1..10 constant"},
    ),
    Entry(
        "cross_entropy_with_ignored",
        "where(keep, -log_softmax(x)[t], 0)",
        "torch.nn.functional.cross_entropy, where some labels are `ignore_index`",
        inputs={"x": "", "t": "index", "keep": "mask per_row"},
    ),
    Entry(
        "smoothed_cross_entropy",
        "y = log_softmax(x); -(0.9 * y[t] + 0.1 * mean(y))",
        "torch.nn.functional.cross_entropy, with `label_smoothing`",
        inputs={"x": "", "t": "index"},
    ),
    Entry(
        "weighted_smoothed_cross_entropy",
        "y = log_softmax(x); -(0.9 * w[t] * y[t] + 0.1 * mean(w * y))",
        "torch.nn.functional.cross_entropy, with both: the smoothed part has the weight of every class",
        inputs={"x": "", "t": "index", "w": "0.1..10 constant"},
    ),
    Entry(
        "label_smoothing",
        "-(0.9 * sum(p * log_softmax(x)) + 0.1 * mean(log_softmax(x)))",
        "Szegedy et al. (2016)",
        inputs=_UNIT_SUM,
    ),
    Entry(
        "triplet_margin",
        "max(norm(a - p + 1e-6) - norm(a - n + 1e-6) + 1, 0)",
        _torch("triplet_margin_loss"),
        inputs={"a": "", "p": "", "n": ""},
    ),
    Entry(
        "normal_log_prob",
        "-((x - m) / s) ** 2 / 2 - log(s) - log(2 * pi) / 2",
        "torch.distributions.Normal",
        inputs={"x": "", "m": "", "s": "positive"},
    ),
)

NORMS = (
    Entry(
        "layer_norm_with_weight",
        "d = x - mean(x); d / sqrt(mean(d ** 2) + 1e-5) * w + b",
        "Ba et al. (2016), with a weight and a bias for each entry",
        inputs={"x": "", "w": "", "b": ""},
    ),
    Entry(
        "rms_norm_with_weight",
        "x / sqrt(mean(x * x) + 1e-6) * w",
        "Zhang & Sennrich (2019), with a weight for each entry",
        inputs={"x": "", "w": ""},
    ),
    Entry(
        "batch_norm",
        "d = x - mean(x); d / sqrt(mean(d ** 2) + 1e-5) * w + b",
        "Ioffe & Szegedy (2015), in training; a row is a channel, its entries are the batch",
        inputs={"x": "", "w": "per_row", "b": "per_row"},
    ),
    Entry(
        "batch_norm_in_evaluation",
        "(x - m) / sqrt(v + 1e-5) * w + b",
        "Ioffe & Szegedy (2015), with running statistics",
        inputs={"x": "", "m": "constant", "v": "positive constant", "w": "", "b": ""},
    ),
    Entry(
        "running_mean",
        "0.9 * m + 0.1 * mean(x)",
        "torch.nn.functional.batch_norm; a row is a channel",
        inputs={"m": "per_row constant", "x": "constant"},
    ),
    Entry(
        "running_variance",
        "0.9 * v + 0.1 * sum((x - mean(x)) ** 2) / (count(x) - 1)",
        "torch.nn.functional.batch_norm, whose running variance is unbiased; a row is a channel",
        inputs={"v": "positive per_row constant", "x": "constant"},
    ),
)

ATTENTION = (
    Entry(
        "attention",
        "sum(softmax(q * k) * v)",
        "Vaswani et al. (2017), for one query and one feature",
        inputs={"q": "per_row", "k": "", "v": ""},
    ),
    Entry(
        "masked_attention",
        "s = q * k; e = where(keep, exp(s), 0); sum(e / sum(e) * v)",
        "Vaswani et al. (2017), with masked keys",
        form="s = q * k; m = stop(max(where(keep, s, min(s)))); e = where(keep, exp(where(keep, s, m) - m), 0);"
        " sum(e / sum(e) * v)",
        inputs={"q": "per_row", "k": "", "v": "", "keep": "mask"},
    ),
    Entry(
        "rotary_at_position",
        "x * cos(p * f) - y * sin(p * f)",
        "Su et al. (2021), the first of two at a position, with the frequency",
        inputs={"x": "", "y": "", "p": "0..131072 whole constant", "f": "unit constant"},
    ),
    Entry(
        "linear_upsampling",
        "0.75 * a + 0.25 * b",
        "torch.nn.functional.interpolate, twice as many points, between two, with aligned corners",
        inputs={"a": "", "b": ""},
    ),
    Entry(
        "cubic_upsampling",
        "-0.10546875 * a + 0.87890625 * b + 0.26171875 * c - 0.03515625 * d",
        "Keys (1981) with the slope -0.75 of torch.nn.functional.interpolate, a quarter of the way from b to c",
        inputs={"a": "", "b": "", "c": "", "d": ""},
    ),
    Entry(
        "bilinear",
        "(1 - s) * ((1 - t) * a + t * b) + s * ((1 - t) * c + t * d)",
        "torch.nn.functional.grid_sample, between four points",
        inputs={"a": "", "b": "", "c": "", "d": "", "s": "unit constant", "t": "unit constant"},
    ),
)

STEPS = (
    Entry(
        "adam_steps",
        _steps("{p}", "g{t}"),
        "Kingma & Ba (2015), three steps from moments of zero",
        inputs=_THREE_STEPS,
    ),
    Entry(
        "adam_steps_with_decay",
        _steps("{p}", "g{t} + 0.01 * {p}"),
        "torch.optim.Adam, whose weight decay is part of the gradient",
        inputs=_THREE_STEPS,
    ),
    Entry(
        "adamw_steps",
        _steps("({p} - 0.00001 * {p})", "g{t}"),
        "Loshchilov & Hutter (2019), whose weight decay is the learning rate's share of the parameter",
        inputs=_THREE_STEPS,
    ),
    Entry(
        "momentum_steps",
        "p1 = p - 0.1 * g1; b = 0.9 * g1 + g2; p2 = p1 - 0.1 * b; p2 - 0.1 * (0.9 * b + g3)",
        "Sutskever et al. (2013), as in torch.optim.SGD, three steps",
        inputs=_THREE_STEPS,
    ),
    Entry(
        "adam",
        "p - 0.001 * ((0.9 * m + 0.1 * g) / 0.1) / (sqrt((0.999 * v + 0.001 * g * g) / 0.001) + 1e-8)",
        "Kingma & Ba (2015), the first step",
        inputs={"p": "", "g": "", "m": "", "v": "positive"},
    ),
    Entry(
        "accumulated_gradient",
        "sum(where(keep, g, 0)) / sum(where(keep, 1, 0))",
        "the full batch: gradients of microbatches with some ignored samples add up to its mean",
        inputs={"g": "constant", "keep": "mask"},
    ),
    Entry(
        "accumulated_gradient_with_weights",
        "sum(w * g) / sum(w)",
        "the full batch, with weighted samples",
        inputs={"g": "constant", "w": "0.1..10 constant"},
    ),
    Entry("moving_average", "0.99 * x + 0.01 * y", "Polyak & Juditsky (1992)", inputs=_XY),
    Entry(
        "rotary",
        "x * cos(t) - y * sin(t)",
        "Su et al. (2021), the first of two",
        inputs={"x": "", "y": "", "t": "-1000..1000"},
    ),
)

GROUPS: Mapping[str, tuple[Entry, ...]] = {
    "activations": ACTIVATIONS,
    "elementary": ELEMENTARY,
    "reductions": REDUCTIONS,
    "losses": LOSSES,
    "norms": NORMS,
    "attention and places": ATTENTION,
    "steps": STEPS,
}
"""All entries in groups."""


CATALOGUE: Mapping[str, Entry] = {entry.name: entry for entries in GROUPS.values() for entry in entries}
"""Every entry by name."""
