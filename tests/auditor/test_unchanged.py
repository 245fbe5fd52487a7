"""An audit changes nothing: neither the step that it tracks nor the later behavior of the process."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from samples.audited_steps import is_unchanged
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import harness
from harness.auditor.audit import audit
from harness.record.audit import Mode

Maker = Callable[[nn.Module], torch.optim.Optimizer]

ENGINE = "_engine_run_backward"
"""The function of ``torch.autograd`` that the audit replaces; torch does not export it."""


class Block(nn.Module):
    """A small block with attention, dropout and both norms."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, dropout=0.1, batch_first=True)
        self.norm, self.batch_norm = nn.LayerNorm(16), nn.BatchNorm1d(16)
        self.layers = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Dropout(0.2), nn.Linear(32, 16))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to rows, columns and channels."""
        h = self.norm(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        return self.batch_norm((x + self.layers(x)).flatten(0, 1))


class Recurrent(nn.Module):
    """An LSTM of two layers, with dropout between them."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(16, 16, 2, dropout=0.1, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to rows, columns and channels."""
        return self.lstm(x)[0].flatten(0, 1)


class Checkpointed(nn.Module):
    """A block that is computed again in the backward pass."""

    def __init__(self, *, reentrant: bool) -> None:
        super().__init__()
        self.block, self.reentrant = Block(), reentrant

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to rows, columns and channels."""
        return checkpoint(self.block, x.requires_grad_(), use_reentrant=self.reentrant)


def adamw(model: nn.Module, **how: Any) -> torch.optim.Optimizer:
    """The usual optimizer."""
    return torch.optim.AdamW(model.parameters(), 1e-3, **how)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "block": Block,
    "recurrent": Recurrent,
    "checkpointed": lambda: Checkpointed(reentrant=False),
    "checkpointed-reentrant": lambda: Checkpointed(reentrant=True),
}
OPTIMIZERS: dict[str, Maker] = {
    "adamw": lambda model: adamw(model, foreach=False),
    "foreach": lambda model: adamw(model, foreach=True),
    "fused": lambda model: adamw(model, fused=True),
    "momentum": lambda model: torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True),
}
SETTINGS = [
    *[(model, "adamw", dtype) for model in MODELS for dtype in ("float32", "bfloat16", "autocast")],
    *[(model, "adamw", "scaled") for model in MODELS if model != "recurrent"],  # most CPUs have no LSTM in float16
    *[
        ("block", optimizer, dtype)
        for optimizer in ("foreach", "fused", "momentum")
        for dtype in ("float32", "bfloat16")
    ],
]


def one_step(model: nn.Module, optimizer: torch.optim.Optimizer, dtype: str, scaler: torch.amp.GradScaler) -> Tensor:
    """Take a step with clipped gradients, and return its loss."""
    short = torch.bfloat16 if dtype == "bfloat16" else torch.float32
    x = torch.randn(4, 6, 16, generator=torch.Generator().manual_seed(1)).to(short)
    autocast = {"autocast": torch.bfloat16, "scaled": torch.float16}.get(dtype, torch.bfloat16)
    with torch.autocast("cpu", dtype=autocast, enabled=dtype in ("autocast", "scaled")):
        loss = F.cross_entropy(model(x).float(), torch.arange(24) % 16)
    optimizer.zero_grad()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    return loss.detach()


def left_behind(model_name: str, optimizer_name: str, dtype: str, *, mode: Mode | None) -> list[Tensor]:
    """Return the state after three steps, the second with an audit."""
    torch.manual_seed(0)
    model = MODELS[model_name]().to(torch.bfloat16 if dtype == "bfloat16" else torch.float32)
    optimizer = OPTIMIZERS[optimizer_name](model)
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0, enabled=dtype == "scaled")
    losses = [one_step(model, optimizer, dtype, scaler)]
    if mode is None:
        losses.append(one_step(model, optimizer, dtype, scaler))
    else:
        with harness.audit(mode=mode):
            losses.append(one_step(model, optimizer, dtype, scaler))
    kept = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    drawn = torch.get_rng_state()
    losses.append(one_step(model, optimizer, dtype, scaler))
    state = [value for values in optimizer.state.values() for value in values.values() if isinstance(value, Tensor)]
    return [*losses, *kept, drawn, *copy.deepcopy(model).state_dict().values(), *state]


def has_autocast_lstm() -> bool:
    """Whether torch runs an LSTM under autocast here: oneDNN has none in bfloat16 without AVX2."""
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            Recurrent()(torch.zeros(1, 2, 16))
    except RuntimeError as error:
        if "could not create a primitive descriptor for the LSTM" in str(error):
            return False
        raise
    return True


@pytest.mark.filterwarnings("ignore:The PyTorch API of")
@pytest.mark.parametrize(("model", "optimizer", "dtype"), SETTINGS)
def test_a_step_that_is_audited_is_the_same_bit_for_bit(model: str, optimizer: str, dtype: str) -> None:
    """Losses, gradients, weights, buffers, optimizer state, random state and the next step are unchanged."""
    if (model, dtype) == ("recurrent", "autocast") and not has_autocast_lstm():
        pytest.skip("torch has no LSTM under autocast for this processor")
    plain = left_behind(model, optimizer, dtype, mode=None)
    for mode in ("full", "events"):
        audited = left_behind(model, optimizer, dtype, mode=mode)
        assert len(plain) == len(audited)
        for before, after in zip(plain, audited, strict=True):
            assert before.dtype == after.dtype
            assert torch.equal(before, after)


def test_what_is_compiled_is_compiled_afterwards() -> None:
    """Inside the audit it runs uncompiled, so that its operations are tracked."""
    # Import it here, because it takes a second and a half in every process that collects the tests.
    from torch._dynamo.testing import CompileCounter

    counter = CompileCounter()
    compiled = torch.compile(nn.Sequential(nn.Linear(8, 8), nn.GELU()), backend=counter)
    x = torch.ones(2, 8)
    with harness.audit() as found:
        compiled(x).sum().backward()
    assert counter.frame_count == 0
    assert found.record.operations > 3
    compiled(x)
    assert counter.frame_count == 1


def test_everything_is_put_back_when_the_body_raises() -> None:
    """Hooks, the engine and the compiler's stance are restored, and findings before the exception remain."""
    engine = getattr(torch.autograd, ENGINE)
    model = nn.Linear(4, 1)

    def step() -> None:
        (model(torch.full((1, 4), 200.0)) * 1e4).exp().sum().backward()
        raise ZeroDivisionError

    found = harness.audit()
    with pytest.raises(ZeroDivisionError), found:
        step()
    assert getattr(torch.autograd, ENGINE) is engine
    assert not torch.nn.modules.module._global_forward_hooks
    assert found.record.operations > 3


