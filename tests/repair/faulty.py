"""Faulty functions as text, with the expressions that a fix must contain."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Faulty:
    """A module with one faulty function, and what its fixed text contains and no longer contains."""

    contract: str
    source: str
    fixed: tuple[str, ...]
    gone: tuple[str, ...] = ()
    unsafe: bool = False
    mistakes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the function."""
        return self.source.split("def ", 1)[1].split("(", 1)[0]

    @property
    def text(self) -> str:
        """The module, with the usual imports."""
        return f"import torch\nimport torch.nn.functional as F\n\n\n{self.source}"


FAULTY = (
    Faulty(
        "softmax",
        """def naive_softmax(x):
    e = torch.exp(x)  # may overflow
    return e / e.sum(-1, keepdim=True)
""",
        ("e = torch.exp(x - x.amax(-1, keepdim=True))  # may overflow",),
    ),
    Faulty(
        "softmax",
        """def softmax_in_one_line(x):
    return torch.exp(x) / torch.exp(x).sum(dim=-1, keepdim=True)
""",
        ("torch.exp(x - x.amax(-1, keepdim=True)) / torch.exp(x - x.amax(-1, keepdim=True)).sum(dim=-1",),
    ),
    Faulty(
        "softmax",
        """def softmax_by_methods(logits):
    exponentials = logits.exp()
    total = exponentials.sum(1, keepdim=True)
    return exponentials / total
""",
        ("(logits - logits.amax(1, keepdim=True)).exp()",),
    ),
    Faulty(
        "log_softmax",
        """def log_of_softmax(x):
    return torch.log(torch.softmax(x, dim=-1))
""",
        ("return torch.log_softmax(x, dim=-1)",),
    ),
    Faulty(
        "log_softmax",
        """def log_of_softmax_by_name(x):
    p = F.softmax(x, -1)
    return p.log()
""",
        ("return torch.log_softmax(x, dim=-1)",),
        ("p = ",),
    ),
    Faulty(
        "log_softmax",
        """def log_of_written_softmax(x):
    e = torch.exp(x - x.max(-1, keepdim=True).values)
    p = e / e.sum(-1, keepdim=True)
    return torch.log(p)
""",
        ("return torch.log_softmax(x, dim=-1)",),
        ("p = ", "e = "),
    ),
    Faulty(
        "log_softmax",
        """def minus_log_sum(x):
    return x - torch.log(torch.exp(x).sum(-1, keepdim=True))
""",
        ("return torch.log_softmax(x, dim=-1)",),
    ),
    Faulty(
        "logsumexp",
        """def naive_logsumexp(x):
    return torch.log(torch.sum(torch.exp(x), dim=-1))
""",
        ("return torch.logsumexp(x, dim=-1)",),
    ),
    Faulty(
        "logsumexp",
        """def logsumexp_in_steps(x):
    e = x.exp()
    s = e.sum(-1)
    return s.log()
""",
        ("return torch.logsumexp(x, dim=-1)",),
        ("e = ", "s = "),
    ),
    Faulty(
        "cross_entropy",
        """def picked_cross_entropy(x, labels):
    p = torch.softmax(x, -1)
    return -torch.log(p[torch.arange(len(labels)), labels]).mean()
""",
        ("-torch.log_softmax(x, dim=-1)[torch.arange(len(labels)), labels].mean()",),
        ("p = ",),
    ),
    Faulty(
        "cross_entropy",
        """def gathered_cross_entropy(x, labels):
    p = torch.softmax(x, -1)
    return -torch.log(p.gather(1, labels[:, None])).mean()
""",
        ("-torch.log_softmax(x, dim=-1).gather(1, labels[:, None]).mean()",),
        ("p = ",),
    ),
    Faulty(
        "cross_entropy",
        """def cross_entropy_with_epsilon(x, labels):
    p = torch.softmax(x, -1)
    return -torch.log(p[torch.arange(len(labels)), labels] + 1e-12).mean()
""",
        ("torch.log_softmax(x, dim=-1)[torch.arange(len(labels)), labels]",),
        ("1e-12", "p = "),
        unsafe=True,
        mistakes=("eps",),
    ),
    Faulty(
        "cross_entropy",
        """def cross_entropy_clamped(x, labels):
    p = torch.softmax(x, -1).clamp(min=1e-7)
    return F.nll_loss(torch.log(p), labels)
""",
        ("F.nll_loss(torch.log_softmax(x, dim=-1), labels)",),
        ("clamp",),
        unsafe=True,
        mistakes=("clamp",),
    ),
    Faulty(
        "cross_entropy",
        """def cross_entropy_of_softmax(x, labels):
    return F.cross_entropy(torch.softmax(x, -1), labels)
""",
        ("F.cross_entropy(x, labels)",),
        ("softmax(x",),
        unsafe=True,
        mistakes=("twice",),
    ),
    Faulty(
        "cross_entropy",
        """def cross_entropy_in_bits(x, labels):
    p = torch.softmax(x, -1)
    return -torch.log2(p[torch.arange(len(labels)), labels]).mean()
""",
        ("-torch.log_softmax(x, dim=-1)[torch.arange(len(labels)), labels].mean()",),
        unsafe=True,
        mistakes=("log2",),
    ),
    Faulty(
        "softplus",
        """def naive_softplus(x):
    return torch.log(1 + torch.exp(x))
""",
        ("return F.softplus(x)",),
    ),
    Faulty(
        "softplus",
        """def softplus_by_log1p(x):
    return torch.log1p(torch.exp(x))
""",
        ("return F.softplus(x)",),
    ),
    Faulty(
        "sigmoid",
        """def naive_sigmoid(x):
    return 1 / (1 + torch.exp(-x))
""",
        ("return torch.sigmoid(x)",),
    ),
    Faulty(
        "sigmoid",
        """def quotient_sigmoid(x):
    e = torch.exp(x)
    return e / (1 + e)
""",
        ("return torch.sigmoid(x)",),
        ("e = ",),
    ),
    Faulty(
        "logsigmoid",
        """def log_of_sigmoid(x):
    return torch.log(torch.sigmoid(x))
""",
        ("return F.logsigmoid(x)",),
    ),
    Faulty(
        "logsigmoid",
        """def log_of_written_sigmoid(x):
    return torch.log(1 / (1 + torch.exp(-x)))
""",
        ("return F.logsigmoid(x)",),
    ),
    Faulty(
        "logsigmoid",
        """def log_of_complement(x):
    return torch.log(1 - torch.sigmoid(-x))
""",
        ("return F.logsigmoid(x)",),
    ),
    Faulty(
        "logsigmoid",
        """def logsigmoid_with_epsilon(x):
    return torch.log(torch.sigmoid(x) + 1e-8)
""",
        ("return F.logsigmoid(x)",),
        unsafe=True,
        mistakes=("eps",),
    ),
    Faulty(
        "logaddexp",
        """def naive_logaddexp(a, b):
    return torch.log(torch.exp(a) + torch.exp(b))
""",
        ("return torch.logaddexp(a, b)",),
    ),
    Faulty(
        "logaddexp",
        """def logaddexp_of_two(a, b):
    return torch.logaddexp2(a, b)
""",
        ("return torch.logaddexp(a, b)",),
        unsafe=True,
        mistakes=("log2",),
    ),
    Faulty(
        "binary_cross_entropy_with_logits",
        """def naive_bce(x, t):
    p = torch.sigmoid(x)
    return -(t * torch.log(p) + (1 - t) * torch.log(1 - p)).mean()
""",
        ("t * F.logsigmoid(x) + (1 - t) * F.logsigmoid(-x)",),
        ("p = ",),
    ),
    Faulty(
        "binary_cross_entropy_with_logits",
        """def bce_of_sigmoid(x, t):
    return F.binary_cross_entropy_with_logits(torch.sigmoid(x), t)
""",
        ("F.binary_cross_entropy_with_logits(x, t)",),
        unsafe=True,
        mistakes=("twice",),
    ),
    Faulty(
        "variance",
        """def variance_of_squares(x):
    return (x ** 2).mean(-1) - x.mean(-1) ** 2
""",
        ("((x - x.mean(dim=-1, keepdim=True)) ** 2).mean(dim=-1)",),
    ),
    Faulty(
        "variance",
        """def variance_by_products(x):
    m = x.mean(dim=-1)
    return torch.mean(x * x, dim=-1) - m * m
""",
        ("((x - x.mean(dim=-1, keepdim=True)) ** 2).mean(dim=-1)",),
    ),
    Faulty(
        "variance",
        """def unbiased_variance(x):
    return x.var(-1)
""",
        ("x.var(-1, correction=0)",),
        unsafe=True,
        mistakes=("n - 1",),
    ),
    Faulty(
        "layer_norm",
        """def unbiased_layer_norm(x):
    mean = x.mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(x.var(-1, keepdim=True) + 1e-5)
""",
        ("x.var(-1, keepdim=True, correction=0)",),
        unsafe=True,
        mistakes=("n - 1",),
    ),
    Faulty(
        "softmax",
        """def softmax_over_columns(x):
    e = torch.exp(x - x.amax(-1, keepdim=True))
    return e / e.sum(0, keepdim=True)
""",
        ("e / e.sum(-1, keepdim=True)",),
        unsafe=True,
        mistakes=("axis",),
    ),
    Faulty(
        "softmax",
        """def softmax_over_everything(x):
    e = torch.exp(x - x.amax(-1, keepdim=True))
    return e / e.sum()
""",
        ("e / e.sum(-1, keepdim=True)",),
        unsafe=True,
        mistakes=("all",),
    ),
    Faulty(
        "entropy",
        """def entropy_of_probabilities(x):
    p = torch.softmax(x, dim=-1)
    return -(p * torch.log(p)).sum(-1)
""",
        ("p * torch.log_softmax(x, dim=-1)",),
    ),
    Faulty(
        "softmax",
        """def softmax_shifted_by_the_mean(x):
    x = x - x.mean(-1, keepdim=True)
    e = torch.exp(x)
    return e / e.sum(-1, keepdim=True)
""",
        ("x = x - x.amax(-1, keepdim=True)",),
        ("mean",),
    ),
    Faulty(
        "softmax",
        """def softmax_shifted_by_the_minimum(logits):
    lowest = torch.min(logits, dim=1, keepdim=True).values
    powers = torch.exp(logits - lowest)
    return powers / powers.sum(dim=1, keepdim=True)
""",
        ("torch.exp(logits - logits.amax(1, keepdim=True))",),
        ("lowest",),
    ),
    Faulty(
        "log_softmax",
        """def log_softmax_shifted_by_the_mean(x):
    shifted = x - torch.mean(x, dim=-1, keepdim=True)
    return shifted - torch.log(shifted.exp().sum(-1, keepdim=True))
""",
        ("torch.log_softmax(",),
        ("torch.log(",),
    ),
    Faulty(
        "softmax",
        """def softmax_shifted_by_the_norm(x):
    shifted = x - x.norm(dim=-1, keepdim=True)
    return shifted.exp() / shifted.exp().sum(-1, keepdim=True)
""",
        ("x - x.amax(-1, keepdim=True)",),
        ("norm",),
    ),
)
"""All of them: 38 functions in 11 contracts."""
