"""The audit of a run examines as many steps as its bound allows, checks the others quickly, and changes none."""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from samples.audit import audit as recorded
from samples.audit import room
from samples.command import Command
from torch import Tensor, nn

import harness
from harness.auditor.sampling import Sampling

STEPS = 100
RATIOS = (1.2, 3.0, 7.9, 22.0)
"""Ratios of the time of an audited step to that of a plain step."""

# Schedules: laws about the audited steps, with simulated clocks, and schedules that break them

ENGINE = "_engine_run_backward"
"""The function of ``torch.autograd`` that the audit replaces; torch does not export it."""


def flat(_number: int) -> float:
    """Return a constant loss."""
    return 1.0


def taken(sampling: Sampling, ratio: float, *, loss: Callable[[int], float] = flat, noise: float = 0.0) -> float:
    """Take all steps, which last a second or longer when audited; return the time of the plain steps."""
    draws, plain_s = random.Random(1), 0.0
    for number in range(1, STEPS + 1):
        step_s = 1.0 + noise * draws.expovariate(1.0)
        is_due = sampling.is_due()
        found = recorded().model_copy(update={"step": number}) if is_due else None
        all_s = ratio * step_s if is_due else step_s
        plain_s += step_s
        sampling.record_step(step_s, all_s, loss=loss(number), audit=found)
    return plain_s


def stays_within(sampling: Sampling) -> bool:
    """The bound holds for the whole run."""
    assert sampling.step_s is not None
    return sampling.cpu_s <= sampling.within * STEPS * sampling.step_s


def begins_with_the_first(sampling: Sampling) -> bool:
    """The first step is audited at any cost."""
    return sampling.audited[0] == 1


def is_spread(sampling: Sampling) -> bool:
    """No gap exceeds twice the average, except the gap that saves for the first audit."""
    after = [*sampling.audited[1:], STEPS + 1]
    gaps = [number - before for before, number in zip(sampling.audited, after, strict=True)]
    return len(gaps) < 3 or max(gaps[1:]) <= 2.0 * max(2.0, STEPS / len(sampling.audited))


def spends_what_it_may(sampling: Sampling) -> bool:
    """Less than the cost of two audits remains; a tenth of the steps, and the first four, measure a plain step."""
    assert sampling.step_s is not None
    left_s = sampling.within * STEPS * sampling.step_s - sampling.cpu_s
    return len(sampling.audited) >= STEPS - STEPS // 10 - 4 or left_s <= 2.0 * sampling.audited_s


class Always(Sampling):
    """Audits every step except the second, which measures a plain step."""

    def is_due(self) -> bool:
        """Always, except for the second step."""
        return self.done != 1


class Never(Sampling):
    """Audits only the last step."""

    def is_due(self) -> bool:
        """The last step only."""
        return self.done == STEPS - 1


class AtOnce(Sampling):
    """Spends the whole budget on the first steps."""

    def is_due(self) -> bool:
        """It is due while the bound allows it."""
        return self.done != 1 and self.cpu_s + 9.0 <= self.within * STEPS - (STEPS - self.done)


class Seldom(Sampling):
    """Audits every fortieth step."""

    def is_due(self) -> bool:
        """Every fortieth step at any cost."""
        return self.done % 40 == 0


LAWS: dict[Callable[[Sampling], bool], type[Sampling]] = {
    stays_within: Always,
    begins_with_the_first: Never,
    is_spread: AtOnce,
    spends_what_it_may: Seldom,
}
"""Laws of schedules, each with a schedule that breaks it."""


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_a_law_of_schedules_sees_one_that_breaks_it(law: Callable[[Sampling], bool]) -> None:
    """An audited step takes eight times as long as a plain step."""
    sampling = LAWS[law](3.0, steps=STEPS)
    taken(sampling, 8.0)
    assert not law(sampling)


@pytest.mark.parametrize("within", [2.0, 3.0, 6.0])
@pytest.mark.parametrize("ratio", RATIOS)
def test_every_law_of_schedules_holds(ratio: float, within: float) -> None:
    """All plain steps take the same time."""
    sampling = Sampling(within, steps=STEPS)
    taken(sampling, ratio)
    assert [law.__name__ for law in LAWS if not law(sampling)] == []


