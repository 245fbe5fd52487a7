"""``harness same`` decides the settled pairs as a person would, and gives no answer without its controls."""

import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest
import sameness.doubles as doubles
import sameness.fresh as fresh
import torch
from sameness.test_pairs import MODULE, NAMES, list_names
from samples.command import Command

from harness.error import UsageError
from harness.record import Judgment
from harness.sameness import judgment
from harness.sameness.comparison import compare_pair
from harness.sameness.judgment import require_bits_seen, require_factor_seen
from harness.sameness.pair import make_pair
from harness.sameness.recording import Measured

UNNAMED = {"different_frozen_layer"}
"""Pairs of which another line is named: a frozen layer shows in the forward pass of the second step."""

PAIRS = [(MODULE, name) for name in NAMES if name != "rounding_compiled"]
PAIRS += [(doubles, name) for name in list_names(doubles)]
PAIRS += [(fresh, name) for name in list_names(fresh)]


def judge_pair(name: str, module: ModuleType = MODULE) -> Judgment:
    """Judge a pair; functions get two batches of 32 rows."""
    arguments = len(inspect.signature(getattr(module, f"{name}_a")).parameters)
    first, second = (f"{module.__file__}:{name}_{side}" for side in "ab")
    return compare_pair(make_pair(first, second, shapes=["32,64"] * arguments))


@pytest.mark.parametrize(("module", "name"), PAIRS, ids=[name for _, name in PAIRS])
def test_a_settled_pair_gets_its_answer(module: ModuleType, name: str) -> None:
    """A difference has a place on a line at which a person would say that the pair differs."""
    decided = judge_pair(name, module)
    answers = {"different": {"different"}, "nothing": {"nothing trained"}, "rounding": {"rounding", "same bits"}}
    assert decided.answer in answers[name.split("_")[0]], decided
    if decided.answer == "different":
        file = Path(str(module.__file__))
        lines = file.read_text(encoding="utf-8").splitlines()
        places = [int(line) for line in re.findall(rf"{file.name}:(\d+)", decided.sentence)]
        assert any("# here" in lines[line - 1] for line in places) == (name not in UNNAMED), decided


def test_the_ratio_of_proportional_results_is_named() -> None:
    """The loss of four parts, each a mean, is four times that of the whole."""
    assert "the result in step 1: the second is 4 times the first" in judge_pair("different_missing_scale").sentence


# The command

MINE = """\
import torch


def softmax(x):
    exponentials = torch.exp(x - x.amax(-1, keepdim=True))
    return exponentials / exponentials.sum(-1, keepdim=True)


def textbook_softmax(x):
    return torch.exp(x) / torch.exp(x).sum(-1, keepdim=True)


def end(x):
    raise KeyError("key")


def cancel(x):
    return (x + 1.0) - x - 1.0


def sort(x):
    return x.sort(-1).indices


def clone(x):
    return x.clone()


compiled = torch.compile(clone)


def double(x):
    return x.double()


def two(x):
    return x, x


def half_zero(x):
    return torch.cat([x, x * 0.0])


def half_negative_zero(x):
    return torch.cat([x, x * -0.0])


def half_nan(x):
    return torch.cat([x / 3.0, x * torch.nan])


def half_nan_multiplied(x):
    return torch.cat([x * (1.0 / 3.0), x * torch.nan])


def half_nan_shifted(x):
    return torch.cat([x / 3.0 + 1.0, x * torch.nan])


def square(x):
    return x * x


def half_square(x):
    return x * x.detach()


def square_in_numpy(x):
    return torch.from_numpy(x.numpy() ** 2)


def many(x):
    for _ in range(900):
        x = x * 1.001
    return x
"""
MODEL = "import torch\n\nw = torch.ones(3, requires_grad=True)\n"
STEP = """\
import torch
from model import w


def step():
    loss = (w * w).sum() {factor}
    loss.backward()
    with torch.no_grad():
        w.sub_(0.1 * w.grad)
    w.grad = None
    return loss


def functional():
    global w
    loss = (w * w).sum()
    (gradient,) = torch.autograd.grad(loss, w)
    w = (w - 0.1 * gradient).detach().requires_grad_()
    return loss


def long():
    x = torch.zeros(())
    for _ in range(2000):
        x = x + 1.0
    return x
"""


@pytest.fixture
def folder(workplace: Path) -> Path:
    """A folder with functions, and with two steps that import one model."""
    (workplace / "mine.py").write_text(MINE, encoding="utf-8")
    (workplace / "model.py").write_text(MODEL, encoding="utf-8")
    (workplace / "full.py").write_text(STEP.format(factor=""), encoding="utf-8")
    (workplace / "quarter.py").write_text(STEP.format(factor="/ 4"), encoding="utf-8")
    return workplace


@pytest.mark.usefixtures("folder")
def test_functions_are_compared_on_the_inputs_of_a_check(harness_command: Command) -> None:
    """The textbook softmax overflows on some of them, and the shifted one does not."""
    done = harness_command("same mine.py:softmax torch:softmax", code=0)
    errors = r"[\d.]+ of [\d.]+ ulp and [\d.]+ of [\d.]+ ulp"
    sentence = rf"[\d,]+ of [\d,]+ numbers differ, .* both stay within .* of softmax: {errors}\n"
    assert re.fullmatch(rf"ROUNDING {{4}}{sentence}", done.stdout)
    done = harness_command("same mine.py:textbook_softmax torch:softmax", code=1)
    assert re.match(r"DIFFERENT {3}the result of call \d: the first is nan where the second is \S+; .*exp", done.stdout)
    assert "only the second stays within the bound of softmax: inf of 2.00 ulp and " in done.stdout
    assert harness_command("same mine.py:softmax mine.py:softmax", code=0).stdout.startswith("SAME BITS")


