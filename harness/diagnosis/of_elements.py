"""Variants of elementwise functions, of steps of an optimizer, and of counts."""

import ast
import math

import torch
from torch import Tensor
from torch.nn import functional

from harness.diagnosis import generic, marks
from harness.diagnosis.generic import BITS, CONSTANT, DECADES, EXPONENTIAL, FACTOR, LABELS, LOGARITHM, SIGN, first
from harness.diagnosis.marks import adds, calls, divides, keyword, minus, multiplies, subtracts
from harness.diagnosis.operation import Choice, Operation, Setting, mistake, vary

OPERATIONS: dict[str, Operation] = {}
"""By contract."""

_LOGS = (BITS, DECADES, EXPONENTIAL, FACTOR, CONSTANT)
_SCALE = generic.scale_input("scale", "the input is multiplied by {c}; {op} does not scale it")


def _negate_input(name: str, formula: str) -> Choice:
    return first("sign", f"{name}(-x) is computed; {{op}} is {formula}", torch.neg, calls("exp"), minus)


OPERATIONS["sigmoid"] = Operation(vary(torch.sigmoid), {
    "before": (first("sign", "sigmoid(-x) is computed; {op} is 1 / (1 + exp(-x))", torch.neg, calls("exp")),),
    "form": (
        mistake("tanh", "(1 + tanh(x)) / 2 is computed, which is sigmoid(2 x); {op} is (1 + tanh(x / 2)) / 2",
                lambda _, x: (torch.tanh(x) + 1.0) / 2.0, calls("tanh")),
        mistake("tanh only", "tanh(x) is computed; {op} is 1 / (1 + exp(-x))",
                lambda _, x: torch.tanh(x), calls("tanh")),
        mistake("hard", "the piecewise linear hardsigmoid is computed; {op} is 1 / (1 + exp(-x))",
                lambda _, x: functional.hardsigmoid(x), calls("hardsigmoid", "clamp")),
        mistake("clipped", "0.2 x + 0.5 is clipped to [0, 1]; {op} is 1 / (1 + exp(-x))",
                lambda _, x: (0.2 * x + 0.5).clamp(0.0, 1.0), calls("clamp", "clip")),
        mistake("softsign", "a softsign takes the place of the exponential; {op} is 1 / (1 + exp(-x))",
                lambda _, x: 0.5 * (1.0 + x / (1.0 + x.abs()))),
    ),
    "scale": (_SCALE,),
    "after": (LOGARITHM, SIGN, FACTOR, CONSTANT),
})  # fmt: skip


def _softplus(x: Tensor) -> Tensor:
    return functional.softplus(x, threshold=1e3)


OPERATIONS["softplus"] = Operation(vary(_softplus), {
    "before": (_negate_input("softplus", "ln(1 + exp(x))"),),
    "form": (
        mistake("relu", "max(x, 0) is computed; {op} is ln(1 + exp(x))",
                lambda _, x: torch.relu(x), calls("relu", "clamp", "maximum")),
        mistake("squareplus", "(x + sqrt(x^2 + 4)) / 2 is computed; {op} is ln(1 + exp(x))",
                lambda _, x: (x + torch.sqrt(x * x + 4.0)) / 2.0),
        mistake("beta", "softplus has the sharpness beta = {c}; {op} has beta = 1",
                lambda _, x, c: _softplus(x * c) / c, keyword("beta"), marks.number, numbers=generic.POSITIVE),
    ),
    "after": (SIGN, *_LOGS),
    "scale": (_SCALE,),
})  # fmt: skip

OPERATIONS["logsigmoid"] = Operation(vary(functional.logsigmoid), {
    "before": (_negate_input("logsigmoid", "-ln(1 + exp(-x))"),),
    "after": (
        mistake("negative", "the result has the opposite sign: softplus(-x); {op} is -softplus(-x)",
                lambda y, *_: -y, calls("softplus")),
        *_LOGS,
    ),
    "eps": generic.guards("the sigmoid"),
    "scale": (_SCALE,),
})  # fmt: skip