@pytest.mark.parametrize("within", [2.0, 3.0, 6.0])
@pytest.mark.parametrize("ratio", RATIOS)
def test_of_steps_that_take_unlike_times_a_run_is_beyond_its_bound_by_no_audit(ratio: float, within: float) -> None:
    """The duration of a step is predicted from the steps before it."""
    sampling = Sampling(within, steps=STEPS)
    plain_s = taken(sampling, ratio, noise=0.5)
    assert sampling.cpu_s <= within * plain_s + sampling.audited_s
    assert begins_with_the_first(sampling)


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_last_step_is_looked_at(ratio: float) -> None:
    """Enough time always remains for a wanted step."""
    sampling = Sampling(steps=STEPS)
    taken(sampling, ratio)
    assert sampling.audited[-1] == STEPS


def test_a_step_after_a_sudden_change_of_the_loss_is_looked_at() -> None:
    """On a smooth curve, this step would not be due."""
    smooth, jumps = Sampling(), Sampling()
    taken(smooth, 22.0, loss=lambda number: 1.0 / number)
    quiet = next(number for number in range(50, STEPS) if not {number, number + 1} & set(smooth.audited))
    taken(jumps, 22.0, loss=lambda number: 1.0 / number + (5.0 if number >= quiet else 0.0))
    assert quiet + 1 in jumps.audited
    assert quiet + 1 not in smooth.audited


def test_a_step_before_a_line_would_break_is_looked_at() -> None:
    """The trend of the earlier steps predicts the failure."""
    sampling = Sampling()
    for number in range(1, 40):
        is_due = sampling.is_due()
        rooms = (room(factor=2.0 ** (0.25 * (40 - number))),)
        found = recorded().model_copy(update={"step": number, "headroom": rooms}) if is_due else None
        sampling.record_step(1.0, 6.0 if is_due else 1.0, loss=None, audit=found)
    assert [trend.gone_at for trend in sampling.trends] == [40]
    assert sampling.audited[-1] == 39


def test_a_sudden_change_does_not_break_the_bound() -> None:
    """Even if the loss jumps all the time, the number of audited steps stays within the bound."""
    sampling = Sampling(steps=STEPS)
    taken(sampling, 22.0, loss=lambda number: float(10 ** (number % 7)))
    assert stays_within(sampling)


# A loop


