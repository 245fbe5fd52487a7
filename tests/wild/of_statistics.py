"""Defects of numerical and statistical packages: NumPy, SciPy, scikit-learn, statsmodels and others."""

from wild.defect import Defect

_SPECIAL = "import numpy, scipy.special"
_STATS = "import numpy, scipy.stats"
_SM = "import numpy, scipy.special, statsmodels.api as sm"
_LMFIT = "import lmfit.lineshapes, scipy.special"

_OF_SCIPY = [
    Defect(
        function="numpy.log1p (complex)",
        documented="log(1 + z), accurate for small z",
        setup="import numpy; z = 1e-20 + 0j",
        wrong="numpy.log1p(z).real",
        truth="log1p(mpf('1e-20'))",
        matters="The input has a complex dtype: the function keeps the digits of small numbers in real dtypes only.",
        fix="`log1p(x (2 + x) + y^2) / 2` for the real part of the result at `x + i y`",
        fixed="numpy.log1p(z.real * (2 + z.real) + z.imag**2) / 2",
        dtype="float64",
    ),
    Defect(
        function="scipy.spatial.distance.jensenshannon",
        documented="the square root of the Jensen-Shannon divergence",
        setup="import numpy; from scipy.spatial.distance import jensenshannon; "
        "p = numpy.array([0.5, 0.5]); q = numpy.array([0.500000001, 1 - 0.500000001]); d = (p - q) / (p + q)",
        wrong="jensenshannon(p, q)",
        truth="(lambda d: sqrt(((1 + d) * log1p(d) + (1 - d) * log1p(-d)"
        " - (2 + d) * log1p(d / 2) - (2 - d) * log1p(-d / 2)) / 4))(2 * mpf(0.500000001) - 1)",
        matters="Two distributions nearly agree: NaN spreads through means, sorts and clusterings of distances.",
        fix="`sqrt(sum((p + q) (2 d arctanh(d) + log1p(-d^2))) / 4)` with `d = (p - q) / (p + q)`",
        fixed="numpy.sqrt(numpy.sum((p + q) * (2 * d * numpy.arctanh(d) + numpy.log1p(-d * d))) / 4)",
        dtype="float64",
    ),
    Defect(
        function="scipy.special.kl_div",
        documented="x log(x / y) - x + y",
        setup=f"{_SPECIAL}; d = 2.0**-27",
        wrong="scipy.special.kl_div(1, 1 + d)",
        truth="mpf(2) ** -27 - log1p(mpf(2) ** -27)",
        matters="Two distributions nearly agree, as at the end of an optimization: the divergence is 0 or noise.",
        fix="the series of `x (d - log1p(d))` for small `d = y / x - 1`",
        fixed="d * d * (1 / 2 - d / 3)",
        dtype="float64",
    ),
    Defect(
        function="scipy.stats.fisk.sf",
        documented="the survival function of the log-logistic distribution",
        setup=_STATS,
        wrong="scipy.stats.fisk.sf(1e8, 3)",
        truth="1 / (1 + mpf(10) ** 24)",
        matters="The tail of survival times or floods is of interest, for which this distribution is used.",
        fix="`1 / (1 + x ** c)`",
        fixed="1 / (1 + 1e8**3)",
        dtype="float64",
        command="scipy.stats:fisk.sf --formula '1 - 1 / (1 + x ** -3)' --form '1 / (1 + x ** 3)' --input x=positive "
        "--call 'numpy(c=3)' --dtypes float64 --law value",
    ),
    Defect(
        function="scipy.stats.burr.sf",
        documented="the survival function of the Burr distribution",
        setup=_STATS,
        wrong="scipy.stats.burr.sf(1e10, 2, 3)",
        truth="1 - (1 + mpf(10) ** -20) ** -3",
        matters="Losses or incomes in the upper tail are of interest: the probability is 0.",
        fix="`-expm1(-d log1p(x ** -c))`",
        fixed="-numpy.expm1(-3 * numpy.log1p(1e10**-2))",
        dtype="float64",
        command="scipy.stats:burr.sf --formula '1 - (1 + x ** -2) ** -3' --form '-expm1(-3 * log1p(x ** -2))' "
        "--input x=positive --call 'numpy(c=2, d=3)' --dtypes float64 --law value",
    ),
    Defect(
        function="scipy.stats.rice.sf",
        documented="the survival function of the Rice distribution",
        setup=_STATS,
        wrong="scipy.stats.rice.sf(11, 1)",
        truth="quad(lambda t: t * exp(-(t * t + 1) / 2) * besseli(0, t), [11, 12, 13, 15, 20, 30])",
        matters="A false-alarm rate of a detector is computed: it is 0 below 1e-16.",
        fix="`ncx2.sf(x^2, 2, b^2)`",
        fixed="scipy.stats.ncx2.sf(121, 2, 1)",
        dtype="float64",
    ),
    Defect(
        function="scipy.spatial.distance.cosine",
        documented="1 - u v / (|u| |v|)",
        setup="import numpy; from scipy.spatial.distance import cosine; "
        "u = numpy.array([1.0, 0.0]); v = numpy.array([1.0, 1e-9])",
        wrong="cosine(u, v)",
        truth="1 - 1 / sqrt(1 + mpf('1e-18'))",
        matters="Directions differ by less than 1e-8: all are at distance 0, and cannot be ranked.",
        fix="`|u / |u| - v / |v||^2 / 2`",
        fixed="numpy.sum((u / numpy.hypot(*u) - v / numpy.hypot(*v)) ** 2) / 2",
        dtype="float64",
    ),
]

