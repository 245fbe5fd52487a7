"""Defects of JAX, optax and Keras."""

from wild.defect import Defect

_JAX = "import jax, jax.numpy as jnp"
_OPTAX = "import math, optax, jax.numpy as jnp"
_KERAS = "import os; os.environ['KERAS_BACKEND'] = 'torch'; import keras, torch"

_OF_JAX = [
    Defect(
        function="jax.nn.standardize",
        documented="the input with mean 0 and variance 1",
        setup=f"{_JAX}; x = jnp.array([4096.0, 4097.0])",
        wrong="jax.nn.standardize(x)[1].item()",
        truth="1 / sqrt(1 + 4 * mpf('1e-5'))",
        matters="Features have a mean of thousands of their spread, such as years: the results are up to 158.",
        fix="the variance as the mean of `(x - mean)^2`, instead of `E[x^2] - E[x]^2`",
        fixed="jax.nn.standardize(x - x[0])[1].item()",
        command="jax.nn:standardize --dtypes float32 --law mean_square_at_most_one",
    ),
    Defect(
        function="jax.nn.squareplus",
        documented="(x + sqrt(x^2 + b)) / 2",
        setup=f"{_JAX}; x = jnp.array(-10000.0)",
        wrong="jax.nn.squareplus(x).item()",
        truth="(-10000 + sqrt(mpf(10) ** 8 + 4)) / 2",
        matters="It replaces softplus where a result must be positive, such as a scale: it is 0 below -4,096.",
        fix="`b / 2 / (sqrt(x^2 + b) - x)` for negative x",
        fixed="(2 / (jnp.sqrt(x * x + 4) - x)).item()",
    ),
    Defect(
        function="jax.numpy.sinc (gradient)",
        documented="sin(pi x) / (pi x)",
        setup=f"{_JAX}; x = jnp.array(2.0**-13)",
        wrong="jax.grad(jnp.sinc)(x).item()",
        truth="(lambda x: cos(pi * x) / x - sin(pi * x) / (pi * x * x))(mpf(2) ** -13)",
        matters="A filter's cutoff or delay is learned, and an argument comes near 0 without being 0.",
        fix="the series `-pi^2 x / 3` for small x",
        fixed="(-(jnp.pi**2) * x / 3).item()",
    ),
    Defect(
        function="jax.numpy.logaddexp (gradient)",
        documented="log(exp(x) + exp(y))",
        setup=_JAX,
        wrong="jax.grad(jnp.logaddexp)(1e7, 1e7).item()",
        truth="mpf(1) / 2",
        matters="Logarithms of weights are large, as sums of log likelihoods over a data set.",
        fix="`sigmoid(x - y)` instead of `exp(x - result)`",
        fixed="jax.nn.sigmoid(jnp.array(1e7) - 1e7).item()",
        command="jax.numpy:logaddexp --dtypes float32 --law gradient",
    ),
    Defect(
        function="jax.scipy.special.log_ndtr (gradient)",
        documented="the logarithm of the normal distribution function",
        setup=f"{_JAX}; from jax.scipy.special import log_ndtr; x = jnp.array(-10000.0)",
        wrong="jax.grad(log_ndtr)(x).item()",
        truth="npdf(-10000) / ncdf(-10000)",
        matters="A probit model meets an observation that is far off: the gradient is a third of the true one.",
        fix="the series `-x - 1 / x` for large negative x",
        fixed="(-x - 1 / x).item()",
    ),
    Defect(
        function="jax.scipy.special.kl_div",
        documented="x log(x / y) - x + y",
        setup=f"{_JAX}; from jax.scipy.special import kl_div; d = jnp.array(2.0**-13)",
        wrong="kl_div(1.0, 1 + d).item()",
        truth="mpf(2) ** -13 - log1p(mpf(2) ** -13)",
        matters="Two distributions nearly agree, as at the end of training: the divergence is 0 or noise.",
        fix="the series of `x (d - log1p(d))` for small `d = y / x - 1`",
        fixed="(d * d * (1 / 2 - d / 3)).item()",
    ),
    Defect(
        function="jax.scipy.special.poch",
        documented="gamma(z + m) / gamma(z)",
        setup=f"{_JAX}; from jax.scipy.special import poch",
        wrong="poch(1e6, 1.0).item()",
        truth="mpf(10) ** 6",
        matters="z is large: for a million the result is NaN.",
        fix="the product `z (z + 1) ...` for a small integer m",
        fixed="(1e6 + jnp.arange(1.0)).prod().item()",
    ),
    Defect(
        function="jax.scipy.stats.cauchy.sf",
        documented="the survival function",
        setup=f"{_JAX}; from jax.scipy.stats import cauchy",
        wrong="cauchy.sf(1e10).item()",
        truth="atan(mpf('1e-10')) / pi",
        matters="A tail probability is needed, and the tail of this distribution is heavy: the logarithm is -inf.",
        fix="`arctan2(1, z) / pi`",
        fixed="(jnp.arctan2(1.0, 1e10) / jnp.pi).item()",
        command="jax.scipy.stats.cauchy:sf --formula '1 / 2 - atan(x) / pi' --form 'atan(1 / x) / pi' "
        "--input x=positive --call jax --dtypes float32 --law value",
    ),
    Defect(
        function="jax.scipy.stats.gumbel_r.sf",
        documented="the survival function",
        setup=f"{_JAX}; from jax.scipy.stats import gumbel_r",
        wrong="gumbel_r.sf(20.0).item()",
        truth="-expm1(-exp(-20))",
        matters="Return periods of floods or winds are computed: this distribution is made for such tails.",
        fix="`-expm1(-exp(-z))`",
        fixed="(-jnp.expm1(-jnp.exp(jnp.array(-20.0)))).item()",
        command="jax.scipy.stats.gumbel_r:sf --formula '1 - exp(-exp(-x))' --form '-expm1(-exp(-x))' "
        "--call jax --dtypes float32 --law value",
    ),
    Defect(
        function="jax.scipy.stats.gennorm.cdf",
        documented="the distribution function",
        setup=f"{_JAX}; from jax.scipy.stats import gennorm",
        wrong="gennorm.cdf(-20.0, 1.0).item()",
        truth="exp(-20) / 2",
        matters="A tail probability is needed: it is 0.",
        fix="`gammaincc(1 / beta, |x| ** beta) / 2` for negative x",
        fixed="(jax.scipy.special.gammaincc(1.0, 20.0) / 2).item()",
    ),
    Defect(
        function="jax.scipy.stats.wrapcauchy.logpdf",
        documented="log((1 - c^2) / (2 pi (1 + c^2 - 2 c cos(x))))",
        setup=f"{_JAX}; from jax.scipy.stats import wrapcauchy; c = jnp.array(1 - 2.0**-20)",
        wrong="wrapcauchy.logpdf(0.0, c).item()",
        truth="(lambda c: log((1 + c) / (1 - c) / (2 * pi)))(1 - mpf(2) ** -20)",
        matters="Angles are concentrated: the likelihood at the center is infinite.",
        fix="`(1 - c)^2 + 4 c sin(x / 2)^2` for the denominator",
        fixed="(jnp.log1p(c) - jnp.log1p(-c) - jnp.log(2 * jnp.pi)).item()",
    ),
    Defect(
        function="jax.scipy.stats.betabinom.logpmf",
        documented="the logarithm of the probability",
        setup=f"{_JAX}; from jax.scipy.stats import betabinom; i = jnp.arange(10.0)",
        wrong="betabinom.logpmf(5, 10, 1e8, 1e8).item()",
        truth="log(252) + log(rf(mpf(10) ** 8, 5) ** 2 / rf(2 * mpf(10) ** 8, 10))",
        matters="The prior is strong (1e6 observations or more): a probability is greater than 1, here exp(133).",
        fix="a sum of logarithms of ratios",
        fixed="(jnp.log(252.0) + jnp.log((1e8 + i % 5) / (2e8 + i)).sum()).item()",
    ),
]

