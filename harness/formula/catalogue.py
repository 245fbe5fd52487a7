"""The catalog: common formulas by their usual names.

Each is a contract: ``harness check mine.py:mish`` uses it by the function's name. Operations with a handwritten
contract are not listed. Decimal numbers are exact. The optional form is what implementations compute if it differs from
the definition.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.formula.spelling import Spelling, domain


@dataclass(frozen=True)
class Entry:
    """A named formula.

    Parameters
    ----------
    call
        Its name and its inputs in order, with their domains; without inputs, ``x`` is any number.
    formula
        The exact formula, and after a bar what implementations compute if it differs.
    source
        Reference for the formula.
    """

    call: str
    formula: str
    source: str

    @property
    def name(self) -> str:
        """Its name."""
        return self.call.partition("(")[0]

    @property
    def inputs(self) -> dict[str, str]:
        """Domains of the inputs by name, in order."""
        inputs = self.call.partition("(")[2].removesuffix(")") or "x"
        pairs = (part.partition(":") for part in inputs.split(","))
        return {name.strip(): words.strip() for name, _, words in pairs}

    @property
    def definition(self) -> str:
        """The exact formula."""
        return self.formula.partition(" | ")[0]

    @property
    def form(self) -> str:
        """The formula that implementations compute; empty if it is the definition."""
        return self.formula.partition(" | ")[2]

    @property
    def spelling(self) -> Spelling:
        """The entry as a formula's text."""
        inputs = tuple((name, domain(words, name)) for name, words in self.inputs.items())
        return Spelling(self.definition, self.form, inputs, complete=True)


def _torch(name: str) -> str:
    return f"torch.nn.functional.{name}"


def _steps(decay: str, gradient: str) -> str:
    """Steps of Adam from zero moments; ``decay`` is the parameter before a step, ``gradient`` the gradient it uses."""
    parts, m, v, p = [], "0.1 * d", "0.001 * d * d", "p"
    corrections = ("0.1", "0.001"), ("0.19", "0.001999"), ("0.271", "0.002997001")
    for t, (first, second) in enumerate(corrections, 1):
        parts += [f"d = {gradient.format(t=t, p=p)}", f"m = {m}", f"v = {v}"]
        parts.append(f"p{t} = {decay.format(p=p)} - 0.001 * (m / {first}) / (sqrt(v / {second}) + 1e-8)")
        m, v, p = "0.9 * m + 0.1 * d", "0.999 * v + 0.001 * d * d", f"p{t}"
    return "; ".join([*parts, p])


_THREE_STEPS = "p: constant, g1: constant, g2: constant, g3: constant"

ACTIVATIONS = (
    Entry("relu", "max(x, 0)", _torch("relu")),
    Entry("relu6", "min(max(x, 0), 6)", _torch("relu6")),
    Entry("leaky_relu", "where(x < 0, 0.01 * x, x)", _torch("leaky_relu")),
    Entry("squared_relu", "max(x, 0) ** 2", "So et al. (2021), Primer"),
    Entry("elu", "where(x < 0, expm1(x), x)", "Clevert et al. (2016)"),
    Entry("selu", "1.0507009873554804934193349852946 * where(x < 0, 1.6732632423543772848170429916717 * expm1(x), x)",
          "Klambauer et al. (2017)"),
    Entry("gelu", "x * (1 + erf(x / sqrt(2))) / 2", "Hendrycks & Gimpel (2016)"),
    Entry("gelu_tanh", "x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3))) / 2",
          "Hendrycks & Gimpel (2016), the approximation"),
    Entry("silu", "x / (1 + exp(-x))", "Elfwing et al. (2018)"),
    Entry("mish", "x * tanh(log(1 + exp(x))) | x * tanh(softplus(x))", "Misra (2019)"),
    Entry("tanh", "tanh(x)", "definition"),
    Entry("tanhshrink", "x - tanh(x)", _torch("tanhshrink")),
    Entry("hardtanh", "min(max(x, -1), 1)", _torch("hardtanh")),
    Entry("hardsigmoid", "min(max(x + 3, 0), 6) / 6", "Howard et al. (2019)"),
    Entry("hardswish", "x * min(max(x + 3, 0), 6) / 6", "Howard et al. (2019)"),
    Entry("softsign", "x / (1 + abs(x))", "Turian et al. (2009)"),
    Entry("softshrink", "sign(x) * max(abs(x) - 0.5, 0)", _torch("softshrink")),
    Entry("glu(x, y)", "x * sigmoid(y)", "Dauphin et al. (2017), for two halves"),
    Entry("swiglu(x, y)", "x / (1 + exp(-x)) * y", "Shazeer (2020)"),
    Entry("geglu(x, y)", "x * (1 + erf(x / sqrt(2))) / 2 * y", "Shazeer (2020)"),
)  # fmt: skip

