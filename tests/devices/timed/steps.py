"""Steps whose times are those of the simulated machine alone: Python's own time does not count in them.

On the CPU, a step takes a constant time and a time for each row. As a program, the file prints the batch sizes from
which the device is faster with some parameters, by the clock of the simulated host.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from simulated_device.machine import HOST, Parameters
from simulated_device.timeline import DEVICE
from torch import Tensor

CPU_S, ROW_S = 5e-3, 2e-5
LARGEST = 8192

Step = Callable[[Tensor, Tensor], Tensor]
Started = tuple[Step, tuple[Tensor, Tensor]]


def start_step(weight: Tensor, bias: Tensor, lr: float, plant: Callable[[Tensor], object]) -> Started:
    """Return a step of linear regression that does something else at its end."""
    W, b = (x.clone().requires_grad_() for x in (weight, bias))
    trainer = torch.optim.SGD([W, b], lr=lr)

    def step(X: Tensor, y: Tensor) -> Tensor:
        with HOST.stop():
            loss = ((X @ W.T + b).squeeze(1) - y).square().mean()
            trainer.zero_grad()
            loss.backward()
            trainer.step()
            if X.device.type == "cpu":
                HOST.spend(DEVICE.vary(CPU_S + ROW_S * len(X)))
            else:
                plant(X)
        return loss.detach()

    return step, (W.detach(), b.detach())


def sound_step(weight: Tensor, bias: Tensor, lr: float) -> Started:
    """Return a step without a fault."""
    return start_step(weight, bias, lr, lambda _: None)


def copying_step(weight: Tensor, bias: Tensor, lr: float) -> Started:
    """Return a step that brings a number from the host each time."""
    return start_step(weight, bias, lr, lambda X: torch.zeros(1).to(X.device))


def two_stream_step(weight: Tensor, bias: Tensor, lr: float) -> Started:
    """Return a step that also works on a second stream."""
    side = torch.Stream("sim")

    def work(X: Tensor) -> None:
        with side:
            for _ in range(40):
                X + X

    return start_step(weight, bias, lr, work)


def heating_step(weight: Tensor, bias: Tensor, lr: float) -> Started:
    """Return a step that makes the device hot for three seconds, once and in the middle of its rounds."""
    calls = iter(range(10**9))

    def heat(_: Tensor) -> None:
        if next(calls) == 100:
            DEVICE.parameters = replace(DEVICE.parameters, hot=(HOST.now(), HOST.now() + 3.0), hot_share=0.4)

    return start_step(weight, bias, lr, heat)


def time_step(n: int, device: str) -> float:
    """Return the seconds of a warm step that is waited for."""
    step, _ = sound_step(torch.zeros(1, 2, device=device), torch.zeros(1, device=device), 0.0)
    X, y = torch.ones(n, 2, device=device), torch.ones(n, device=device)
    with HOST.stop():
        for _ in range(2):
            start = HOST.now()
            step(X, y)
            if device != "cpu":
                torch.accelerator.synchronize()
        return HOST.now() - start


def find_crossing(parameters: Mapping[str, Any]) -> int:
    """Return the first batch size at which the device is faster, if no time varies."""
    DEVICE.parameters = Parameters(**parameters)
    low, high = 1, LARGEST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if time_step(middle, "sim") < time_step(middle, "cpu") else (middle, high)
    return high


if __name__ == "__main__":
    json.dump([find_crossing(parameters) for parameters in json.loads(sys.argv[1])], sys.stdout)