_OF_OPTAX = [
    Defect(
        function="optax.log_cosh",
        documented="log(cosh(x))",
        setup=f"{_OPTAX}; x = jnp.array(2.0**-13)",
        wrong="optax.log_cosh(x).item()",
        truth="log(cosh(mpf(2) ** -13))",
        matters="Errors are below 1e-3: the reported loss is 0 or noise; its gradient is right.",
        fix="`log1p(2 sinh(x / 2)^2)` for small x",
        fixed="jnp.log1p(2 * jnp.sinh(x / 2) ** 2).item()",
        command="optax:log_cosh --formula 'log((exp(x) + exp(-x)) / 2)' --form 'log1p(2 * sinh(x / 2) ** 2)' "
        "--input x=-8..8 --call jax --dtypes float32 --law value",
    ),
    Defect(
        function="optax.ema (debias)",
        documented="the average without its bias to 0, which leaves a constant unchanged",
        setup=f"{_OPTAX}; e = optax.ema(0.9999); x = jnp.array(1.0)",
        wrong="e.update(x, e.init(x))[0].item()",
        truth="mpf(1)",
        matters="The decay is near 1: the first averages are off by 2e-4 at 0.9999, and by 5 % at 0.999999.",
        fix="`-expm1(count * log(decay))` with the logarithm in float64, instead of `1 - decay ** count`",
        fixed="((1 - 0.9999) / -jnp.expm1(1 * math.log(0.9999))).item()",
    ),
]

