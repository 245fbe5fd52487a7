"""The training steps whose audit is timed: common models on batches of 32, and small models in mostly Python."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import VisionTransformer, mobilenet_v3_small, resnet18


@dataclass(frozen=True)
class Audited:
    """A model, a batch of inputs and labels, and an optimizer of the parameters."""

    model: nn.Module
    batch: tuple[Tensor, Tensor]
    optimizer: torch.optim.Optimizer

    def __call__(self) -> None:
        """Make a step."""
        X, y = self.batch
        self.optimizer.zero_grad()
        F.cross_entropy(self.model(X).flatten(0, -2), y.flatten()).backward()
        self.optimizer.step()

    @property
    def state_bytes(self) -> int:
        """Return the bytes of batch, parameters, gradients and optimizer state, which outlive a step."""
        return sum(tensor.untyped_storage().nbytes() for tensor in self._state())

    def _state(self) -> Iterator[Tensor]:
        yield from self.batch
        for parameter in self.model.parameters():
            yield parameter
            yield from () if parameter.grad is None else (parameter.grad,)
            yield from (value for value in self.optimizer.state[parameter].values() if isinstance(value, Tensor))


class _Attention(nn.Module):
    """Causal self-attention from scratch, and its following layers."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.joint, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        layers = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Take rows, positions and channels."""
        rows, length, width = x.shape
        joint = self.joint(self.norm(x)).view(rows, length, 3, self.heads, width // self.heads)
        query, key, value = joint.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-2, -1) / (width // self.heads) ** 0.5
        keep = torch.ones(length, length, dtype=torch.bool).tril()
        weights = scores.masked_fill(~keep, float("-inf")).softmax(-1)
        x = x + self.out((weights @ value).transpose(1, 2).reshape(rows, length, width))
        added: Tensor = x + self.layers(x)
        return added


class _Generative(nn.Module):
    """A small GPT."""

    def __init__(self, words: int, length: int, width: int, blocks: int) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(_Attention(width, 4) for _ in range(blocks)))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, words))

    def forward(self, x: Tensor) -> Tensor:
        """Take the numbers of words."""
        logits: Tensor = self.head(self.blocks(self.words(x) + self.places.weight[: x.shape[1]]))
        return logits


class _Recurrent(nn.Module):
    """A recurrent layer whose last state is classified."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(layer.hidden_size, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Take rows, positions and channels."""
        logits: Tensor = self.head(self.layer(x)[0][:, -1])
        return logits


class _Residual(nn.Module):
    """Two convolutions with batch norm and a residual connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        other = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.layers = nn.Sequential(*half, nn.ReLU(), *other)

    def forward(self, x: Tensor) -> Tensor:
        """Take images."""
        return F.relu(x + self.layers(x))


def _with_adam(model: nn.Module, X: Tensor, classes: int, *, each: bool = False) -> Audited:
    """Return the step with labels for each row, or for each position of a row."""
    y = torch.randint(classes, X.shape[:2] if each else X.shape[:1])
    return Audited(model, (X, y), torch.optim.AdamW(model.parameters(), 1e-3))


def _of_images(model: nn.Module) -> Audited:
    """Return the step on images of the size of CIFAR."""
    return _with_adam(model, torch.randn(32, 3, 32, 32), 10)


def _of_sequences(layer: nn.RNNBase) -> Audited:
    """Return the step on sequences of a hundred positions."""
    return _with_adam(_Recurrent(layer), torch.randn(32, 100, layer.input_size), 10)


def _standard_encoder() -> Audited:
    layer = nn.TransformerEncoderLayer(128, 4, 512, batch_first=True)
    model = nn.Sequential(nn.TransformerEncoder(layer, 2), nn.Linear(128, 10))
    return _with_adam(model, torch.randn(32, 64, 128), 10, each=True)


def _standard_gpt() -> Audited:
    return _with_adam(_Generative(1000, 64, 128, 2), torch.randint(1000, (32, 64)), 1000, each=True)


def _softmax_regression() -> Audited:
    """Return the step of the chapter."""
    model, batch = nn.Linear(784, 10), (torch.rand(256, 784), torch.randint(10, (256,)))
    return Audited(model, batch, torch.optim.SGD(model.parameters(), 0.1))


def _mlp() -> Audited:
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    return _with_adam(model, torch.rand(256, 784), 10)


def _rnn() -> Audited:
    return _with_adam(_Recurrent(nn.RNN(16, 64, batch_first=True)), torch.randn(32, 20, 16), 10)


def _lstm() -> Audited:
    return _with_adam(_Recurrent(nn.LSTM(16, 64, batch_first=True)), torch.randn(32, 20, 16), 10)


def _residual_network() -> Audited:
    stem = nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)
    model = nn.Sequential(*stem, _Residual(32), _Residual(32), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
    return _with_adam(model, torch.randn(16, 3, 16, 16), 10)


def _encoder() -> Audited:
    layer = nn.TransformerEncoderLayer(64, 4, 256, batch_first=True)
    model = nn.Sequential(nn.TransformerEncoder(layer, 2), nn.Linear(64, 10))
    return _with_adam(model, torch.randn(8, 64, 64), 10, each=True)


def _gpt() -> Audited:
    return _with_adam(_Generative(100, 64, 64, 2), torch.randint(100, (8, 64)), 100, each=True)


SMALL: Mapping[str, Callable[[], Audited]] = {
    "softmax regression": _softmax_regression,
    "mlp": _mlp,
    "rnn": _rnn,
    "lstm": _lstm,
    "residual network": _residual_network,
    "transformer encoder": _encoder,
    "gpt": _gpt,
}
"""Steps by name, with fixed weights and data."""

STANDARD: Mapping[str, Callable[[], Audited]] = {
    "usual resnet-18": lambda: _of_images(resnet18(num_classes=10)),
    "usual mobilenet v3": lambda: _of_images(mobilenet_v3_small(num_classes=10)),
    "usual vit": lambda: _of_images(VisionTransformer(32, 8, 4, 3, 192, 768, num_classes=10)),
    "usual transformer encoder": _standard_encoder,
    "usual gpt": _standard_gpt,
    "usual lstm": lambda: _of_sequences(nn.LSTM(64, 256, batch_first=True)),
    "usual rnn": lambda: _of_sequences(nn.RNN(64, 256, batch_first=True)),
}
"""Steps of common models with batches of 32; a step takes 30 ms to 200 ms on a core."""

STEPS = {**STANDARD, **SMALL}

TRANSFORMERS = {"usual vit", "usual transformer encoder", "usual gpt", "transformer encoder", "gpt"}


def audited_step(name: str, times: int = 1) -> Audited:
    """Return a step on a repeated batch, after its first call, which creates gradients and optimizer state."""
    torch.manual_seed(0)
    step = STEPS[name]()
    X, y = (tensor.repeat(times, *[1] * (tensor.dim() - 1)) for tensor in step.batch)
    step = Audited(step.model, (X, y), step.optimizer)
    step()
    return step