ELEMENTARY = (
    Entry("exp", "exp(x)", "definition"),
    Entry("expm1", "exp(x) - 1 | expm1(x)", "definition"),
    Entry("log1p(x: positive)", "log(1 + x) | log1p(x)", "definition"),
    Entry("log2(x: positive)", "log(x) / log(2)", "definition"),
    Entry("erf", "erf(x)", "definition"),
    Entry("erfc", "erfc(x)", "definition"),
    Entry("logit(x: 0.001..0.999)", "log(x / (1 - x))", "definition"),
    Entry("xlogy(x: unit, y: positive)", "where(x <= 0, 0, x * log(y))", "torch.xlogy"),
    Entry("hypot(x, y)", "sqrt(x * x + y * y)", "definition"),
    Entry("reciprocal", "1 / x", "definition"),
    Entry("rsqrt(x: positive)", "1 / sqrt(x)", "definition"),
    Entry("atan", "atan(x)", "definition"),
    Entry("sinh", "(exp(x) - exp(-x)) / 2 | sinh(x)", "definition"),
    Entry("cosh", "(exp(x) + exp(-x)) / 2", "definition"),
    Entry("lerp(x, y, t: unit)", "x + t * (y - x)", "torch.lerp"),
    Entry("normal_cdf", "erfc(-x / sqrt(2)) / 2", "definition"),
)

REDUCTIONS = (
    Entry("mean", "mean(x)", "definition"),
    Entry("dot(x, y)", "sum(x * y)", "definition"),
    Entry("matrix_product(x, y)", "sum(x * y)", "torch.matmul, one entry: a row times a column"),
    Entry("vector_norm", "sqrt(sum(x * x))", "definition"),
    Entry("standard_deviation", "sqrt(sum((x - mean(x)) ** 2) / (count(x) - 1))", "definition"),
    Entry("cumsum", "cumsum(x)", "definition"),
    Entry("logcumsumexp", "log(cumsum(exp(x))) | m = stop(max(x)); m + log(cumsum(exp(x - m)))", "definition"),
    Entry("logmeanexp", "log(mean(exp(x))) | logsumexp(x) - log(count(x))", "definition"),
    Entry("normalize", "x / max(sqrt(sum(x * x)), 1e-12)", _torch("normalize")),
    Entry("cosine_similarity(x, y)", "sum(x * y) / sqrt(max(sum(x * x), 1e-16) * max(sum(y * y), 1e-16))"
          " | sum(x / max(norm(x), 1e-8) * (y / max(norm(y), 1e-8)))", _torch("cosine_similarity")),
    Entry("pairwise_distance(x, y)", "sqrt(sum((x - y + 1e-6) ** 2))", _torch("pairwise_distance")),
    Entry("embedding(x, t: index)", "x[t]", _torch("embedding")),
    Entry("masked_mean(x, keep: mask)", "sum(where(keep, x, 0)) / sum(where(keep, 1, 0))",
          "mean over the entries that are not ignored"),
    Entry("clip_by_norm", "x * min(1, 1 / (sqrt(sum(x * x)) + 1e-6))", "Pascanu et al. (2013)"),
)  # fmt: skip