_OF_KERAS = [
    Defect(
        function="keras.losses.binary_focal_crossentropy (from_logits)",
        documented="the focal loss of logits",
        setup=f"{_KERAS}; x = torch.tensor([-20.0])",
        wrong="keras.losses.binary_focal_crossentropy(torch.tensor([1.0]), x, from_logits=True).item()",
        truth="log1p(exp(20)) / (1 + exp(-20)) ** 2",
        matters="A prediction is confident and wrong: below -16 the loss is capped, and its gradient is nearly 0.",
        fix="`softplus(-x) * sigmoid(-x) ** gamma`",
        fixed="(torch.nn.functional.softplus(-x) * torch.sigmoid(-x) ** 2).item()",
        command="keras.losses:binary_focal_crossentropy --formula 'sigmoid(-x) ** 2 * log(1 + exp(-x))' --form "
        "'sigmoid(-x) ** 2 * log1p(exp(-x))' --call 'lambda f, x: f(torch.ones_like(x)[:, None], x[:, "
        "None], from_logits=True)' --dtypes float32 --law value",
    ),
    Defect(
        function="keras.losses.log_cosh",
        documented="log(cosh(x))",
        setup=f"{_KERAS}; x = torch.tensor([2.0**-13])",
        wrong="keras.losses.log_cosh(0 * x, x).item()",
        truth="log(cosh(mpf(2) ** -13))",
        matters="Errors are below 1e-3: the reported loss is 0 or noise.",
        fix="`log1p(2 sinh(x / 2)^2)` for small x",
        fixed="torch.log1p(2 * torch.sinh(x / 2) ** 2).item()",
        command="keras.losses:log_cosh --formula 'log((exp(x) + exp(-x)) / 2)' --form 'log1p(2 * sinh(x / 2) ** 2)' "
        "--input x=-8..8 --call 'lambda f, x: f(0 * x[:, None], x[:, None])' --dtypes float32 --law value",
    ),
    Defect(
        function="keras.ops.moments (torch)",
        documented="mean and variance",
        setup=f"{_KERAS}; x = torch.tensor([4096.0, 4097.0])",
        wrong="keras.ops.moments(x, axes=[0])[1].item()",
        truth="mpf(1) / 4",
        matters="Features have a mean of thousands of their spread: BatchNormalization divides by a wrong number.",
        fix="`torch.var(x, correction=0)`",
        fixed="torch.var(x, correction=0).item()",
    ),
    Defect(
        function="keras.activations.squareplus",
        documented="(x + sqrt(x^2 + b)) / 2",
        setup=f"{_KERAS}; x = torch.tensor(-10000.0)",
        wrong="keras.activations.squareplus(x).item()",
        truth="(-10000 + sqrt(mpf(10) ** 8 + 4)) / 2",
        matters="It replaces softplus where a result must be positive, such as a scale: it is 0 below -4,096.",
        fix="`b / 2 / (sqrt(x^2 + b) - x)` for negative x",
        fixed="(2 / (torch.sqrt(x * x + 4) - x)).item()",
    ),
]

DEFECTS = [*_OF_JAX, *_OF_OPTAX, *_OF_KERAS]
