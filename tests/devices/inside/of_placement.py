"""Tensors of the device: where they are, what they share, and the results of operations."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

X = torch.arange(24.0).reshape(4, 6) / 7


def test_torch_finds_the_device() -> None:
    """It is the accelerator of this process."""
    assert torch.accelerator.current_accelerator(check_available=True) == torch.device("sim")
    assert torch.accelerator.device_count() == 1
    assert torch.get_device_module("sim").get_device_properties().L2_cache_size == 2**20


@pytest.mark.parametrize(
    "view",
    [lambda x: x.t(), lambda x: x[1:, ::2], lambda x: x.view(-1)[3:9], lambda x: x[:, None].expand(4, 3, 6)],
    ids=["transposed", "strided", "flat", "expanded"],
)
def test_views_share_memory_with_their_strides(view: Callable[[Tensor], Tensor]) -> None:
    """A change of the base is seen in the view."""
    x = X.to("sim")
    seen = view(x)
    assert (seen.stride(), seen.device.type) == (view(X).stride(), "sim")
    assert seen.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    x.mul_(2)
    assert torch.equal(seen.cpu(), view(2 * X))


def test_what_is_copied_shares_nothing() -> None:
    """Neither there nor back."""
    x = X.clone()
    there = x.to("sim")
    x.zero_()
    back = there.cpu()
    there.zero_()
    assert torch.equal(back, X)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.cross_entropy(x @ x.T, torch.arange(4, device=x.device)),
        lambda x: torch.logsumexp(x, -1).sum(),
        lambda x: F.layer_norm(x - x.mean(1, keepdim=True), (6,))[:, :2].square().sum(),
        lambda x: (x.softmax(0)[[0, 2]] * x[1:3]).sum(),
        lambda x: torch.where(x > 1, x, x.exp()).cumsum(1).prod(1).std(),
    ],
    ids=["cross_entropy", "logsumexp", "layer_norm", "index", "where"],
)
def test_values_and_gradients_are_those_of_the_cpu(function: Callable[[Tensor], Tensor]) -> None:
    """The same kernels run, but for layer normalization, which torch composes of others on such a device."""
    here, there = X.clone().requires_grad_(), X.to("sim").requires_grad_()
    values = [function(x) for x in (here, there)]
    for value in values:
        value.backward()
    assert there.grad is not None
    assert there.grad.device.type == "sim"
    torch.testing.assert_close(values[1].cpu(), values[0], rtol=1e-6, atol=0)
    torch.testing.assert_close(there.grad.cpu(), here.grad, rtol=1e-5, atol=1e-6)


def test_a_module_trains_there() -> None:
    """Its parameters stay on the device, and end as on the CPU."""
    ends = []
    for device in ("cpu", "sim"):
        torch.manual_seed(0)
        layer = nn.Linear(6, 3).to(device)
        trainer, x = torch.optim.SGD(layer.parameters(), lr=0.1), X.to(device)
        for _ in range(3):
            trainer.zero_grad()
            F.cross_entropy(layer(x), torch.tensor([0, 1, 2, 0], device=device)).backward()
            trainer.step()
        assert layer.weight.device.type == device
        ends.append(layer.weight.detach().cpu())
    assert torch.equal(*ends)


def test_operands_on_two_devices_are_refused() -> None:
    """Except for a number, as on other accelerators."""
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        X.to("sim") + X
    assert torch.equal((X.to("sim") + torch.tensor(1.0)).cpu(), X + 1)


def test_results_go_into_outputs_of_any_size() -> None:
    """An empty one grows."""
    x, out = X.to("sim"), torch.empty(0, device="sim")
    assert torch.mm(x, x.T, out=out) is out
    assert torch.equal(out.cpu(), X @ X.T)
    assert torch.equal(torch.masked_select(x, x > 1).cpu(), X[X > 1])


def test_a_result_goes_into_an_output_of_the_same_size() -> None:
    """Its memory stays, and has the result."""
    x, out = X.to("sim"), torch.zeros(4, 4, device="sim")
    view = out[1]
    torch.mm(x, x.T, out=out)
    assert torch.equal(view.cpu(), (X @ X.T)[1])


def test_a_list_is_an_index_while_a_dispatch_mode_is_active() -> None:
    """Torch makes a tensor of it on the device."""

    class Plain(TorchDispatchMode):
        def __torch_dispatch__(self, operation: Any, _: object, args: Any = (), kwargs: Any = None) -> Any:
            return operation(*args, **(kwargs or {}))

    x = X.to("sim")
    with Plain():  # type: ignore[no-untyped-call]
        selected = x[[0, 2]]
    assert torch.equal(selected.cpu(), X[[0, 2]])


def test_random_numbers_have_a_generator_of_the_device() -> None:
    """The sequence of the CPU does not move, and a seed repeats."""
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = torch.randn(5, device="sim").cpu()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(1)
    assert torch.equal(torch.randn(5, device="sim").cpu(), first)


def test_products_keep_ten_bits_only_where_the_user_allows_it() -> None:
    """The setting is torch's own for float32."""
    x = torch.tensor([[1.0 + 2.0**-20]], device="sim")
    exact = (x @ x).item()
    torch.set_float32_matmul_precision("high")
    try:
        assert (x @ x).item() == 1.0 < exact
    finally:
        torch.set_float32_matmul_precision("highest")
