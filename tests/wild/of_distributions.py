"""Defects of probability distributions in torch, Pyro and NumPyro."""

from wild.defect import Defect

_D = "import torch, torch.distributions as D"
_PYRO = "import torch, pyro.distributions as P"
_NUMPYRO = "import jax.numpy as jnp, numpyro.distributions as N"

_OF_TORCH = [
    Defect(
        function="torch.distributions.Normal.cdf",
        documented="the distribution function",
        setup=_D,
        wrong="D.Normal(0.0, 1.0).cdf(torch.tensor(-6.0)).item()",
        truth="ncdf(-6)",
        matters="A tail probability is needed, for example as a likelihood of censored data: its logarithm is -inf.",
        fix="`erfc(-z / sqrt(2)) / 2`",
        fixed="(torch.erfc(torch.tensor(6.0) / 2**0.5) / 2).item()",
        command="torch.distributions:Normal --contract normal_cdf --call 'lambda f, x: f(0.0, 1.0).cdf(x)' --dtypes "
        "float32 --law value",
    ),
    Defect(
        function="torch.distributions.Exponential.cdf",
        documented="the distribution function",
        setup=f"{_D}; x = torch.tensor(2.0**-30)",
        wrong="D.Exponential(1.0).cdf(x).item()",
        truth="-expm1(-mpf(2) ** -30)",
        matters="Waiting times are short compared with their mean: the probability is 0.",
        fix="`-expm1(-rate * x)`",
        fixed="(-torch.expm1(-x)).item()",
        command="torch.distributions:Exponential --formula '1 - exp(-x)' --form '-expm1(-x)' --input x=positive "
        "--call 'lambda f, x: f(torch.ones_like(x)).cdf(x)' --dtypes float32 --law value",
    ),
    Defect(
        function="torch.distributions.Laplace.cdf",
        documented="the distribution function",
        setup=_D,
        wrong="D.Laplace(0.0, 1.0).cdf(torch.tensor(-20.0)).item()",
        truth="exp(-20) / 2",
        matters="A tail probability is needed: it is 0 below -17.",
        fix="`exp(z) / 2` for negative z",
        fixed="(torch.tensor(-20.0).exp() / 2).item()",
        command="torch.distributions:Laplace --formula 'exp(-x) / 2' --input x=positive --call 'lambda f, x: f(0.0, "
        "1.0).cdf(-x)' --dtypes float32 --law value",
    ),
    Defect(
        function="torch.distributions.Cauchy.cdf",
        documented="the distribution function",
        setup=_D,
        wrong="D.Cauchy(0.0, 1.0).cdf(torch.tensor(-1e10)).item()",
        truth="atan(mpf('1e-10')) / pi",
        matters="A tail probability is needed, and the tail of this distribution is heavy.",
        fix="`atan2(1, -z) / pi`",
        fixed="(torch.atan2(torch.tensor(1.0), torch.tensor(1e10)) / torch.pi).item()",
        command="torch.distributions:Cauchy --formula 'atan(1 / x) / pi' --input x=positive --call 'lambda f, x: "
        "f(0.0, 1.0).cdf(-x)' --dtypes float32 --law value",
    ),
    Defect(
        function="torch.distributions.HalfNormal.cdf",
        documented="the distribution function",
        setup=f"{_D}; x = torch.tensor(2.0**-30)",
        wrong="D.HalfNormal(1.0).cdf(x).item()",
        truth="erf(mpf(2) ** -30 / sqrt(2))",
        matters="Values are small compared with the scale: the probability is 0.",
        fix="`erf(z / sqrt(2))`",
        fixed="torch.erf(x / 2**0.5).item()",
        command="torch.distributions:HalfNormal --formula 'erf(x / sqrt(2))' --input x=positive --call 'lambda f, "
        "x: f(1.0).cdf(x)' --dtypes float32 --law value",
    ),
    Defect(
        function="torch.distributions.StudentT.log_prob",
        documented="the logarithm of the density",
        setup=_D,
        wrong="D.StudentT(1e6).log_prob(torch.tensor(0.0)).item()",
        truth="loggamma(500000.5) - loggamma(500000) - log(1000000 * pi) / 2",
        matters="The degrees of freedom are learned: towards the normal distribution the likelihood has steps of 0.5.",
        fix="the series of the difference of the two lgamma, for many degrees of freedom",
        fixed="-torch.tensor(2 * torch.pi).log().item() / 2 - 1 / (4 * 1e6)",
    ),
    Defect(
        function="torch.distributions.VonMises.log_prob",
        documented="the logarithm of the density",
        setup=_D,
        wrong="D.VonMises(0.0, 1e7).log_prob(torch.tensor(0.0)).item()",
        truth="mpf(10) ** 7 - log(2 * pi * besseli(0, mpf(10) ** 7))",
        matters="Angles are concentrated: the likelihood has steps, here of 1.",
        fix="`-2 k sin(x / 2)^2 - log(2 pi i0e(k))`",
        fixed="-torch.log(2 * torch.pi * torch.special.i0e(torch.tensor(1e7))).item()",
    ),
    Defect(
        function="torch.distributions.Bernoulli.log_prob",
        documented="the logarithm of the probability",
        setup=_D,
        wrong="D.Bernoulli(probs=2.0**-40).log_prob(torch.tensor(1.0)).item()",
        truth="-40 * log(2)",
        matters="Events are rarer than 1e-7: the probability is clamped there without a word, and its gradient is 0.",
        fix="`xlogy(x, p) + xlog1py(1 - x, -p)`",
        fixed="torch.xlogy(torch.tensor(1.0), torch.tensor(2.0**-40)).item()",
    ),
    Defect(
        function="torch.distributions.RelaxedBernoulli (logits).log_prob",
        documented="the logarithm of the density",
        setup="import torch; from torch.distributions.relaxed_bernoulli import LogitRelaxedBernoulli; "
        "d = LogitRelaxedBernoulli(torch.tensor(1.0), logits=torch.tensor(0.0))",
        wrong="d.log_prob(torch.tensor(-100.0)).item()",
        truth="100 - 2 * log1p(exp(100))",
        matters="A sample is far on one side: the density is -inf there, and correct on the other side.",
        fix="`softplus(diff)` instead of `log1p(exp(diff))`",
        fixed="(100.0 - 2 * torch.nn.functional.softplus(torch.tensor(100.0))).item()",
        command="torch.distributions.relaxed_bernoulli:LogitRelaxedBernoulli --formula '-x - 2 * log(1 + exp(-x))' "
        "--call 'lambda f, x: f(torch.ones_like(x), logits=torch.zeros_like(x)).log_prob(x)' --dtypes "
        "float32 --law finite",
    ),
    Defect(
        function="torch.distributions.Binomial.log_prob",
        documented="the logarithm of the probability",
        setup=_D,
        wrong="D.Binomial(100000000, 0.5).log_prob(torch.tensor(5e7)).item()",
        truth="loggamma(10**8 + 1) - 2 * loggamma(5 * 10**7 + 1) - 10**8 * log(2)",
        matters="Counts are large, as in genetics or web traffic: a probability is greater than 1, here exp(128).",
        fix="the saddle-point form by Loader, instead of a difference of lgamma",
        fixed="-torch.log(torch.tensor(torch.pi * 5e7)).item() / 2 - 1 / (4e8)",
    ),
    Defect(
        function="torch.distributions.Geometric.entropy",
        documented="the entropy",
        setup=f"{_D}; p = torch.tensor(2.0**-30)",
        wrong="D.Geometric(p).entropy().item()",
        truth="(lambda p: -((1 - p) * log1p(-p) + p * log(p)) / p)(mpf(2) ** -30)",
        matters="Events are rarer than 1e-7: the entropy is 0, although it grows without limit.",
        fix="`-(1 - p) log1p(-p) / p - log(p)`",
        fixed="(-(1 - p) * torch.log1p(-p) / p - p.log()).item()",
    ),
]