class Clock:
    """A clock that the test advances."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def run_of(step: Callable[[int], Any], number_of: int, *, audited_s: float = 1e6, **how: Any) -> harness.audit_run:
    """Take steps of a second; an audited step takes so long by default that only the first is audited."""
    clock = Clock()
    run = harness.audit_run(clock=clock, **how)
    for number in range(1, number_of + 1):
        with run.step() as auditing:
            step(number)
            clock.now += 1.0 if auditing is None else audited_s
    return run


def ruins(run: harness.audit_run) -> list[tuple[int, str]]:
    """Return the non-finite steps that were not audited, with their values."""
    return [(ruin.step, ruin.what) for ruin in run.record.ruins]


def test_a_loss_that_is_not_finite_is_noticed_in_a_step_that_is_not_looked_at() -> None:
    """The loss of a backward pass is NaN or infinity."""
    w = torch.ones(3, requires_grad=True)

    def step(number: int) -> None:
        (w * {4: math.inf, 7: math.nan}.get(number, 1.0)).sum().backward()

    run = run_of(step, 9)
    assert (run.record.audited, run.record.spoiled, ruins(run)) == (1, 2, [(4, "the loss"), (7, "the loss")])
    assert "the loss is not finite after steps 4, 7, which the audit skipped" in str(run)
    assert run_of(lambda _: w.sum().backward(), 9).record.ruins == ()
    assert ruins(run_of(step, 9, at=(4, 7))) == []


def test_weights_that_are_not_finite_are_noticed_though_the_loss_is() -> None:
    """Buffers are checked too. A mask of minus infinities is intended, and large numbers are finite."""
    model = nn.BatchNorm1d(3)
    model.register_buffer("mask", torch.tensor([0.0, -math.inf, 0.0]))
    model.register_buffer("large", torch.full((3,), 3e38))

    def step(number: int) -> None:
        model(torch.eye(3)).sum().backward()
        if number == 5:
            model.get_buffer("running_mean")[0] = math.inf
        assert model.bias.isfinite().all()

    run = run_of(step, 8)
    assert ruins(run) == [(5, "the weight running_mean")]
    assert run.record.spoiled == 4


def test_what_an_audited_step_ruins_is_no_news_afterwards() -> None:
    """The audited step has the finding; later steps are only counted."""
    w = torch.ones(3, requires_grad=True)

    def step(number: int) -> None:
        (w * (1.0 if number < 4 else math.nan)).sum().backward()

    run = run_of(step, 6, at=(4,))
    assert (run.record.ruins, run.record.spoiled) == ((), 2)
    assert "2 of the other 5 steps are not finite, all after an audited step" in str(run)


def test_a_run_says_how_much_of_it_was_looked_at_and_why_not_more() -> None:
    """The figures follow the given clock."""
    w = torch.ones(3, requires_grad=True)
    run = run_of(lambda _: w.sum().backward(), 100, audited_s=7.9, steps=100)
    record = run.record
    assert record.ratio is not None
    assert 2.5 < record.ratio <= 3.0
    assert 25 <= record.audited <= 29
    said = f"audited {record.audited} of 100 steps: an audited step takes 7.9 times as long as a plain one (1.00 s); "
    assert f"{said}the run took {record.ratio:.1f} times its time without the audit, limit " in str(run)
    assert "loss and weights of the other steps are finite" in str(run)
    assert run.findings == ()


def left_behind(take: Callable[[Callable[[], None]], None]) -> list[Tensor]:
    """Return the state after twelve steps: losses, weights, buffers, gradients, optimizer state, random numbers."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.GELU(), nn.Linear(16, 3))
    optimizer, losses = torch.optim.AdamW(model.parameters(), 1e-2), []

    def step() -> None:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(torch.randn(16, 8)), torch.randint(3, (16,)))
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())

    take(step)
    state = [value for values in optimizer.state.values() for value in values.values()]
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return [*losses, *model.state_dict().values(), *gradients, *state, torch.get_rng_state()]


@pytest.mark.parametrize("mode", ["events", "full"])
def test_no_bit_of_a_run_is_changed(mode: str) -> None:
    """Audited steps and the steps between them change nothing."""

    def plainly(step: Callable[[], None]) -> None:
        for _ in range(12):
            step()

    def audited(step: Callable[[], None]) -> None:
        run = run_of(lambda _: step(), 12, audited_s=4.0, mode=mode)
        assert 3 <= run.record.audited < 12

    plain, after = left_behind(plainly), left_behind(audited)
    assert len(plain) == len(after)
    assert all(torch.equal(a, b) for a, b in zip(plain, after, strict=True))


def test_everything_is_put_back_when_a_step_raises() -> None:
    """The step may be audited or not, and it counts in both cases."""
    engine = getattr(torch.autograd, ENGINE)
    w = torch.ones(3, requires_grad=True)

    def step() -> None:
        w.sum().backward()
        raise ZeroDivisionError

    run = harness.audit_run(within=1.0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), run.step():
            step()
    assert getattr(torch.autograd, ENGINE) is engine
    assert (run.record.steps, run.record.audited) == (2, 1)


# The command

TRAIN = """
import random

import torch

torch.manual_seed(0)
W = torch.nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
number = 0


def called():
    global number
    number += 1
    return number


def breaks():
    e = (W * torch.rand(4, 3) + 95 * (called() == 12)).exp()
    (e / e.sum(1, keepdim=True)).log().mean().backward()


def draws():
    e = (W * random.random() + 95 * (called() == 12)).exp()
    (e / e.sum()).log().mean().backward()


def refuses():
    e = (W + 95 * (called() == 12)).exp()
    loss = (e / e.sum()).log().mean()
    if not loss.isfinite():
        raise ValueError("not finite")
    loss.backward()


def sound():
    W.square().sum().backward()
"""


