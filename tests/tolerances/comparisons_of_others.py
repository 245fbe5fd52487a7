"""Sixty comparisons as test suites of others make them, with the verdict in the name: it was settled before any run.

Wrong tolerances are those of public issues and sources, with the computation made small. Sound ones are of the kinds
that are judged wrongly most easily: statistics, pixels, zeros, loops, helpers, parameters, expected failures.
"""

import math
import unittest

import numpy as np
import numpy.testing as npt
import pytest
import torch
import torch.nn.functional as F
from torch.testing import assert_close

torch.manual_seed(0)
RNG = np.random.default_rng(0)
X = torch.randn(8, 16)
Y = torch.randint(16, (8,))
A = RNG.normal(size=(8, 16)).astype(np.float32)


# Vacuous: zero and the other sign would pass


def test_vacuous_ppo_loss_of_torchtune():
    """torchtune: rtol = 1e6, and the expected value has the wrong sign."""
    assert_close(torch.tensor(-0.3679), torch.tensor(0.8), rtol=1e6, atol=1e-4)


def test_vacuous_gradient_of_transformer_engine():
    """TransformerEngine: atol = 1.0 on gradients of size 0.1."""
    x = X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(x, Y), [x])
    assert_close(gradient.bfloat16().float(), gradient, rtol=0.5, atol=1.0)


def test_vacuous_logits_of_flashinfer():
    """flashinfer: atol = 6.0."""
    torch.testing.assert_close(X.half().float(), X, atol=6.0, rtol=0.1)


def test_vacuous_bfloat16_of_liger():
    """Liger-Kernel: 1e4 for bfloat16."""
    assert torch.allclose(X.bfloat16(), X.bfloat16() * 1.01, atol=1e4, rtol=1e-2)


def test_vacuous_quantized_of_torchao():
    """torchao: rtol = 2.0."""
    assert_close(X.bfloat16().float(), X, rtol=2.0, atol=1e-5)


def test_vacuous_probabilities_of_kernelbench():
    """KernelBench: atol = rtol = 1e-2 on probabilities of a long row, so that zeros pass."""
    long = torch.randn(4, 4096)
    assert torch.allclose(long.half().softmax(-1).float(), long.softmax(-1), atol=1e-2, rtol=1e-2)


def test_vacuous_numpy():
    """An absolute tolerance beyond every value."""
    npt.assert_allclose(A / 1000, A.astype(np.float64) / 1000, atol=0.1)


def test_vacuous_decimal():
    """No decimal of a value of 0.03."""
    npt.assert_almost_equal(float(np.float32(0.03)), 0.03, decimal=0)


def test_vacuous_approx():
    """An absolute tolerance of one for a learning rate."""
    assert 1e-3 * 0.5 == pytest.approx(5e-4, abs=1.0)


def test_vacuous_isclose():
    """An absolute tolerance of one for a probability."""
    assert math.isclose(1 / 3, 0.3333, abs_tol=1.0)


class TestUnit(unittest.TestCase):
    """Comparisons of the standard library."""

    def test_vacuous_delta(self):
        """A delta beyond the value."""
        self.assertAlmostEqual(0.25, 0.2500001, delta=1.0)

    def test_sound_places(self):
        """Seven decimals."""
        self.assertAlmostEqual(0.1 + 0.2, 0.3)


def test_vacuous_method():
    """The method of a tensor."""
    assert X.mul(1e-3).allclose(X.double().mul(1e-3).float(), atol=0.1)


@pytest.mark.parametrize("scale", [1e-6, 1e-5, 1e-4])
def test_vacuous_parameters(scale):
    """Every parameter is below the default tolerance of a test of half precision."""
    assert_close((X * scale).half().float(), X * scale, atol=1e-2, rtol=1e-3)


# Loose: a result that is some percent too large would pass, although the results agree


def test_loose_variance():
    """The divisor n - 1 in place of n is 3 % for 32 rows."""
    assert_close(X.var(correction=0), X.square().mean() - X.mean() ** 2, rtol=5e-2, atol=1e-6)


def test_loose_loss():
    """A mean over all rows in place of the rows that count is some percent."""
    assert_close(F.cross_entropy(X, Y), -X.log_softmax(-1)[range(8), Y].mean(), rtol=0.1, atol=0.0)


def test_loose_norm():
    """Two percent for float32."""
    npt.assert_allclose(np.linalg.norm(A), np.sqrt((A.astype(np.float64) ** 2).sum()), rtol=2e-2)