_OF_PYRO = [
    Defect(
        pip="pyro-ppl",
        function="pyro.distributions.VonMises3D.log_prob",
        documented="the logarithm of the density on the sphere",
        setup=f"{_PYRO}; k = torch.tensor(100.0)",
        wrong="P.VonMises3D(torch.tensor([100.0, 0, 0])).log_prob(torch.tensor([1.0, 0, 0])).item()",
        truth="log(100) - log(sinh(100)) - log(4 * pi) + 100",
        matters="Directions are known to 6 degrees or better (concentration 89): the likelihood is -inf.",
        fix="`log(sinh(k)) = k - log(2) + log1p(-exp(-2 k))`",
        fixed="(k.log() - torch.log1p(-(-2 * k).exp()) - torch.tensor(2 * torch.pi).log()).item()",
    ),
    Defect(
        pip="pyro-ppl",
        function="pyro.distributions.BetaBinomial.log_prob",
        documented="the logarithm of the probability",
        setup=f"{_PYRO}; i = torch.arange(10.0)",
        wrong="P.BetaBinomial(1e8, 1e8, 10).log_prob(torch.tensor(5.0)).item()",
        truth="log(252) + log(rf(mpf(10) ** 8, 5) ** 2 / rf(2 * mpf(10) ** 8, 10))",
        matters="The prior is strong (1e6 observations or more): the probability is 1, here instead of 0.246.",
        fix="a sum of logarithms of ratios",
        fixed="(torch.tensor(252.0).log() + ((1e8 + i % 5) / (2e8 + i)).log().sum()).item()",
    ),
]

