"""Variants of elementwise functions, of steps of an optimizer, and of counts."""

import ast
import math

import torch
from torch import Tensor
from torch.nn import functional

from harness.diagnosis import generic, marks
from harness.diagnosis.generic import clamp, eps
from harness.diagnosis.operation import Choice, Operation, Setting


def _sigmoid(s: Setting, x: Tensor) -> Tensor:
    match s.key("form"):
        case "tanh":
            return (torch.tanh(x) + 1.0) / 2.0
        case "tanh only":
            return torch.tanh(x)
        case "hard":
            return functional.hardsigmoid(x)
        case "clipped":
            return (0.2 * x + 0.5).clamp(0.0, 1.0)
        case "softsign":
            return 0.5 * (1.0 + x / (1.0 + x.abs()))
        case "exp":
            return torch.exp(x)
        case "no one":
            return torch.exp(-x)
    if s.key("scale"):
        x = x * s.number("scale")
    return torch.sigmoid(x)


_SCALE = Choice(
    "scale", "the input is multiplied by {c}", "{op} does not scale it", (marks.number,), numbers=generic.FACTORS
)

_SIGMOID = Operation(
    _sigmoid,
    {
        "before": (
            generic.first(
                "sign", "sigmoid(-x) is computed", "{op} is 1 / (1 + exp(-x))", lambda x: -x, marks.calls("exp")
            ),
        ),
        "form": (
            Choice(
                "tanh",
                "(1 + tanh(x)) / 2 is computed, which is sigmoid(2 x)",
                "{op} is (1 + tanh(x / 2)) / 2",
                (marks.calls("tanh"),),
            ),
            Choice("tanh only", "tanh(x) is computed", "{op} is 1 / (1 + exp(-x))", (marks.calls("tanh"),)),
            Choice(
                "hard",
                "the piecewise linear hardsigmoid is computed",
                "{op} is 1 / (1 + exp(-x))",
                (marks.calls("hardsigmoid", "clamp"),),
            ),
            Choice(
                "clipped",
                "0.2 x + 0.5 is clipped to [0, 1]",
                "{op} is 1 / (1 + exp(-x))",
                (marks.calls("clamp", "clip"),),
            ),
            Choice("softsign", "a softsign takes the place of the exponential", "{op} is 1 / (1 + exp(-x))"),
        ),
        "scale": (_SCALE,),
        "after": (generic.LOGARITHM, generic.SIGN, generic.FACTOR, generic.CONSTANT),
        "eps": (),
    },
)


def _softplus(s: Setting, x: Tensor) -> Tensor:
    match s.key("form"):
        case "relu":
            return torch.relu(x)
        case "log":
            return x
        case "squareplus":
            return (x + torch.sqrt(x * x + 4.0)) / 2.0
    if s.key("scale") == "beta":
        return functional.softplus(x * s.number("scale"), threshold=1e3) / s.number("scale")
    if s.key("scale"):
        return functional.softplus(x * s.number("scale"), threshold=1e3)
    return functional.softplus(x, threshold=1e3)


_BETA = Choice(
    "beta",
    "softplus has the sharpness beta = {c}",
    "{op} has beta = 1",
    (marks.keyword("beta"), marks.number),
    numbers=generic.FACTORS[9:],
)
_LOGS = (generic.BITS, generic.DECADES, generic.EXPONENTIAL, generic.FACTOR, generic.CONSTANT)

_SOFTPLUS = Operation(
    _softplus,
    {
        "before": (
            generic.first(
                "sign",
                "softplus(-x) is computed",
                "{op} is ln(1 + exp(x))",
                lambda x: -x,
                marks.calls("exp"),
                marks.minus,
            ),
        ),
        "form": (
            Choice(
                "relu", "max(x, 0) is computed", "{op} is ln(1 + exp(x))", (marks.calls("relu", "clamp", "maximum"),)
            ),
            Choice("squareplus", "(x + sqrt(x^2 + 4)) / 2 is computed", "{op} is ln(1 + exp(x))"),
        ),
        "after": (generic.SIGN, *_LOGS),
        "scale": (_BETA, _SCALE),
    },
)