LOSSES = (
    Entry("l1(x, y)", "abs(x - y)", _torch("l1_loss")),
    Entry("huber(x, y)", "where(abs(x - y) <= 1, (x - y) ** 2 / 2, abs(x - y) - 0.5)",
          "Huber (1964); torch.nn.functional.huber_loss"),
    Entry("hinge(x, y)", "max(0, 1 - x * y)", "Cortes & Vapnik (1995)"),
    Entry("soft_margin(x, y: constant)", "log(1 + exp(-x * y)) | softplus(-x * y)", _torch("soft_margin_loss")),
    Entry("poisson_nll(x, y: positive)", "exp(x) - y * x", _torch("poisson_nll_loss")),
    Entry("focal(x, y: unit)",
          "s = sigmoid(x); (1 - (s * y + (1 - s) * (1 - y))) ** 2 * (y * log(1 + exp(-x)) + (1 - y) * log(1 + exp(x)))"
          " | s = sigmoid(x); (1 - (s * y + (1 - s) * (1 - y))) ** 2 * (y * softplus(-x) + (1 - y) * softplus(x))",
          "Lin et al. (2017)"),
    Entry("laplace_nll(x, y, s: positive)", "log(2 * s) + abs(x - y) / s", "definition"),
    Entry("student_t_nll(x, y)", "log(1 + (x - y) ** 2 / 4) * 2.5", "definition, with four degrees of freedom"),
    Entry("kl_of_gaussians(x, s: 0.1..10, y, t: 0.1..10)", "log(t / s) + (s * s + (x - y) ** 2) / (2 * t * t) - 0.5",
          "definition"),
    Entry("dice(p: unit, y: unit)", "1 - (2 * sum(p * y) + 1) / (sum(p) + sum(y) + 1)", "Milletari et al. (2016)"),
    Entry("cross_entropy_of_distributions(x, p: distribution)",
          "-sum(p * (x - log(sum(exp(x))))) | -sum(p * log_softmax(x))", "definition"),
    Entry("weighted_cross_entropy(x, t: index, w: 0.1..10 constant)", "-w[t] * log_softmax(x)[t]",
          "torch.nn.functional.cross_entropy, with class weights"),
    Entry("cross_entropy_with_ignored(x, t: index, keep: mask per_row)", "where(keep, -log_softmax(x)[t], 0)",
          "torch.nn.functional.cross_entropy, where some labels are `ignore_index`"),
    Entry("smoothed_cross_entropy(x, t: index)", "y = log_softmax(x); -(0.9 * y[t] + 0.1 * mean(y))",
          "torch.nn.functional.cross_entropy, with `label_smoothing`"),
    Entry("weighted_smoothed_cross_entropy(x, t: index, w: 0.1..10 constant)",
          "y = log_softmax(x); -(0.9 * w[t] * y[t] + 0.1 * mean(w * y))",
          "torch.nn.functional.cross_entropy, with both: the smoothed part has the weight of every class"),
    Entry("label_smoothing(x, p: distribution)", "-(0.9 * sum(p * log_softmax(x)) + 0.1 * mean(log_softmax(x)))",
          "Szegedy et al. (2016)"),
    Entry("triplet_margin(a, p, n)", "max(norm(a - p + 1e-6) - norm(a - n + 1e-6) + 1, 0)",
          _torch("triplet_margin_loss")),
    Entry("normal_log_prob(x, m, s: positive)", "-((x - m) / s) ** 2 / 2 - log(s) - log(2 * pi) / 2",
          "torch.distributions.Normal"),
)  # fmt: skip

NORMS = (
    Entry("layer_norm_with_weight(x, w, b)", "d = x - mean(x); d / sqrt(mean(d ** 2) + 1e-5) * w + b",
          "Ba et al. (2016), with a weight and a bias for each entry"),
    Entry("rms_norm_with_weight(x, w)", "x / sqrt(mean(x * x) + 1e-6) * w",
          "Zhang & Sennrich (2019), with a weight for each entry"),
    Entry("batch_norm(x, w: per_row, b: per_row)", "d = x - mean(x); d / sqrt(mean(d ** 2) + 1e-5) * w + b",
          "Ioffe & Szegedy (2015), in training; a row is a channel, its entries are the batch"),
    Entry("batch_norm_in_evaluation(x, m: constant, v: positive constant, w, b)", "(x - m) / sqrt(v + 1e-5) * w + b",
          "Ioffe & Szegedy (2015), with running statistics"),
    Entry("running_mean(m: per_row constant, x: constant)", "0.9 * m + 0.1 * mean(x)",
          "torch.nn.functional.batch_norm; a row is a channel"),
    Entry("running_variance(v: positive per_row constant, x: constant)",
          "0.9 * v + 0.1 * sum((x - mean(x)) ** 2) / (count(x) - 1)",
          "torch.nn.functional.batch_norm, whose running variance is unbiased; a row is a channel"),
)  # fmt: skip