_OF_SKLEARN = [
    Defect(
        pip="scikit-learn",
        function="sklearn.metrics.pairwise.rbf_kernel",
        documented="exp(-gamma |x - y|^2) (a warning about cancellation is only at euclidean_distances)",
        setup="import numpy; from sklearn.metrics.pairwise import rbf_kernel; "
        "x = numpy.array([[1700000000.0]]); y = x + 1",
        wrong="rbf_kernel(x, y).item()",
        truth="exp(-1)",
        matters="A feature has a large offset, such as a time in seconds: the kernel is 0 or 1, whatever the distance.",
        fix="a subtraction of the mean of x from both first",
        fixed="rbf_kernel(x - x.mean(0), y - x.mean(0)).item()",
        dtype="float64",
    ),
    Defect(
        pip="scikit-learn",
        function="sklearn.metrics.mean_gamma_deviance",
        documented="2 (log(prediction / y) + y / prediction - 1)",
        setup="from sklearn.metrics import mean_gamma_deviance; d = 2.0**-27",
        wrong="mean_gamma_deviance([1.0], [1 + d])",
        truth="(lambda d: 2 * (log1p(d) - d / (1 + d)))(mpf(2) ** -27)",
        matters="Predictions are nearly exact, as when solvers are compared: the deviance is 0 or noise.",
        fix="the series `d^2 - 4 d^3 / 3` for small `d = prediction / y - 1`",
        fixed="d * d * (1 - 4 * d / 3)",
        dtype="float64",
    ),
    Defect(
        function="statsmodels links.CLogLog.inverse",
        documented="1 - exp(-exp(z))",
        setup=f"{_SM}; link = sm.families.links.CLogLog()",
        wrong="link.inverse(-40.0)",
        truth="-expm1(-exp(-40))",
        matters="Events are rare, for which this link is chosen: the fitted probability is 0.",
        fix="`-expm1(-exp(z))`",
        fixed="-numpy.expm1(-numpy.exp(-40.0))",
        dtype="float64",
        command="statsmodels.genmod.families.links:CLogLog.inverse --formula '1 - exp(-exp(x))' "
        "--form '-expm1(-exp(x))' --call 'lambda f, x: f(None, x)' --dtypes float64 --law value",
    ),
    Defect(
        function="statsmodels Probit.loglike",
        documented="the log likelihood of the probit model",
        setup=f"{_SM}; m = sm.Probit(numpy.array([1.0, 0.0]), numpy.array([[1.0], [1.0]]))",
        wrong="m.loglike([10.0])",
        truth="log(ncdf(10)) + log(ncdf(-10))",
        matters="One observation is far on the wrong side: its likelihood is capped, and models are misranked.",
        fix="`log_ndtr`",
        fixed="scipy.special.log_ndtr([10.0, -10.0]).sum()",
        dtype="float64",
    ),
    Defect(
        function="statsmodels Logit.loglike",
        documented="the log likelihood of the logistic model",
        setup=f"{_SM}; m = sm.Logit(numpy.array([1.0, 0.0]), numpy.array([[1.0], [1.0]]))",
        wrong="m.loglike([800.0])",
        truth="-log1p(exp(-800)) - log1p(exp(800))",
        matters="Features are not scaled: a step of the optimizer meets -inf, and a line search fails.",
        fix="`-logaddexp(0, -q z)`",
        fixed="-numpy.logaddexp(0, [-800.0, 800.0]).sum()",
        dtype="float64",
    ),
]