_OF_NUMPYRO = [
    Defect(
        function="numpyro.distributions.Weibull.cdf",
        documented="the distribution function",
        setup=f"{_NUMPYRO}; x = jnp.array(2.0**-30)",
        wrong="N.Weibull(1.0, 1.0).cdf(x).item()",
        truth="-expm1(-mpf(2) ** -30)",
        matters="Lifetimes are short compared with the scale: the probability of a failure is 0.",
        fix="`-expm1(-((x / scale) ** concentration))`",
        fixed="(-jnp.expm1(-x)).item()",
        command="numpyro.distributions:Weibull --formula '1 - exp(-x)' --form '-expm1(-x)' --input x=positive "
        "--call 'lambda f, x: f(1.0, 1.0).cdf(jnp.asarray(x.detach().numpy()))' --dtypes float32 --law "
        "value",
    ),
    Defect(
        function="numpyro.distributions.LogNormal.variance",
        documented="the variance",
        setup=f"{_NUMPYRO}; s = jnp.array(2.0**-13)",
        wrong="N.LogNormal(0.0, s).variance.item()",
        truth="expm1(mpf(2) ** -26) * exp(mpf(2) ** -26)",
        matters="The scale is below 1e-3, as for daily returns or measurement errors: the variance is 0 or noise.",
        fix="`expm1(scale**2) * exp(2 * loc + scale**2)`",
        fixed="(jnp.expm1(s * s) * jnp.exp(s * s)).item()",
    ),
    Defect(
        function="numpyro.distributions.VonMises.log_prob",
        documented="the logarithm of the density",
        setup=f"{_NUMPYRO}; from jax.scipy.special import i0e; x = jnp.array(3 * 2.0**-12)",
        wrong="N.VonMises(0.0, 1e6).log_prob(x).item()",
        truth="(lambda k: k * (cos(3 * mpf(2) ** -12) - 1) - log(2 * pi * exp(-k) * besseli(0, k)))(mpf(10) ** 6)",
        matters="Angles are concentrated: the cosine near 1 has steps, and so has the likelihood.",
        fix="`-2 k sin(x / 2)^2` instead of `k (cos(x) - 1)`",
        fixed="(-2e6 * jnp.sin(x / 2) ** 2 - jnp.log(2 * jnp.pi * i0e(1e6))).item()",
    ),
]

DEFECTS = [*_OF_TORCH, *_OF_PYRO, *_OF_NUMPYRO]