def _guard(s: Setting, y: Tensor) -> Tensor:
    if s.key("eps") == "eps":
        return torch.logaddexp(y, torch.tensor(math.log(s.number("eps")), dtype=y.dtype))
    return y.clamp(min=math.log(s.number("eps"))) if s.key("eps") == "clamp" else y


def _logsigmoid(s: Setting, x: Tensor) -> Tensor:
    if s.key("scale"):
        x = x * s.number("scale")
    return _guard(s, functional.logsigmoid(x))


_LOGSIGMOID = Operation(
    _logsigmoid,
    {
        "before": (
            generic.first(
                "sign",
                "logsigmoid(-x) is computed",
                "{op} is -ln(1 + exp(-x))",
                lambda x: -x,
                marks.calls("exp"),
                marks.minus,
            ),
        ),
        "after": (
            Choice(
                "negative",
                "the result has the opposite sign: softplus(-x)",
                "{op} is -softplus(-x)",
                (marks.calls("softplus"),),
                apply=lambda y, *_: -y,
            ),
            *_LOGS,
        ),
        "eps": (
            eps("the sigmoid before its logarithm is taken", cap=generic.cap_of_log),
            clamp("the sigmoid", cap=generic.cap_of_log),
        ),
        "scale": (_SCALE,),
    },
)


def _logaddexp(s: Setting, a: Tensor, b: Tensor) -> Tensor:
    y = torch.logaddexp(a, b)
    match s.key("form"):
        case "shift":
            return y - torch.maximum(a, b)
        case "shift a":
            return y - a
        case "shift b":
            return y - b
        case "log2":
            return torch.logaddexp2(a, b)
        case "maximum":
            return torch.maximum(a, b)
        case "mean":
            return y - math.log(2.0)
        case "minus":
            return torch.log((a.exp() - b.exp()).abs())
        case "minimum":
            return torch.minimum(a, b) + functional.softplus(-(a - b).abs())
        case "sum":
            return a + b
        case "plus one":
            return functional.softplus(y)
    return y


_LOGADDEXP = Operation(
    _logaddexp,
    {
        "form": (
            Choice(
                "shift",
                "the maximum is subtracted and not added again",
                "{op} adds it to the logarithm",
                (marks.calls("log1p", "log"),),
            ),
            Choice(
                "shift a",
                "a is subtracted and not added again",
                "{op} adds it to the logarithm",
                (marks.calls("log1p", "log"),),
            ),
            Choice(
                "shift b",
                "b is subtracted and not added again",
                "{op} adds it to the logarithm",
                (marks.calls("log1p", "log"),),
            ),
            Choice(
                "log2",
                "powers and logarithm have base 2",
                "{op} has base e",
                (marks.calls("logaddexp2", "log2", "exp2"),),
            ),
            Choice(
                "maximum",
                "the maximum is returned",
                "{op} is larger than the maximum",
                (marks.calls("maximum", "max"),),
            ),
            Choice(
                "minimum",
                "the minimum is added to the logarithm",
                "{op} adds the maximum",
                (marks.calls("minimum", "min"),),
            ),
            Choice("mean", "the mean of the exponentials is taken", "{op} takes their sum"),
            Choice("minus", "the exponentials are subtracted", "{op} adds them", (marks.operator(ast.Sub),)),
            Choice("sum", "a + b is computed", "{op} adds the exponentials", (marks.operator(ast.Add),)),
            Choice("plus one", "1 is added to the sum of the exponentials", "{op} adds nothing"),
        ),
        "after": (generic.SIGN, *_LOGS),
        "before": (
            Choice(
                "sign",
                "the signs of both inputs are changed",
                "{op} keeps them",
                (marks.minus,),
                apply=lambda a, b: (-a, -b),
            ),
        ),
    },
)


def _sgd(s: Setting, parameter: Tensor, gradient: Tensor, lr: float) -> Tensor:
    step = lr * gradient
    match s.key("form"):
        case "no rate":
            return parameter - gradient
        case "rate twice":
            return parameter - lr * step
        case "divided":
            return parameter - gradient / lr
        case "mean":
            return parameter - step / len(parameter)
        case "step only":
            return -step
        case "sign":
            return parameter + step
        case "sign of gradient":
            return parameter - lr * gradient.sign()
        case "unit":
            return parameter - step / (gradient * gradient).sum().sqrt()
        case "average":
            return parameter - lr * gradient.mean()
        case "unchanged":
            return parameter
        case "scaled":
            return (1.0 - lr) * parameter - step
    if s.key("decay") == "decay":
        return parameter - lr * (gradient + s.number("decay") * parameter)
    if s.key("decay") == "clip":
        return parameter - lr * gradient.clamp(-s.number("decay"), s.number("decay"))
    if s.key("decay") == "factor":
        return parameter - s.number("decay") * step
    return parameter - step