def test_loose_approx():
    """One tenth for an exact sum."""
    assert sum([0.1] * 10) == pytest.approx(1.0, rel=0.1)


def test_loose_layer_norm():
    """An eps of 1e-3 in place of 1e-5 would pass."""
    expected = (X - X.mean(-1, keepdim=True)) / (X.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    assert_close(F.layer_norm(X, (16,)), expected, rtol=0.02, atol=0.02)


def test_loose_decimal():
    """One decimal of a value of 2."""
    npt.assert_array_almost_equal(A.sum(-1) + 40, A.astype(np.float64).sum(-1) + 40, decimal=0)


def test_loose_tree():
    """A dictionary of results."""
    assert_close(
        {"a": X + 3, "b": X.exp()}, {"a": (X.double() + 3).float(), "b": X.double().exp().float()}, rtol=0.2, atol=0.2
    )


def test_loose_keywords():
    """Both results by name."""
    assert_close(actual=X + 10, expected=(X.double() + 10).float(), rtol=0.05, atol=0.0)


def _check(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=0.1, atol=1e-3)


def test_loose_helper():
    """The place is the test, not the helper."""
    _check(X.exp(), X.double().exp().float())


def test_loose_loop():
    """A loop over rows."""
    for row in X:
        assert torch.allclose(row.exp().sum(), row.double().exp().sum().float(), rtol=0.03)


def test_loose_scalar():
    """A number of Python against one of torch."""
    assert F.mse_loss(X, X + 1).item() == pytest.approx(1.0, abs=0.05)


# Tight: a right result on another processor may differ by more


def test_tight_half_an_ulp_of_sglang():
    """sglang 35795: half a unit in the last place exceeds the tolerance."""
    assert_close(X.exp(), X.exp().clone(), rtol=1e-8, atol=0.0)


def test_tight_bfloat16():
    """pypto 1945: a tolerance of float32 for bfloat16."""
    assert_close(X.bfloat16().exp(), X.bfloat16().exp().clone(), rtol=1e-5, atol=1e-6)


def test_tight_double_constants():
    """A tolerance of float64 for a result of float32."""
    npt.assert_allclose(np.exp(A), np.exp(A).astype(np.float64), rtol=1e-12)


def test_tight_decimals():
    """numpy 23523: ten decimals of numbers near 100 in float32."""
    npt.assert_array_almost_equal(A.sum(-1) + 100, (A.sum(-1) + 100).copy(), decimal=10)


def test_tight_approx():
    """A relative tolerance of 1e-9 for float32."""
    assert float(torch.tensor(0.1).exp()) == pytest.approx(float(torch.tensor(0.1).exp()), rel=1e-9, abs=0.0)


def test_tight_sum():
    """The order of a sum is the library's."""
    assert torch.allclose(X.sum(), X.sum(), rtol=1e-9, atol=0.0)


# Sound: nothing is said


def test_sound_default():
    """The defaults of float32."""
    assert_close(X.exp(), X.double().exp().float())


def test_sound_bfloat16_default():
    """The defaults of bfloat16 are 1.6 %, two units in the last place."""
    assert_close(X.bfloat16().exp(), X.float().exp().bfloat16())


def test_sound_exact():
    """Bits are compared on purpose."""
    assert_close(X.clone(), X, rtol=0, atol=0)


def test_sound_exact_numpy():
    """Also with NumPy."""
    npt.assert_allclose(A.copy(), A, rtol=0.0, atol=0.0)


def test_sound_integers():
    """Whole numbers have no tolerance to speak of."""
    assert_close(Y + 1, 1 + Y)


def test_sound_pixels():
    """A picture in whole numbers may differ by one."""
    image = (X * 20 + 100).to(torch.uint8)
    assert_close(image, image.clone(), atol=1, rtol=0)


def test_sound_nan():
    """NaN on both sides."""
    x = X.clone()
    x[0, 0] = torch.nan
    assert_close(x.exp(), x.exp(), equal_nan=True)


def test_sound_infinities():
    """Infinities on both sides."""
    x = X.clone()
    x[0, 0] = torch.inf
    assert_close(x.exp(), x.double().exp().float())


def test_sound_expected_failure():
    """A comparison that is expected to fail compares nothing that passed."""
    with pytest.raises(AssertionError):
        assert_close(X, -X, rtol=0.5, atol=0.5)


def test_sound_negated():
    """A comparison that is false is none that passed."""
    assert not torch.allclose(X, -X, atol=0.5)


def test_sound_loop_with_small_elements():
    """Elements of a loop are of any size; the largest ones need the tolerance."""
    for value in (1e-9, 1e-3, 1.0, 1000.0):
        assert math.exp(math.log(value)) == pytest.approx(value, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("scale", [1e-7, 1.0])
def test_sound_parameters(scale):
    """One parameter is below the absolute tolerance, the other one is not."""
    assert_close((X * scale).exp() - 1 + scale, torch.expm1((X * scale).double()).float() + scale, atol=1e-5, rtol=1e-5)


def test_sound_zeros_among_others():
    """Zeros need an absolute tolerance, and the rest has the relative one."""
    assert_close(X.relu() + 1e-7, X.relu(), atol=1e-6, rtol=1e-5)


def test_sound_solver():
    """lineax: a solution to 1e-4 of float32."""
    matrix = torch.eye(16) * 4 + 0.1 * X.T @ X
    solution = torch.linalg.solve(matrix, X.T)
    npt.assert_allclose((matrix @ solution).numpy(), X.T.numpy(), rtol=1e-4, atol=1e-4)


def test_sound_scipy():
    """SciPy: 1e-7 of float64 with a tiny absolute tolerance."""
    npt.assert_allclose(
        np.exp(A.astype(np.float64)), np.exp(A.astype(np.float64)) * (1 + 1e-12), rtol=1e-7, atol=1e-300
    )


def test_sound_pandas():
    """pandas: a frame of a mean."""
    npt.assert_allclose(A.mean(0), A.astype(np.float64).mean(0), rtol=1e-4, atol=1e-6)


def test_sound_kornia():
    """kornia: 1e-4 for both tolerances, and results near one."""
    assert_close(X.sigmoid(), X.double().sigmoid().float(), rtol=1e-4, atol=1e-4)


def test_sound_list():
    """A list of numbers."""
    assert [0.1 + 0.2, 1.0] == pytest.approx([0.3, 1.0])


def test_sound_dictionary():
    """A dictionary of numbers and text."""
    assert {"a": 0.1 + 0.2, "b": 2.0} == pytest.approx({"a": 0.3, "b": 2.0})


def test_sound_gradcheck_tolerance():
    """A numerical derivative against the analytic one in float64."""
    x = X.double()
    numerical = ((x + 1e-6).exp() - (x - 1e-6).exp()) / 2e-6
    assert_close(numerical, x.exp(), rtol=1e-6, atol=1e-6)


def test_sound_tensor_and_array():
    """Arrays of two libraries."""
    npt.assert_allclose(X.exp().numpy(), np.exp(X.numpy()), rtol=1e-5)


# Not judged: nothing follows from the comparison alone


def test_unjudged_mean_of_random_numbers():
    """A statistic is as far from its expectation as its tolerance says."""
    assert torch.randn(10000).mean().add(1).item() == pytest.approx(1.0, abs=0.05)


def test_unjudged_accuracy():
    """A training that reaches about nine tenths."""
    assert 0.87 == pytest.approx(0.9, abs=0.05)


def test_unjudged_variance_of_samples():
    """The variance of samples is within some percent."""
    npt.assert_allclose(RNG.normal(size=20000).var(), 1.0, rtol=0.05)


def test_unjudged_zero():
    """Zero is expected, and the scale of the inputs is not known."""
    assert_close(X - X.clone(), torch.zeros_like(X), atol=1e-3, rtol=0.0)


def test_unjudged_residual():
    """A residual is compared with zero."""
    npt.assert_allclose(A - A.astype(np.float64), 0.0, atol=1e-6)


def test_unjudged_gradient_sum():
    """Gradients of a softmax sum to zero."""
    assert float((X.softmax(-1).sum(-1) - 1).abs().max()) == pytest.approx(0.0, abs=1e-5)


def test_unjudged_monte_carlo():
    """An area by random points."""
    points = RNG.uniform(size=(20000, 2))
    assert 4 * ((points**2).sum(-1) < 1).mean() == pytest.approx(math.pi, rel=0.05)


def test_unjudged_dropout():
    """Dropout keeps the mean, about."""
    npt.assert_allclose(F.dropout(torch.ones(20000), 0.5).mean().item(), 1.0, atol=0.1)