_OF_OTHERS = [
    Defect(
        function="lmfit.lineshapes.expgaussian",
        documented="the exponentially modified Gaussian",
        setup=_LMFIT,
        wrong="lmfit.lineshapes.expgaussian(0.0, 1, 0, 1.0, 40.0)",
        truth="20 * exp(800) * erfc(40 / sqrt(2))",
        matters="A chromatographic peak is nearly symmetric: the model is NaN, and the fit stops with an error.",
        fix="`gamma / 2 * exp(-(x - center)^2 / (2 sigma^2)) * erfcx(arg2)`",
        fixed="20 * scipy.special.erfcx(40 / 2**0.5)",
        dtype="float64",
    ),
    Defect(
        function="lmfit.lineshapes.pearson7",
        documented="the Pearson VII line shape",
        setup="import lmfit.lineshapes, math; z = 199.5",
        wrong="lmfit.lineshapes.pearson7(0.0, expon=200.0)",
        truth="gamma(200) / (gamma(mpf(1) / 2) * gamma(mpf(399) / 2))",
        matters="A peak is nearly Gaussian: the exponent grows in the fit, and at 172 the model becomes NaN.",
        fix="the series of `gamma(m) / gamma(m - 1 / 2)` for a large exponent m",
        fixed="(z / math.pi) ** 0.5 * (1 - 1 / (8 * z) + 1 / (128 * z**2) + 5 / (1024 * z**3) - 21 / (32768 * z**4))",
        dtype="float64",
    ),
    Defect(
        function="bottleneck.move_std",
        documented="the standard deviation in a moving window",
        setup="import bottleneck, numpy; x = numpy.array([1e10, 0.1, 0.2, 0.3])",
        wrong="bottleneck.move_std(x, 3)[3]",
        truth="sqrt(mpf(2) / 300)",
        matters="A series has one spike: all later windows are wrong (pandas answers correctly here).",
        fix="the standard deviation of each window",
        fixed="bottleneck.nanstd(x[1:])",
        dtype="float64",
    ),
    Defect(
        function="polars.rolling_corr",
        documented="the correlation in a window (the documentation has the formula mean(x y) - mean(x) mean(y))",
        setup="import polars as pl; "
        "t = pl.DataFrame({'a': [1e9 + 1, 1e9 + 2, 1e9 + 3], 'b': [1e9 + 1, 1e9 + 3, 1e9 + 2]}); "
        "a, b = pl.col('a'), pl.col('b')",
        wrong="t.select(pl.rolling_corr(a, b, window_size=3)).item(2, 0)",
        truth="mpf(1) / 2",
        matters="Columns have a large offset, such as a time in seconds: the correlation is 0 or noise.",
        fix="a subtraction of the means of the columns first",
        fixed="t.select(pl.rolling_corr(a - a.mean(), b - b.mean(), window_size=3)).item(2, 0)",
        dtype="float64",
    ),
    Defect(
        function="autograd.scipy.special.expit (gradient)",
        documented="the logistic function",
        setup="import autograd, autograd.scipy.special as special",
        wrong="autograd.grad(special.expit)(40.0)",
        truth="exp(-40) / (1 + exp(-40)) ** 2",
        matters="A prediction is confident: the gradient is 0, although it is not on the other side (-40).",
        fix="`expit(x) * expit(-x)`",
        fixed="special.expit(40.0) * special.expit(-40.0)",
        dtype="float64",
    ),
]

DEFECTS = [*_OF_SCIPY, *_OF_SKLEARN, *_OF_OTHERS]