_SGD = Operation(
    _sgd,
    {
        "form": (
            Choice("sign", "the step is added: it goes up the slope", "{op} subtracts it", (marks.operator(ast.Add),)),
            Choice(
                "mean",
                "the step is divided by the number of elements",
                "{op} is parameter - lr * gradient",
                (marks.operator(ast.Div),),
            ),
            Choice("no rate", "the learning rate is missing", "{op} multiplies the gradient by it"),
            Choice("rate twice", "the learning rate is applied twice", "{op} applies it once"),
            Choice(
                "divided",
                "the gradient is divided by the learning rate",
                "{op} multiplies by it",
                (marks.operator(ast.Div),),
            ),
            Choice("step only", "the step is returned without the parameter", "{op} is parameter - lr * gradient"),
            Choice(
                "sign of gradient",
                "only the sign of the gradient is used",
                "{op} uses its value",
                (marks.calls("sign"),),
            ),
            Choice("unit", "the gradient is divided by its norm", "{op} is not normalized", (marks.calls("norm"),)),
            Choice(
                "average",
                "the mean of the gradient is used for all elements",
                "{op} uses each element",
                (marks.calls("mean"),),
            ),
            Choice("unchanged", "the parameter is returned unchanged", "{op} subtracts lr * gradient"),
            Choice("scaled", "the parameter is scaled by 1 - lr", "{op} does not decay it"),
        ),
        "decay": (
            Choice(
                "decay",
                "a weight decay of {c} is added to the gradient",
                "{op} has none",
                (marks.number,),
                numbers=generic.EPS,
            ),
            Choice(
                "factor",
                "the step is {c} times the right one",
                "{op} is parameter - lr * gradient",
                (marks.number,),
                numbers=generic.FACTORS,
            ),
            Choice(
                "clip",
                "the gradient is clipped at {c}",
                "{op} does not clip it",
                (marks.number, marks.calls("clamp")),
                numbers=generic.FACTORS[9:],
            ),
        ),
        "before": (generic.swapped("the parameter", "the gradient"),),
    },
)