@pytest.mark.usefixtures("train")
def test_a_step_that_went_wrong_unseen_is_looked_at_in_a_second_run(harness_command: Command) -> None:
    """The second run is equal up to this step, bit for bit, and the audit names the line."""
    words = ("--no-isolate", "--events", "--steps", "20", "--within", "1", "--json", "a.json", "--run", "mine")
    done = harness_command("audit", "train.py:breaks", *words, "--markdown", "a.md", "--junit", "a.xml", code=1)
    assert "train.py:18 breaks: exp(9" in done.stdout
    assert "this is step 12 of 20, the first with findings" in done.stdout
    said = (
        "the loss is not finite after step 12, which the audit skipped; a second run, identical bit for bit, audited it"
    )
    assert said in done.stdout
    assert said in Path("a.md").read_text(encoding="utf-8")
    audits = json.loads(Path("a.json").read_text(encoding="utf-8"))["audits"]
    assert [audit["step"] for audit in audits] == [1, 12]
    assert (audits[1]["run"]["again"], audits[1]["run"]["spoiled"]) == ("the same", 1)
    kept = harness.record.RunFolder(Path(".harness/runs/mine")).read(harness.record.Audit)
    assert [(audit.step, audit.run is None) for audit in kept] == [(1, True), (12, False)]


@pytest.mark.usefixtures("train")
def test_of_steps_that_are_others_the_second_time_it_is_said_what_to_do(harness_command: Command) -> None:
    """No line is blamed, because it may be another step; the run fails nevertheless."""
    words = ("--no-isolate", "--events", "--steps", "20", "--within", "1", "--junit", "a.xml")
    done = harness_command("audit", "train.py:draws", *words, code=1)
    assert "which the audit skipped; a second run differs from step 1 on: fix the random seed" in done.stdout
    assert 'failures="1"' in Path("a.xml").read_text(encoding="utf-8")


@pytest.mark.usefixtures("train")
def test_a_step_that_raises_unseen_is_looked_at_too(harness_command: Command) -> None:
    """The exception is reported as usual, together with the line."""
    done = harness_command("audit train.py:refuses --no-isolate --events --steps 20 --within 1", code=2)
    assert "raises ValueError: not finite" in done.stderr
    assert "this is step 12 of 12" in done.stdout
    assert "train.py:28 refuses: exp's input 98 is already above the limit of 88.72283935546875" in done.stdout


@pytest.mark.usefixtures("train")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--sample 2 --within 3", "cannot use `--sample` together with `--within`; leave"),
        ("--at 2 --within 3", "cannot use `--within` together with `--at`; leave"),
        ("--jobs 2 --within 3", "cannot use `--within` with several processes"),
    ],
)
def test_what_cannot_be_chosen_is_one_sentence(words: str, said: str, harness_command: Command) -> None:
    """The exit code is 2."""
    done = harness_command(f"audit train.py:sound --no-isolate --steps 30 {words}")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert said in done.stderr


@pytest.mark.usefixtures("train")
def test_a_step_is_looked_at_by_its_number(harness_command: Command) -> None:
    """Earlier steps are taken without an audit, later ones not at all."""
    done = harness_command("audit", "train.py:breaks", "--no-isolate", "--at", "12", code=1)
    assert "train.py:18 breaks: exp(9" in done.stdout
    assert "this is step 12 of 12, the first with findings" in done.stdout
    assert "audited 1 of 12 steps\n" in done.stdout


@pytest.mark.usefixtures("train")
def test_few_steps_are_all_looked_at_and_many_as_many_as_may_be(harness_command: Command) -> None:
    """The default bound decides."""
    few = harness_command("audit", "train.py:sound", "--no-isolate", "--events", "--steps", "19", code=0)
    assert "audited " not in few.stdout
    many = harness_command("audit", "train.py:sound", "--no-isolate", "--events", "--steps", "20", code=0)
    assert "of 20 steps: an audited step takes " in many.stdout
    assert "loss and weights of the other steps are finite" in many.stdout