OPERATIONS["logaddexp"] = Operation(vary(torch.logaddexp), {
    "form": (
        mistake("shift", "the maximum is subtracted and not added again; {op} adds it to the logarithm",
                lambda y, a, b: y - torch.maximum(a, b), calls("log1p", "log")),
        mistake("shift a", "a is subtracted and not added again; {op} adds it to the logarithm",
                lambda y, a, b: y - a, calls("log1p", "log")),
        mistake("shift b", "b is subtracted and not added again; {op} adds it to the logarithm",
                lambda y, a, b: y - b, calls("log1p", "log")),
        mistake("log2", "powers and logarithm have base 2; {op} has base e",
                lambda _, a, b: torch.logaddexp2(a, b), calls("logaddexp2", "log2", "exp2")),
        mistake("maximum", "the maximum is returned; {op} is larger than the maximum",
                lambda _, a, b: torch.maximum(a, b), calls("maximum", "max")),
        mistake("minimum", "the minimum is added to the logarithm; {op} adds the maximum",
                lambda _, a, b: torch.minimum(a, b) + functional.softplus(-(a - b).abs()), calls("minimum", "min")),
        mistake("mean", "the mean of the exponentials is taken; {op} takes their sum", lambda y, *_: y - math.log(2.0)),
        mistake("minus", "the exponentials are subtracted; {op} adds them",
                lambda _, a, b: torch.log((a.exp() - b.exp()).abs()), subtracts),
        mistake("sum", "a + b is computed; {op} adds the exponentials", lambda _, a, b: a + b, adds),
        mistake("plus one", "1 is added to the sum of the exponentials; {op} adds nothing",
                lambda y, *_: functional.softplus(y)),
    ),
    "after": (SIGN, *_LOGS),
    "before": (mistake("sign", "the signs of both inputs are changed; {op} keeps them", lambda a, b: (-a, -b), minus),),
})  # fmt: skip

OPERATIONS["sgd"] = Operation(vary(lambda w, gradient, lr: w - lr * gradient), {
    "form": (
        mistake("sign", "the step is added: it goes up the slope; {op} subtracts it",
                lambda _, w, gradient, lr: w + lr * gradient, adds),
        mistake("mean", "the step is divided by the number of elements; {op} is parameter - lr * gradient",
                lambda _, w, gradient, lr: w - lr * gradient / len(w), divides),
        mistake("no rate", "the learning rate is missing; {op} multiplies the gradient by it",
                lambda _, w, gradient, lr: w - gradient),
        mistake("rate twice", "the learning rate is applied twice; {op} applies it once",
                lambda _, w, gradient, lr: w - lr * (lr * gradient)),
        mistake("divided", "the gradient is divided by the learning rate; {op} multiplies by it",
                lambda _, w, gradient, lr: w - gradient / lr, divides),
        mistake("step only", "the step is returned without the parameter; {op} is parameter - lr * gradient",
                lambda _, w, gradient, lr: -lr * gradient),
        mistake("sign of gradient", "only the sign of the gradient is used; {op} uses its value",
                lambda _, w, gradient, lr: w - lr * gradient.sign(), calls("sign")),
        mistake("unit", "the gradient is divided by its norm; {op} is not normalized",
                lambda _, w, gradient, lr: w - lr * gradient / (gradient * gradient).sum().sqrt(), calls("norm")),
        mistake("average", "the mean of the gradient is used for all elements; {op} uses each element",
                lambda _, w, gradient, lr: w - lr * gradient.mean(), calls("mean")),
        mistake("unchanged", "the parameter is returned unchanged; {op} subtracts lr * gradient", lambda _, w, *__: w),
        mistake("scaled", "the parameter is scaled by 1 - lr; {op} does not decay it",
                lambda y, w, gradient, lr: y - lr * w),
        mistake("decay", "a weight decay of {c} is added to the gradient; {op} has none",
                lambda _, w, gradient, lr, c: w - lr * (gradient + c * w), marks.number, numbers=generic.EPS),
        mistake("factor", "the step is {c} times the right one; {op} is parameter - lr * gradient",
                lambda _, w, gradient, lr, c: w - c * lr * gradient, marks.number, numbers=generic.FACTORS),
        mistake("clip", "the gradient is clipped at {c}; {op} does not clip it",
                lambda _, w, gradient, lr, c: w - lr * gradient.clamp(-c, c),
                marks.number, calls("clamp"), numbers=generic.POSITIVE),
    ),
    "before": (generic.swap_inputs("the parameter", "the gradient"),),
})  # fmt: skip

