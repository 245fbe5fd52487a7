"""Defects of packages for torch: losses, metrics, flows and geometry."""

from wild.defect import Defect

_F = "import torch, torch.nn.functional as F"
_FOCAL = "log1p(exp(-x)) / (1 + exp(x)) ** 2"
_FOCAL_MATTERS = (
    "A prediction is right with a logit above 16: loss and gradient are 0 or noise, while both are tiny anyway."
)
_FOCAL_FIX = "`sigmoid(-x)` instead of `1 - sigmoid(x)`"
_FOCAL_FIXED = "(F.softplus(-x) * torch.sigmoid(-x) ** 2).item()"
_FOCAL_FORMULA = (
    "--formula 'sigmoid(-x) ** 2 * log(1 + exp(-x))' --form 'sigmoid(-x) ** 2 * log1p(exp(-x))' "
    "--dtypes float32 --law value --call "
)

_LOSSES = [
    Defect(
        function="torchvision.ops.sigmoid_focal_loss",
        documented="(1 - p)^gamma times the cross-entropy",
        setup=f"import torchvision; {_F}; x = torch.tensor(17.5)",
        wrong="torchvision.ops.sigmoid_focal_loss(x, torch.tensor(1.0), alpha=-1).item()",
        truth=f"(lambda x: {_FOCAL})(mpf('17.5'))",
        matters=_FOCAL_MATTERS,
        fix=_FOCAL_FIX,
        fixed=_FOCAL_FIXED,
        command=f"torchvision.ops:sigmoid_focal_loss {_FOCAL_FORMULA}'lambda f, x: f(x, torch.ones_like(x), alpha=-1)'",
    ),
    Defect(
        function="fvcore.nn.sigmoid_focal_loss",
        documented="(1 - p)^gamma times the cross-entropy",
        setup=f"import fvcore.nn; {_F}; x = torch.tensor(17.5)",
        wrong="fvcore.nn.sigmoid_focal_loss(x, torch.tensor(1.0)).item()",
        truth=f"(lambda x: {_FOCAL})(mpf('17.5'))",
        matters=_FOCAL_MATTERS,
        fix=_FOCAL_FIX,
        fixed=_FOCAL_FIXED,
        command=f"fvcore.nn:sigmoid_focal_loss {_FOCAL_FORMULA}'lambda f, x: f(x, torch.ones_like(x))'",
    ),
    Defect(
        function="segmentation_models_pytorch.losses.FocalLoss (binary)",
        documented="the focal loss of logits",
        setup=f"import segmentation_models_pytorch as smp; {_F}; x = torch.tensor([18.0])",
        wrong="smp.losses.FocalLoss('binary')(x, torch.tensor([1.0])).item()",
        truth=f"(lambda x: {_FOCAL})(mpf(18))",
        matters=_FOCAL_MATTERS,
        fix="`-expm1(-loss)` instead of `1 - exp(-loss)`",
        fixed="((-torch.expm1(-F.softplus(-x))) ** 2 * F.softplus(-x)).item()",
        command="segmentation_models_pytorch.losses:FocalLoss --formula 'sigmoid(-x) ** 2 * log(1 + exp(-x))' "
        "--form 'sigmoid(-x) ** 2 * log1p(exp(-x))' --call 'lambda f, x: f(\"binary\", "
        'reduction="none")(x, torch.ones_like(x))\' --dtypes float32 --law value',
    ),
    Defect(
        function="timm.loss.PolyBinaryCrossEntropy",
        documented="the cross-entropy plus epsilon times 1 - p",
        setup=f"import timm.loss; {_F}; x = torch.tensor([[17.5]])",
        wrong="timm.loss.PolyBinaryCrossEntropy()(x, torch.tensor([[1.0]])).item()",
        truth="log1p(exp(mpf('-17.5'))) + 2 / (1 + exp(mpf('17.5')))",
        matters="A prediction is right with a logit above 16: loss and gradient are a third of the true ones.",
        fix=_FOCAL_FIX,
        fixed="(F.softplus(-x) + 2 * torch.sigmoid(-x)).item()",
        command="timm.loss:PolyBinaryCrossEntropy --formula 'log(1 + exp(-x)) + 2 * sigmoid(-x)' "
        "--form 'log1p(exp(-x)) + "
        "2 * sigmoid(-x)' --call 'lambda f, x: f(reduction=\"none\")(x, torch.ones_like(x))' "
        "--dtypes float32 --law value",
    ),
    Defect(
        function="monai.losses.ContrastiveLoss",
        documented="the normalized, temperature-scaled cross-entropy",
        setup="import torch; from monai.losses import ContrastiveLoss; a = torch.eye(2)",
        wrong="ContrastiveLoss(temperature=0.01)(a, a.flip(0)).item()",
        truth="log(2 + exp(100))",
        matters="The temperature is 0.01, as in models of images and text: the loss is infinite, or NaN.",
        fix="the cross-entropy of the similarities divided by the temperature",
        fixed="torch.logsumexp(torch.tensor([0.0, 0.0, 100.0]), 0).item()",
    ),
    Defect(
        function="pytorch_metric_learning logsumexp (add_one)",
        documented="log(1 + sum(exp(x)))",
        setup=f"{_F}; from pytorch_metric_learning.utils.loss_and_miner_utils import logsumexp",
        wrong="logsumexp(torch.tensor([[-20.0]])).item()",
        truth="log1p(exp(-20))",
        matters="Pairs are separated well: the terms of the loss are 0 or noise below 1e-7.",
        fix="`softplus(logsumexp(x))`",
        fixed="F.softplus(torch.tensor(-20.0)).item()",
        command="pytorch_metric_learning.utils.loss_and_miner_utils:logsumexp --contract softplus --call 'lambda f, "
        "x: f(x[:, None])[:, 0]' --dtypes float32 --law value",
    ),
    Defect(
        function="stable_baselines3 SquashedDiagGaussianDistribution.log_prob",
        documented="the log density of tanh of a normal variable (with epsilon = 1e-6 to avoid NaN)",
        setup="import math, torch, torch.nn.functional as F; "
        "from stable_baselines3.common.distributions import SquashedDiagGaussianDistribution as Squashed; "
        "a = torch.tensor([[10.0]]); d = Squashed(1).proba_distribution(a, 0 * a)",
        wrong="d.log_prob(torch.tanh(a), a).item()",
        truth="-log(2 * pi) / 2 - log(1 - tanh(10) ** 2)",
        matters="Actions of SAC saturate beyond 7: log densities stop to grow, and entropies are overestimated.",
        fix="`2 (log(2) - x - softplus(-2 x))` for `log(1 - tanh(x)^2)`",
        fixed="(-math.log(2 * math.pi) / 2 - 2 * (math.log(2) - a - F.softplus(-2 * a))).item()",
    ),
]