@pytest.mark.usefixtures("folder")
def test_steps_do_not_share_the_modules_that_both_import(harness_command: Command) -> None:
    """The second one does not begin with the weights that the first one has trained."""
    assert harness_command("same full.py:step full.py:step", code=0).stdout == (
        "SAME BITS   all results of 3 steps are equal\n"
    )
    done = harness_command("same full.py:step quarter.py:step", code=1)
    assert done.stdout.startswith("DIFFERENT   the result in step 1: the second is 0.25 times the first; ")
    assert "div (quarter.py:6)" in done.stdout


@pytest.mark.usefixtures("folder")
def test_a_step_may_replace_its_weights(harness_command: Command) -> None:
    """They are compared at the start of the next step, and gradients that only one side keeps are not."""
    done = harness_command("same full.py:step full.py:functional", code=0)
    assert re.search(r"[34] weights or gradients that only one side has are not compared", done.stdout)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        ("mine.py:softmx mine.py:softmax", "no `softmx` in `mine.py`; did you mean `softmax`?"),
        ("mine.py mine.py:softmax", "cannot compare `mine.py`: name a function or a step as"),
        ("full.py:step mine.py:softmax", "cannot compare a step with a function: only a step takes no arguments"),
        ("mine.py:end mine.py:end --shape 2", "cannot run `mine.py:end`: it raises KeyError"),
        ("mine.py:end mine.py:end", "got none; pass `--contract NAME`, or a `--shape` for each argument"),
        (
            "torch:softmax torch:log_softmax",
            "cannot choose the inputs: the names of the functions must belong to one contract",
        ),
        ("mine.py:softmax torch:softmax --shape 2xN", "cannot read `--shape`: it must be lengths, such as 32,64"),
        ("mine.py:softmax torch:softmax --shape 2 --contract softmax", "cannot use `--contract` together with"),
        ("full.py:long full.py:long", "cannot record the call: a call may have 1,024 operations"),
        ("mine.py:cancel mine.py:cancel --shape 9", "results that are divided by 4 must be different"),
    ],
)
def test_a_comparison_without_an_answer_says_why(arguments: str, refusal: str, harness_command: Command) -> None:
    """The last one has results that are rounding errors only, so that no mistake would be seen in them."""
    assert refusal in harness_command(f"same {arguments}").refusal


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("first", "second", "answer"),
    [
        ("sort", "sort", "same bits all results of 2 calls are equal"),
        ("sort", "clone", "different the result of call 1: the first is int64 [4, 2], and the second float32 [4, 2]"),
        (
            "clone",
            "double",
            "different the result of call 1: the first is float32 [4, 2], and the second float64 [4, 2]",
        ),
        ("clone", "two", "different only one side returns a result 2 of call 1"),
        ("square", "half_square", "different the gradient of input 1 of call 1: the second is 0.5 times the first"),
        ("square", "square_in_numpy", "same bits all results of 2 calls (2 weights or gradients that only one side"),
        ("many", "many", "same bits all results of 1 call are equal"),
        ("half_zero", "half_negative_zero", "rounding the 48 numbers of 2 calls are equal, except for signs of zeros"),
        ("half_nan", "half_nan_multiplied", "rounding 3 of 48 numbers differ, by at most 9.7e-08 of the largest"),
        (
            "half_nan",
            "half_nan_shifted",
            "different the result of call 1: they differ by up to 0.62 of the largest; the first op",
        ),
    ],
)
def test_results_of_each_kind_are_compared(first: str, second: str, answer: str) -> None:
    """Integers must be equal, and so must dtypes and the number of results; zeros may differ in their sign.

    Gradients are compared where autograd follows both sides, as far as they are recorded.
    """
    decided = compare_pair(make_pair(f"mine.py:{first}", f"mine.py:{second}", shapes=["4,2"]))
    assert f"{decided.answer} {decided.sentence}".startswith(answer)


def test_a_number_that_only_float64_lacks_is_named() -> None:
    """The results may be finite where their repetition in float64 is not."""
    value, zero = torch.zeros(1), torch.zeros(1, dtype=torch.float64)
    sides = Measured(value, zero + torch.nan, zero), Measured(value, zero, zero)
    assert judgment.describe_difference(*sides) == "in float64, the first is nan where the second is 0"


# Controls


def test_a_control_that_sees_no_bit_ends_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison that calls everything equal gives no answer; nor is there one without any number."""
    require_bits_seen([torch.zeros(0), torch.ones(2)])
    with pytest.raises(UsageError, match="a changed bit must be seen"):
        require_bits_seen([torch.zeros(0)])
    monkeypatch.setattr(judgment, "have_same_bits", lambda _: True)
    with pytest.raises(UsageError, match="a changed bit must be seen"):
        judge_pair("different_gelu")


def test_a_control_that_sees_no_factor_ends_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too wide a limit gives no answer; nor do results that are zero."""
    zeros = torch.zeros(3, dtype=torch.float64)
    require_factor_seen({"result": Measured(torch.ones(3), zeros + 1.0, zeros)})
    with pytest.raises(UsageError, match="must be different"):
        require_factor_seen({"result": Measured(torch.zeros(3), zeros, zeros)})
    monkeypatch.setattr(judgment, "FACTOR", 1e9)
    with pytest.raises(UsageError, match="must be different"):
        judge_pair("different_gelu")


def test_a_longer_training_is_compared_as_far_as_it_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence has the number of steps."""
    monkeypatch.setattr("harness.exact.tape.MAX_STEPS", 80)
    assert judge_pair("rounding_decay").sentence == "all results of 1 step are equal"