OPERATIONS["linear"] = Operation(vary(lambda x, weight, bias: x @ weight.T + bias), {
    "form": (
        mistake("no bias", "the bias is ignored; {op} adds it",
                lambda _, x, weight, bias: x @ weight.T, marks.operator(ast.MatMult), calls("matmul", "mm")),
        mistake("minus", "the bias is subtracted; {op} adds it",
                lambda _, x, weight, bias: x @ weight.T - bias, subtracts),
        mistake("bias times", "the bias is a factor; {op} adds it",
                lambda _, x, weight, bias: (x @ weight.T) * bias, multiplies),
        mistake("mean", "the products are averaged; {op} sums them",
                lambda _, x, weight, bias: x @ weight.T / x.shape[-1] + bias, divides, calls("mean")),
        mistake("twice", "the bias is added twice; {op} adds it once", lambda y, x, weight, bias: y + bias),
        mistake("relu", "negative results are set to 0; {op} keeps them",
                lambda y, *_: torch.relu(y), calls("relu", "clamp")),
    ),
    "after": (SIGN, FACTOR),
})  # fmt: skip


def _compute_accuracy(s: Setting, scores: Tensor, labels: Tensor) -> Tensor:
    best = scores.argmin(-1) if s.key("form") == "smallest" else scores.argmax(-1)
    hits = (best == labels).to(scores.dtype if scores.is_floating_point() else torch.float64)
    if s.declares.get("reduction", "mean") == "sum":
        hits = hits * len(hits)
    return s.call("form", lambda hits, _: hits.mean(), hits, scores)  # type: ignore[no-any-return]


OPERATIONS["accuracy"] = Operation(_compute_accuracy, {
    "form": (
        mistake("count", "the number of hits is returned; {op} is their share of the rows",
                lambda hits, _: hits.sum(), calls("sum"), declare="reduction=sum"),
        mistake("error", "the share of misses is returned; {op} is the share of hits",
                lambda hits, _: 1.0 - hits.mean()),
        mistake("errors", "the number of misses is returned; {op} is the share of hits",
                lambda hits, _: (1.0 - hits).sum(), calls("sum")),
        mistake("percent", "the result is in percent; {op} is a share between 0 and 1",
                lambda hits, _: 100.0 * hits.mean(), multiplies),
        mistake("per element", "the hits are divided by n k; {op} divides by the number of rows",
                lambda hits, scores: hits.sum() / scores.numel(), calls("numel")),
        mistake("classes", "the hits are divided by the number of classes; {op} divides by the number of rows",
                lambda hits, scores: hits.sum() / scores.shape[-1]),
        mistake("smallest", "the smallest score wins; {op} takes the largest", None, calls("argmin", "min")),
    ),
    "before": LABELS,
})  # fmt: skip


OPERATIONS["one_hot"] = Operation(vary(lambda labels, k: functional.one_hot(labels, k).to(torch.float64)), {
    "form": (
        mistake("labels + 1", "the 1 stands one place too far right; {op} counts labels from 0",
                lambda hot, *_: hot.roll(1, -1), adds),
        mistake("labels - 1", "the 1 stands one place too far left; {op} counts labels from 0",
                lambda hot, *_: hot.roll(-1, -1), subtracts),
        mistake("reversed", "the places count from the right; {op} counts them from the left",
                lambda hot, *_: hot.flip(-1), calls("flip")),
        mistake("inverted", "0 stands at the label and 1 elsewhere; {op} has the 1 at the label",
                lambda hot, *_: 1.0 - hot, subtracts),
        mistake("cumulative", "1 stands at the label and after it; {op} has the 1 at the label only",
                lambda hot, *_: hot.cumsum(-1)),
        mistake("ordinal", "1 stands at the label and before it; {op} has the 1 at the label only",
                lambda hot, *_: hot.flip(-1).cumsum(-1).flip(-1)),
    ),
    "after": (FACTOR,),
})  # fmt: skip

OPERATIONS["add"] = Operation(vary(torch.add), {
    "form": (
        mistake("minus", "b is subtracted; {op} adds it", lambda _, a, b: a - b, subtracts),
        mistake("times", "a and b are multiplied; {op} adds them", lambda _, a, b: a * b, multiplies),
        mistake("mean", "the mean is taken; {op} takes the sum", lambda y, *_: y / 2.0, divides),
        mistake("twice", "b is added twice; {op} adds it once", lambda y, a, b: y + b),
    ),
    "after": (SIGN, FACTOR, CONSTANT),
})  # fmt: skip