_METRICS = [
    Defect(
        function="torchmetrics.functional.log_cosh_error",
        documented="log((exp(x) + exp(-x)) / 2)",
        setup="import math, torch, torchmetrics.functional as M; x = torch.tensor([100.0])",
        wrong="M.log_cosh_error(x, 0 * x).item()",
        truth="log(cosh(100))",
        matters="One error is above 89: the metric of the epoch is infinite.",
        fix="`|x| + log1p(exp(-2 |x|)) - log(2)`",
        fixed="(x.abs() + torch.log1p((-2 * x.abs()).exp()) - math.log(2)).item()",
        command="torchmetrics.functional:log_cosh_error --formula 'log((exp(x) + exp(-x)) / 2)' "
        "--dtypes float32 --law finite --call 'lambda f, x: torch.stack([f(v[None], 0 * v[None]) for v in x])'",
    ),
    Defect(
        function="torchmetrics.functional.text.perplexity",
        documented="exp of the mean negative log probability of the tokens",
        setup="import torch, torch.nn.functional as F; from torchmetrics.functional.text import perplexity; "
        "x = torch.tensor([[[0.0, -120.0], [0.0, 0.0]]]); t = torch.tensor([[1, 0]])",
        wrong="perplexity(x, t).item()",
        truth="exp((log1p(exp(120)) + log(2)) / 2)",
        matters="One token of a corpus is 104 below the best one: the perplexity of the corpus is infinite.",
        fix="`exp(cross_entropy(logits, target))`",
        fixed="F.cross_entropy(x[0], t[0]).exp().item()",
    ),
    Defect(
        function="torchmetrics.functional.r2_score",
        documented="1 - sum((y - prediction)^2) / sum((y - mean(y))^2)",
        setup="import torch, torchmetrics.functional as M; "
        "p = torch.tensor([10000.0, 10001.0, 10002.0]); y = torch.tensor([10000.0, 10001.0, 10003.0])",
        wrong="M.r2_score(p, y).item()",
        truth="1 - mpf(3) / 14",
        matters="Targets have an offset of thousands of their spread, such as years or prices: the score is 0.",
        fix="the sum of squares of `y - mean(y)`",
        fixed="M.r2_score(p - 10000, y - 10000).item()",
    ),
    Defect(
        function="torchmetrics.functional.relative_squared_error",
        documented="sum((y - prediction)^2) / sum((y - mean(y))^2)",
        setup="import torch, torchmetrics.functional as M; "
        "p = torch.tensor([10000.0, 10001.0, 10002.0]); y = torch.tensor([10000.0, 10001.0, 10003.0])",
        wrong="M.relative_squared_error(p, y).item()",
        truth="mpf(3) / 14",
        matters="Targets have an offset of thousands of their spread, such as years or prices: the error is huge.",
        fix="the sum of squares of `y - mean(y)`",
        fixed="M.relative_squared_error(p - 10000, y - 10000).item()",
    ),
    Defect(
        function="torch_geometric.nn.functional.gini",
        documented="sum(|w_i - w_j|) / (2 (n^2 - n) mean(w))",
        setup="import torch; from torch_geometric.nn.functional import gini; w = torch.tensor([[0.0, 2.0**-27]])",
        wrong="gini(w).item()",
        truth="mpf(1)",
        matters="Weights are near 1e-7, as a penalty for sparsity makes them: the coefficient falls with their scale.",
        fix="a division of each row by its largest magnitude first",
        fixed="gini(w / w.max()).item()",
    ),
]