ATTENTION = (
    Entry("attention(q: per_row, k, v)", "sum(softmax(q * k) * v)",
          "Vaswani et al. (2017), for one query and one feature"),
    Entry("masked_attention(q: per_row, k, v, keep: mask)",
          "s = q * k; e = where(keep, exp(s), 0); sum(e / sum(e) * v)"
          " | s = q * k; m = stop(max(where(keep, s, min(s)))); e = where(keep, exp(where(keep, s, m) - m), 0);"
          " sum(e / sum(e) * v)", "Vaswani et al. (2017), with masked keys"),
    Entry("rotary_at_position(x, y, p: 0..131072 whole constant, f: unit constant)", "x * cos(p * f) - y * sin(p * f)",
          "Su et al. (2021), the first of two at a position, with the frequency"),
    Entry("linear_upsampling(a, b)", "0.75 * a + 0.25 * b",
          "torch.nn.functional.interpolate, twice as many points, between two, with aligned corners"),
    Entry("cubic_upsampling(a, b, c, d)", "-0.10546875 * a + 0.87890625 * b + 0.26171875 * c - 0.03515625 * d",
          "Keys (1981) with the slope -0.75 of torch.nn.functional.interpolate, a quarter of the way from b to c"),
    Entry("bilinear(a, b, c, d, s: unit constant, t: unit constant)",
          "(1 - s) * ((1 - t) * a + t * b) + s * ((1 - t) * c + t * d)",
          "torch.nn.functional.grid_sample, between four points"),
)  # fmt: skip

STEPS = (
    Entry(f"adam_steps({_THREE_STEPS})", _steps("{p}", "g{t}"), "Kingma & Ba (2015), three steps from moments of zero"),
    Entry(f"adam_steps_with_decay({_THREE_STEPS})", _steps("{p}", "g{t} + 0.01 * {p}"),
          "torch.optim.Adam, whose weight decay is part of the gradient"),
    Entry(f"adamw_steps({_THREE_STEPS})", _steps("({p} - 0.00001 * {p})", "g{t}"),
          "Loshchilov & Hutter (2019), whose weight decay is the learning rate's share of the parameter"),
    Entry(f"momentum_steps({_THREE_STEPS})",
          "p1 = p - 0.1 * g1; b = 0.9 * g1 + g2; p2 = p1 - 0.1 * b; p2 - 0.1 * (0.9 * b + g3)",
          "Sutskever et al. (2013), as in torch.optim.SGD, three steps"),
    Entry("adam(p, g, m, v: positive)",
          "p - 0.001 * ((0.9 * m + 0.1 * g) / 0.1) / (sqrt((0.999 * v + 0.001 * g * g) / 0.001) + 1e-8)",
          "Kingma & Ba (2015), the first step"),
    Entry("accumulated_gradient(g: constant, keep: mask)", "sum(where(keep, g, 0)) / sum(where(keep, 1, 0))",
          "the full batch: gradients of microbatches with some ignored samples add up to its mean"),
    Entry("accumulated_gradient_with_weights(g: constant, w: 0.1..10 constant)", "sum(w * g) / sum(w)",
          "the full batch, with weighted samples"),
    Entry("moving_average(x, y)", "0.99 * x + 0.01 * y", "Polyak & Juditsky (1992)"),
    Entry("rotary(x, y, t: -1000..1000)", "x * cos(t) - y * sin(t)", "Su et al. (2021), the first of two"),
)  # fmt: skip

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
