"""Deliberately wrong implementations of image loaders."""

from collections.abc import Callable
from typing import Any

import torch
from corpus.specimen import mutant
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import FashionMNIST


def _loader(**wrong: Any) -> Callable[..., Any]:
    def load(root: str, train: bool, batch_size: int, workers: int, shuffle: bool) -> Any:
        steps: list[Any] = [transforms.ToTensor()]
        if "scale" in wrong:
            steps.append(transforms.Lambda(lambda image: image * wrong["scale"]))
        data = FashionMNIST(root, train=train, transform=transforms.Compose(steps))
        if wrong.get("once"):
            order = torch.randperm(len(data)).tolist() if shuffle else list(range(len(data)))
            return DataLoader(data, batch_size, sampler=order)
        if wrong.get("apart"):
            data.targets = data.targets.roll(1)
        return DataLoader(data, batch_size, shuffle=shuffle, drop_last=wrong.get("drop_last", False))

    return load


mutant("loader", "each_sample_once")(_loader(apart=True))
mutant("loader", "batches_have_the_size_asked_for")(_loader(drop_last=True))
mutant("loader", "pixels_are_bytes_over_255")(_loader(scale=255 / 256))
mutant("loader", "shuffles_when_asked")(_loader(once=True))