def test_a_view_that_is_changed_in_place_changes_the_shadow() -> None:
    """The shadow covers the whole storage, whatever view changes it."""
    with harness.audit() as found:
        w = torch.full((6, 6), 0.1, requires_grad=True)
        x = w * 1.0
        x.view(36)[::2].add_(1e-8)
        x.t()[2].mul_(3)
        (x.sum() - x.detach().sum()).backward()
    assert found.record.loss_error is not None


UNUSUAL: dict[str, Callable[[Tensor], object]] = {
    "torch.func.grad": lambda x: torch.func.grad(lambda w: (x @ w).square().sum())(torch.ones(8)),
    "torch.func.hessian": lambda _: torch.func.hessian(lambda w: (w**3).sum())(torch.ones(4)),
    "torch.vmap": lambda x: torch.vmap(lambda row: (row * 2).sum())(x),
    "nested": lambda x: torch.nested.nested_tensor([x[:2], x]).to_padded_tensor(0.0).sum(),
    "meta": lambda _: torch.ones(3, device="meta") * 2,
    "sparse": lambda x: (x.to_sparse() @ x.t()).sum(),
    "complex": lambda x: torch.fft.fft(x).abs().sum(),
    "float8": lambda x: x.to(torch.float8_e4m3fn).to(torch.float32).sum(),
    "empty": lambda x: x[:0].sum(),
    "out": lambda x: torch.mm(x, x.t(), out=torch.empty(3, 3)),
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested", "ignore:.torch.jit.script")
@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_no_dense_tensor_of_floats_passes_through(name: str) -> None:
    """It is not tracked, and the result is the same."""
    x = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    plain: Any = UNUSUAL[name](x)
    with torch.no_grad() if "func" not in name else torch.enable_grad(), harness.audit() as found:
        audited: Any = UNUSUAL[name](x)
        found.returned(audited)
    assert found.findings == ()
    assert name == "meta" or torch.equal(plain, audited)


OF_A_MODEL = [
    ("rnn", "float16"),
    ("lstm", "bfloat16"),
    ("gpt", "autocast-float16"),
    ("residual network", "float16"),
    ("residual network", "autocast-bfloat16"),
    ("transformer encoder", "bfloat16"),
]


@pytest.mark.parametrize(("model", "format_"), OF_A_MODEL)
def test_the_step_of_a_model_is_the_same_bit_for_bit(model: str, format_: str) -> None:
    """Weights, gradients, buffers, optimizer state and random numbers are equal, in full mode and for events."""
    assert is_unchanged(model, format_)  # type: ignore[arg-type]


def test_an_audit_that_draws_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison fails after a single additional random number."""
    enter = audit.__enter__

    def drawing(self: audit) -> audit:
        torch.rand(1)
        return enter(self)

    monkeypatch.setattr(audit, "__enter__", drawing)
    assert not is_unchanged("rnn", None)
