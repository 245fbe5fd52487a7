"""``harness accuracy``: the stored proofs of torch and the proofs of runs, as a table, as Markdown and as a picture."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from samples.command import Command

from harness.case import Case
from harness.contracts import contract_named
from harness.proof import task
from harness.proof.float32 import recorded
from harness.proof.float32.kernel import LAYOUTS
from harness.proof.float32.operation import OPERATIONS
from harness.proof.float32.rows import WIDTH
from harness.proof.float32.task import Float32
from harness.proof.shards import conclude
from harness.record import RUNS, Proof, RunFolder

ONE = 0x3F80_0000
SMALL = range(ONE, ONE + 4 * WIDTH)


def small_proof(name: str, quantity: str = "value") -> Proof:
    """Return the proof of an operation of torch on some numbers."""
    case = Case(OPERATIONS[name].function, name, style="foreign", name=f"torch.{name}", target=f"torch:{name}")
    one = Float32(case, contract_named("sigmoid"), OPERATIONS[name], LAYOUTS[0], quantity, codes=SMALL, shards=1)
    return conclude(one, one.tally(0)).model_copy(update={"contract": name, "processor": "Some Processor"})


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Proof]:
    """Keep two small proofs instead of those in the package."""
    proofs = [small_proof("tanh"), small_proof("exp", "gradient")]
    file = tmp_path / "recorded.jsonl"
    file.write_text("".join(proof.model_dump_json() + "\n" for proof in proofs), encoding="utf-8")
    monkeypatch.setattr(recorded, "FILE", file)
    return proofs


@dataclass(frozen=True)
class Small(Float32):
    """A proof of some numbers in two shards."""

    codes: range = SMALL
    shards: int = 2


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let some numbers be the whole space."""
    monkeypatch.setattr(task, "Float32", Small)


@pytest.mark.usefixtures("kept")
def test_the_kept_proofs_are_shown_in_order(harness_command: Command) -> None:
    """The exponential is the first of both."""
    done = harness_command("accuracy", "--markdown", code=0)
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines[2:]] == ["torch.exp", "torch.tanh"]
    assert "| proved" in lines[2]


def test_one_operation_is_selected_and_drawn(kept: list[Proof], harness_command: Command, tmp_path: Path) -> None:
    """The table has the worst input, and where the proof is valid."""
    picture = tmp_path / "tanh.png"
    done = harness_command("accuracy", "tanh", "--picture", str(picture), code=0)
    assert "torch.exp" not in done.stdout
    assert kept[0].witness is not None
    assert f"{kept[0].witness.deviation:.6g}" in done.stdout
    assert f"environment: torch {torch.__version__} on Some Processor" in " ".join(done.stdout.split())
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("kept")
def test_an_unknown_name_and_a_wrong_picture_are_usage_errors(harness_command: Command, tmp_path: Path) -> None:
    """Each is one sentence."""
    assert "did you mean `tanh`?" in harness_command("accuracy", "tan").refusal
    assert "cannot write the picture" in harness_command("accuracy", "--picture", str(tmp_path / "a.xyz")).refusal


def test_casts_are_shown(harness_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table has the policies, the deviations and the statements of the laws."""
    monkeypatch.setenv("COLUMNS", "400")
    done = harness_command("accuracy", "--casts", "float8_e8m0fnu", code=0)
    text = " ".join(done.stdout.split())
    assert "ties away from zero; overflow to NaN; sign dropped" in text
    assert "nearest: 4,194,302 (first 0x1.0000040000000p-127: actual 1.17549e-38, expected 5.87747e-39)" in text
    assert "flushed: no result is zero if the nearest number is not zero" in text
    done = harness_command("accuracy", "--casts", "bfloat16", "--markdown")
    assert [line.split("|")[3].strip() for line in done.stdout.splitlines()[2:]] == ["100 %"] * 3


def test_casts_have_no_run_and_no_picture(harness_command: Command, tmp_path: Path) -> None:
    """An unknown dtype and an option for operations are usage errors."""
    both = ("--casts", "--picture", str(tmp_path / "casts.png"))
    assert "cannot use `--casts` together with" in harness_command("accuracy", *both).refusal
    assert "did you mean `bfloat16`" in harness_command("accuracy", "--casts", "bfloat61").refusal


@pytest.mark.usefixtures("small", "workplace")
def test_a_proof_in_a_run_is_shown(harness_command: Command) -> None:
    """``harness prove`` takes float32 on request, and for an operation without proofs in 16 bits."""
    for words in (("torch:exp",), ("torch:sigmoid", "--dtypes", "float32")):
        done = harness_command("prove", *words, "--layouts", "contiguous", "--no-isolate", "--run", "mine", code=0)
        assert "all 2 proved (32,768 inputs visited)" in done.stdout
    assert len(list(RunFolder(RUNS / "mine").read(Proof))) == 4
    done = harness_command("accuracy", "exp", "--run", "mine", "--markdown")
    assert [line.split("|")[2].strip() for line in done.stdout.splitlines()[2:]] == ["value", "gradient"]


@pytest.mark.usefixtures("small", "workplace")
def test_a_departure_is_printed_by_the_proof(harness_command: Command) -> None:
    """The sentence has the law and the first input."""
    Path("mine.py").write_text(
        "import torch\n\ndef tanh(x):\n    return torch.where(x == 1.0, 0.5, torch.tanh(x))\n", encoding="utf-8"
    )
    words = ("mine.py:tanh", "--dtypes", "float32", "--layouts", "contiguous", "--of", "value", "--run", "mine")
    done = harness_command("prove", *words, "--no-isolate")
    assert "against: results for x and -x have the same bits" in " ".join(done.stdout.split())
    assert "first 1: actual 0.5" in " ".join(done.stdout.split())


@pytest.mark.usefixtures("workplace")
def test_a_contract_without_proof_in_float32_is_a_usage_error(harness_command: Command) -> None:
    """The message names the operations."""
    done = harness_command("prove", "torch:atan", "--no-isolate", code=2)
    assert "in float32 for sigmoid, logsigmoid" in done.stderr.replace("`", "")
