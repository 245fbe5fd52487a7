"""The narrowest headroom predicts a failure: ten series of steps, which each continue until a line breaks.

A prediction is a factor below two at the line that breaks, at least a step earlier.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import harness
from harness.wording.audit import WARNS, format_headroom

Story = Callable[[int], object]


def grown(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """Return normal numbers that require a gradient."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype).requires_grad_()


def naive_softmax(step: int, dtype: torch.dtype, start: float) -> None:
    """The logits grow by a quarter per step."""
    z = grown((8, 10), dtype) * (start * 1.25**step)
    e = z.exp()
    (e / e.sum(1, keepdim=True)).float().square().sum().backward()


def softplus_by_definition(step: int) -> None:
    """The argument of the logarithm grows in the same way."""
    torch.log(1 + torch.exp(grown((32,)) * (5 * 1.25**step))).sum().backward()


def rate_that_falls(step: int, dtype: torch.dtype, start: float) -> None:
    """The learning rate falls by a quarter per step, until no weight changes."""
    w = (torch.arange(1, 65) / 64).to(dtype).requires_grad_()
    (w * torch.ones_like(w)).float().sum().backward()
    torch.optim.SGD([w], start * 0.75**step).step()


def running_sum(step: int, dtype: torch.dtype, start: int) -> None:
    """The sum is longer by a quarter per step."""
    total = torch.zeros((), dtype=dtype)
    for _ in range(int(start * 1.25**step)):
        total = total + 1
    (grown((3,)).square().sum() * total.float()).backward()


def long_sum(step: int) -> None:
    """The sum of more and more entries overflows."""
    x = torch.full((int(1000 * 1.3**step),), 10.0, dtype=torch.float16, requires_grad=True)
    (x.sum() / 1000).backward()


def squares(step: int) -> None:
    """The squares of growing features overflow."""
    (grown((8, 8), torch.float16) * (10 * 1.25**step)).pow(2).mean().backward()


def scores(step: int) -> None:
    """Attention scores without scaling overflow."""
    q = grown((8, 64), torch.float16) * (2 * 1.25**step)
    (q @ q.t()).float().mean().backward()


def lengths(step: int) -> None:
    """The lengths approach the root of float32's largest number."""
    (grown((8, 8)) * (1e17 * 1.25**step)).square().sum(1).sqrt().log().mean().backward()


STORIES: dict[str, Story] = {
    "naive softmax in float32": lambda step: naive_softmax(step, torch.float32, 8.0),
    "naive softmax in float16": lambda step: naive_softmax(step, torch.float16, 1.0),
    "softplus by definition": softplus_by_definition,
    "rate in bfloat16": lambda step: rate_that_falls(step, torch.bfloat16, 0.05),
    "rate in float16": lambda step: rate_that_falls(step, torch.float16, 0.01),
    "running sum in float16": lambda step: running_sum(step, torch.float16, 500),
    "running count in bfloat16": lambda step: running_sum(step, torch.bfloat16, 60),
    "long sum in float16": long_sum,
    "squares in float16": squares,
    "scores in float16": scores,
    "lengths in float32": lengths,
}


def told_before(story: Story) -> int | None:
    """Return the number of steps between the first headroom below two and the failure of a line; ``None`` if never."""
    told: int | None = None
    for step in range(40):
        with harness.audit() as found:
            story(step)
        if found.findings:
            return None if told is None else step - told
        if told is None and any(room.factor < WARNS for room in found.headroom):
            told = step
    raise AssertionError("it never breaks")


@pytest.mark.parametrize("name", STORIES)
def test_what_is_about_to_break_is_told_a_step_before(name: str) -> None:
    """Each series is predicted."""
    assert (told_before(STORIES[name]) or 0) >= 1


def test_the_error_along_a_step_is_that_of_each_line_in_its_order() -> None:
    """Forward and backward errors are separate. A line with a non-finite value has none."""
    with harness.audit() as found:
        x = grown((8,)) * 200
        y = x.exp()
        y.log().sum().backward()
    first, second, *others = found.record.errors
    assert second.line == first.line + 1
    assert first.error == 0.0 or 0.0 < (first.error or 1.0) < 1e-6
    assert (second.operation, second.error) == ("exp", None)
    assert {stretch.backward for stretch in others} == {False, True}
    with harness.audit(mode="events") as seen:
        (grown((8,)) * 2).sum().backward()
    assert seen.record.errors == ()


def test_a_term_that_is_lost_is_said_to_be() -> None:
    """The term is already below the resolution of the sum."""
    with harness.audit() as found:
        total, one = torch.tensor(4096.0, dtype=torch.float16), torch.ones((), dtype=torch.float16, requires_grad=True)
        (total + one).backward()
    (room,) = [room for room in found.headroom if room.quantity == "term"]
    assert format_headroom(room).endswith("add's term 1 is already below the limit of 2 in float16")