def _linear(s: Setting, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    match s.key("form"):
        case "no bias":
            return x @ weight.T
        case "minus":
            return x @ weight.T - bias
        case "bias only":
            return bias.expand(len(x), -1)
        case "bias times":
            return (x @ weight.T) * bias
        case "mean":
            return x @ weight.T / x.shape[-1] + bias
        case "twice":
            return x @ weight.T + 2.0 * bias
        case "transposed" if weight.shape[0] == weight.shape[1]:
            return x @ weight + bias
        case "relu":
            return torch.relu(x @ weight.T + bias)
    return x @ weight.T + bias


_LINEAR = Operation(
    _linear,
    {
        "form": (
            Choice(
                "no bias",
                "the bias is ignored",
                "{op} adds it",
                (marks.operator(ast.MatMult), marks.calls("matmul", "mm")),
            ),
            Choice("minus", "the bias is subtracted", "{op} adds it", (marks.operator(ast.Sub),)),
            Choice("bias times", "the bias is a factor", "{op} adds it", (marks.operator(ast.Mult),)),
            Choice(
                "mean", "the products are averaged", "{op} sums them", (marks.operator(ast.Div), marks.calls("mean"))
            ),
            Choice("twice", "the bias is added twice", "{op} adds it once"),
            Choice("relu", "negative results are set to 0", "{op} keeps them", (marks.calls("relu", "clamp"),)),
        ),
        "after": (generic.SIGN, generic.FACTOR),
    },
)


def _accuracy(s: Setting, scores: Tensor, labels: Tensor) -> Tensor:
    best = scores.argmin(-1) if s.key("form") == "smallest" else scores.argmax(-1)
    hits = (best == labels).to(scores.dtype if scores.is_floating_point() else torch.float64)
    if s.declares.get("reduction", "mean") == "sum":
        hits = hits * len(hits)
    match s.key("form"):
        case "count":
            return hits.sum()
        case "error":
            return 1.0 - hits.mean()
        case "percent":
            return 100.0 * hits.mean()
        case "per element":
            return hits.sum() / scores.numel()
        case "classes":
            return hits.sum() / scores.shape[-1]
        case "errors":
            return (1.0 - hits).sum()
    return hits.mean()


_ACCURACY = Operation(
    _accuracy,
    {
        "form": (
            Choice(
                "count",
                "the number of hits is returned",
                "{op} is their share of the rows",
                (marks.calls("sum"),),
                "reduction=sum",
            ),
            Choice("error", "the share of misses is returned", "{op} is the share of hits"),
            Choice("errors", "the number of misses is returned", "{op} is the share of hits", (marks.calls("sum"),)),
            Choice(
                "percent", "the result is in percent", "{op} is a share between 0 and 1", (marks.operator(ast.Mult),)
            ),
            Choice(
                "per element",
                "the hits are divided by n k",
                "{op} divides by the number of rows",
                (marks.calls("numel"),),
            ),
            Choice("classes", "the hits are divided by the number of classes", "{op} divides by the number of rows"),
            Choice("smallest", "the smallest score wins", "{op} takes the largest", (marks.calls("argmin", "min"),)),
        ),
        "before": (generic.labels(1), generic.labels(-1)),
    },
)


def _one_hot(s: Setting, labels: Tensor, k: int) -> Tensor:
    by = {"labels + 1": 1, "labels - 1": -1, "reversed": 0}.get(s.key("form"), 0)
    hot = functional.one_hot((labels + by) % k, k).to(torch.float64)
    match s.key("form"):
        case "reversed":
            return hot.flip(-1)
        case "inverted":
            return 1.0 - hot
        case "cumulative":
            return hot.cumsum(-1)
        case "ordinal":
            return hot.flip(-1).cumsum(-1).flip(-1)
    return hot


_ONE_HOT = Operation(
    _one_hot,
    {
        "form": (
            Choice(
                "labels + 1",
                "the 1 stands one place too far right",
                "{op} counts labels from 0",
                (marks.operator(ast.Add),),
            ),
            Choice(
                "labels - 1",
                "the 1 stands one place too far left",
                "{op} counts labels from 0",
                (marks.operator(ast.Sub),),
            ),
            Choice(
                "reversed", "the places count from the right", "{op} counts them from the left", (marks.calls("flip"),)
            ),
            Choice(
                "inverted",
                "0 stands at the label and 1 elsewhere",
                "{op} has the 1 at the label",
                (marks.operator(ast.Sub),),
            ),
            Choice("cumulative", "1 stands at the label and after it", "{op} has the 1 at the label only"),
            Choice("ordinal", "1 stands at the label and before it", "{op} has the 1 at the label only"),
        ),
        "after": (generic.FACTOR,),
    },
)


def _add(s: Setting, a: Tensor, b: Tensor) -> Tensor:
    match s.key("form"):
        case "minus":
            return a - b
        case "times":
            return a * b
        case "mean":
            return (a + b) / 2.0
        case "twice":
            return a + 2.0 * b
    return a + b


_ADD = Operation(
    _add,
    {
        "form": (
            Choice("minus", "b is subtracted", "{op} adds it", (marks.operator(ast.Sub),)),
            Choice("times", "a and b are multiplied", "{op} adds them", (marks.operator(ast.Mult),)),
            Choice("mean", "the mean is taken", "{op} takes the sum", (marks.operator(ast.Div),)),
            Choice("twice", "b is added twice", "{op} adds it once"),
        ),
        "after": (generic.SIGN, generic.FACTOR, generic.CONSTANT),
    },
)

OPERATIONS: dict[str, Operation] = {
    "sigmoid": _SIGMOID,
    "softplus": _SOFTPLUS,
    "logsigmoid": _LOGSIGMOID,
    "logaddexp": _LOGADDEXP,
    "sgd": _SGD,
    "linear": _LINEAR,
    "accuracy": _ACCURACY,
    "one_hot": _ONE_HOT,
    "add": _ADD,
}
"""By contract."""