_FLOWS = [
    Defect(
        function="nflows Tanh (log determinant)",
        documented="the logarithm of the derivative of tanh",
        setup="import math, torch, torch.nn.functional as F; from nflows.transforms import Tanh; "
        "x = torch.tensor([[9.5]])",
        wrong="Tanh()(x)[1].item()",
        truth="log(1 - tanh(mpf('9.5')) ** 2)",
        matters="One sample is beyond 9: the likelihood of the batch is infinite.",
        fix="`2 (log(2) - x - softplus(-2 x))`",
        fixed="(2 * (math.log(2) - x - F.softplus(-2 * x))).item()",
        command="nflows.transforms.nonlinearities:Tanh --formula 'log(1 - tanh(x) ** 2)' "
        "--call 'lambda f, x: f()(x[:, None])[1]' --dtypes float32",
    ),
    Defect(
        function="nflows Tanh.inverse",
        documented="the inverse of tanh",
        setup="import torch; from nflows.transforms import Tanh; x = torch.tensor([[2.0**-30]])",
        wrong="Tanh().inverse(x)[0].item()",
        truth="atanh(mpf(2) ** -30)",
        matters="Values are small: below 1e-7 they become 0.",
        fix="`atanh(x)`",
        fixed="torch.atanh(x).item()",
    ),
    Defect(
        function="geoopt.manifolds.stereographic.math.arsinh",
        documented="the inverse hyperbolic sine",
        setup="import torch; from geoopt.manifolds.stereographic.math import arsinh; x = torch.tensor(-100000.0)",
        wrong="arsinh(x).item()",
        truth="asinh(-100000)",
        matters="The argument is negative and large: digits are lost, and below -5,000 the result is always -34.5.",
        fix="`torch.asinh(x)`",
        fixed="torch.asinh(x).item()",
        command="geoopt.manifolds.stereographic.math:arsinh --formula 'log(x + sqrt(1 + x * x))' "
        "--form 'sign(x) * log1p(abs(x) + x * x / (1 + sqrt(1 + x * x)))' --dtypes float32 --law value",
    ),
    Defect(
        function="geoopt.PoincareBall.dist0",
        documented="the distance from the origin of the Poincare ball",
        setup="import geoopt, torch; x = torch.tensor([1 - 2.0**-30, 0.0], dtype=torch.float64)",
        wrong="geoopt.PoincareBall().dist0(x).item()",
        truth="2 * atanh(1 - mpf(2) ** -30)",
        matters="Points are near the boundary, as leaves of a deep tree: in float64 too, no distance exceeds 16.8.",
        fix="`torch.atanh`, with a clamp for each dtype",
        fixed="(2 * torch.atanh(x.norm())).item()",
        dtype="float64",
        command="geoopt:PoincareBall --formula 'log((1 + x) / (1 - x))' --form 'log1p(2 * x / (1 - x))' --input "
        "x=unit --call 'lambda f, x: f().dist0(x[:, None])' --dtypes float64 --law value",
    ),
    Defect(
        function="geoopt.Sphere.dist",
        documented="the geodesic distance on the sphere",
        setup="import geoopt, torch; x = torch.tensor([1.0, 0.0]); y = torch.tensor([1.0, 2.0**-13])",
        wrong="geoopt.Sphere().dist(x, y).item()",
        truth="atan(mpf(2) ** -13)",
        matters="Points are near: the distance of a point from itself is 0.014.",
        fix="`2 asin(|x - y| / 2)`",
        fixed="(2 * torch.asin((x - y).norm() / 2)).item()",
    ),
    Defect(
        function="julius.core.sinc (gradient)",
        documented="sin(x) / x",
        setup="import julius.core, torch; x = torch.tensor(0.0)",
        wrong="torch.func.grad(julius.core.sinc)(x).item()",
        truth="mpf(0)",
        matters="A filter's cutoff or delay is learned: one argument of exactly 0 makes all gradients NaN.",
        fix="`torch.sinc(x / pi)`",
        fixed="torch.func.grad(lambda x: torch.sinc(x / torch.pi))(x).item()",
    ),
    Defect(
        function="gpytorch.functions.log_normal_cdf",
        documented="the logarithm of the normal distribution function",
        setup="import gpytorch, torch; x = torch.tensor([-1.5], dtype=torch.float64)",
        wrong="gpytorch.functions.log_normal_cdf(x).item()",
        truth="log(ncdf(mpf('-1.5')))",
        matters="A Gaussian process classifies: its likelihood has a step of 0.002 at -1, in float64 too.",
        fix="`torch.special.log_ndtr(x)`",
        fixed="torch.special.log_ndtr(x).item()",
        dtype="float64",
        command="gpytorch.functions:log_normal_cdf --formula 'log(erfc(-x / sqrt(2)) / 2)' "
        "--dtypes float32 --law value",
    ),
]

DEFECTS = [*_LOSSES, *_METRICS, *_FLOWS]
