"""An implementation in another process: the transfer of values, its local proxy, and the checks of its answers."""

import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten

from harness.calling.adapter import NO_AUTOGRAD, NO_BFLOAT16, NotApplicable
from harness.calling.host import RemoteError, ReshapedError
from harness.calling.modes import NO_COMPILER
from harness.error import UsageError
from harness.exact.tape import View
from harness.exact.untrusted_tape import UnfitTapeError, is_inside, read_special, read_tape
from harness.isolation import wire
from harness.isolation.child import Child, LostError, setup
from harness.isolation.encoding import Packed
from harness.isolation.limits import Limits
from harness.isolation.remote import RemoteHost
from harness.record import Fault

CODE = """
import os
import sys
import torch

def cubes(x):
    return x**3

def halves(x, y):
    x.mul_(2.0)
    return x[:1], y / 2, "text", 1.5

def loaded(x):
    return sorted(sys.modules)

def fails(x):
    raise ValueError("no")

def wide(x):
    x.resize_(1)
    return x

CASES = ()
"""


UNSHARE = "unshare --net --pid --fork --kill-child --mount-proc"
"""A sandbox command that nearly every Linux has."""


def _may_unshare() -> bool:
    return bool(shutil.which("unshare")) and not subprocess.run([*UNSHARE.split(), "true"], check=False).returncode


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemoteHost]:
    """Return a process that serves one function at a time, shared by the tests of this module."""
    file = tmp_path_factory.mktemp("apart") / "own.py"
    every = "\n\ndef every(x, *rest, which='cubes'):\n    return globals()[NAMES[int(rest[-1])]](x, *rest[:-1])\n"
    names = "NAMES = ['cubes', 'halves', 'loaded', 'fails', 'wide']\n"
    file.write_text(CODE + names + every, encoding="utf-8")
    child, place, function = start(f"{file}:every")
    place.function = function  # type: ignore[attr-defined]
    yield place
    child.close()


def start(target: str, sandbox: str | None = None) -> tuple[Child, RemoteHost, Any]:
    """Return a process that serves a function, its host, and the function."""
    limits = Limits(sandbox=sandbox)
    child = Child(limits, setup(target, None, limits))
    place = RemoteHost(child)
    (case,) = place.cases(target, "softmax", {})
    child.begin(20.0, 30.0, 300.0)
    return child, place, case.function


def asked(elsewhere: RemoteHost, name: str, *inputs: Any) -> Any:
    """Call one of the remote functions by name."""
    at = ["cubes", "halves", "loaded", "fails", "wide"].index(name)
    function: Any = elsewhere.function  # type: ignore[attr-defined]
    return function(*inputs, at)


# What is called


def test_values_and_both_derivatives_come_back(elsewhere: RemoteHost) -> None:
    """They are equal bit by bit, for any strides of the input."""
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).mT.requires_grad_()
    output = asked(elsewhere, "cubes", x)
    assert torch.equal(output, x**3)
    weights = torch.ones_like(output).requires_grad_()
    (once,) = torch.autograd.grad(output, x, weights, create_graph=True)
    assert torch.equal(once, 3 * x**2)
    (twice,) = torch.autograd.grad(once, x, torch.ones_like(once))
    assert torch.equal(twice, 6 * x)


def test_an_implementation_changes_only_its_copies_of_the_inputs(elsewhere: RemoteHost) -> None:
    """The change is reported on request."""
    x, y = torch.ones(3), torch.arange(4.0)
    with elsewhere.looking() as looks:
        first, half, text, number = asked(elsewhere, "halves", x, y)
    (look,) = looks
    assert torch.equal(x, torch.ones(3))
    assert torch.equal(look.after([x, y])[0], torch.full((3,), 2.0))
    assert look.shares([x, y], first) == 1
    assert (text, number) == ("text", 1.5)
    assert torch.equal(half, y / 2)


SECRET = (
    "harness.laws",
    "harness.contracts",
    "harness.verdict",
    "harness.floats",
    "harness.formula",
    "flint",
    "mpmath",
)
"""Packages of the judge: laws, oracle and verdict."""


def test_the_process_for_user_code_has_neither_laws_nor_oracle(elsewhere: RemoteHost) -> None:
    """Code that reads the whole memory of its process finds no expected value."""
    loaded = asked(elsewhere, "loaded", torch.ones(1))
    assert "harness.isolation.callee" in loaded
    assert not [name for name in loaded if name.startswith(SECRET)]


def test_a_remote_exception_is_raised_with_its_message(elsewhere: RemoteHost) -> None:
    """The message has the line, and the exception never has the foreign class."""
    with pytest.raises(RemoteError) as caught:
        asked(elsewhere, "fails", torch.ones(1))
    assert caught.value.words == "ValueError: no"
    assert caught.value.place.startswith(" (own.py, line ")
    with pytest.raises(ReshapedError):
        asked(elsewhere, "wide", torch.ones(3))


def test_a_new_process_starts_after_the_import_of_the_code(elsewhere: RemoteHost) -> None:
    """It has received no call before. Its random numbers continue those of this process."""
    before = elsewhere.generation
    elsewhere.renew()
    assert torch.equal(asked(elsewhere, "cubes", torch.full((2,), 2.0)), torch.full((2,), 8.0))
    assert elsewhere.generation == before + 1


def test_an_end_that_is_reported_late_changes_no_later_answer(
    elsewhere: RemoteHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code would be taken for the number of the next process."""
    asked(elsewhere, "cubes", torch.ones(2))
    with monkeypatch.context() as patch:
        patch.setattr("harness.isolation.child._KILL_S", 0.0)
        elsewhere.renew()
    for _ in range(2):
        assert torch.equal(asked(elsewhere, "cubes", torch.full((2,), 2.0)), torch.full((2,), 8.0))
        elsewhere.renew()


def test_there_is_nothing_to_check_only_where_that_can_be_so(elsewhere: RemoteHost) -> None:
    """The same message from an implementation is an ordinary exception otherwise."""
    narrow, plain = torch.ones(1, dtype=torch.bfloat16), torch.ones(1)
    with pytest.raises(NotApplicable):
        elsewhere._reject(NO_BFLOAT16, [narrow], "cpu", 0)
    with pytest.raises(NotApplicable):
        elsewhere._reject(NO_AUTOGRAD, [plain.clone().requires_grad_()], "cpu", 0)
    for reason in (NO_BFLOAT16, NO_AUTOGRAD, NO_COMPILER, "it is late"):
        with pytest.raises(RemoteError):
            elsewhere._reject(reason, [plain], "cpu", 0)


def test_a_failed_import_is_a_user_error(workplace: Path) -> None:
    """The message has the rule, and no process remains."""
    Path("broken.py").write_text("1 / 0\n", encoding="utf-8")
    limits = Limits()
    child = Child(limits, setup("broken.py:f", None, limits))
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        RemoteHost(child).cases("broken.py:f", "softmax", {})


LIVELY = """
import os
from pathlib import Path

Path("pid").write_text(str(os.getpid()))

def f(x):
    print("said")
    os.write(1, b"written")
    return x

def g(x):
    os.kill(os.getppid(), 9)
    os._exit(3)

def every(x, at):
    return (f, g)[int(at)](x)
"""


def test_output_is_heard_and_a_lost_process_replaced(workplace: Path) -> None:
    """Output past Python's streams is read too.

    An implementation that ends the process ends only itself, and another is forked.
    """
    Path("own.py").write_text(LIVELY, encoding="utf-8")
    child, _, function = start("own.py:every")
    assert torch.equal(function(torch.ones(2), 0), torch.ones(2))
    fault, said = child.take_side_effect() or (None, "")
    assert (fault, "written" in said) == (Fault.PRINTED, True)
    first = int(Path("pid").read_text(encoding="ascii"))
    with pytest.raises(LostError):
        function(torch.ones(2), 1)
    child.begin(20.0, 30.0, 60.0)
    assert torch.equal(function(torch.ones(2), 0), torch.ones(2))
    second = int(Path("pid").read_text(encoding="ascii"))
    child.close()
    assert first != second
    assert not any(Path(f"/proc/{pid}").exists() for pid in (first, second))


@pytest.mark.skipif(not _may_unshare(), reason="this machine has no `unshare`, or it may not be used")
def test_a_command_may_keep_the_process_from_the_system(workplace: Path) -> None:
    """The sandboxed process sees only its own processes, and is called and ended as usual."""
    Path("own.py").write_text(
        "import os\n\ndef f(x):\n    return x * len(os.listdir('/proc/1/task'))\n", encoding="utf-8"
    )
    child, place, function = start("own.py:f", UNSHARE)
    assert torch.equal(function(torch.ones(2)), torch.ones(2))
    place.renew()
    assert torch.equal(function(torch.ones(2)), torch.ones(2))
    assert child.take_side_effect() is None
    child.close()


# Its start


def test_a_project_may_have_packages_with_our_names(workplace: Path) -> None:
    """The code imports its own `harness` and `cases`, and our modules stay in use."""
    for name in ("harness", "cases"):
        Path(name).mkdir()
        Path(name, "__init__.py").write_text("FACTOR = 3.0\n", encoding="utf-8")
    text = "from harness import FACTOR\nimport cases\n\ndef f(x):\n    return x * FACTOR * cases.FACTOR\n"
    Path("own.py").write_text(text, encoding="utf-8")
    child, _, function = start("own.py:f")
    assert torch.equal(function(torch.ones(2)), torch.full((2,), 9.0))
    child.close()


def test_a_file_in_the_working_directory_replaces_no_module_of_the_process(workplace: Path) -> None:
    """Its own modules are imported before the code, and the working directory is not on the path until then."""
    for name in ("psutil", "numpy", "pydantic", "socket", "json"):
        Path(f"{name}.py").write_text("raise RuntimeError\n", encoding="utf-8")
    Path("own.py").write_text("def f(x):\n    return x * 2\n", encoding="utf-8")
    child, _, function = start("own.py:f")
    assert torch.equal(function(torch.ones(2)), torch.full((2,), 2.0))
    child.close()


def test_a_process_that_is_abandoned_before_its_start_ends(tmp_path: Path) -> None:
    """It does not load code that may hang, because before the start it does not end with its parent."""
    (tmp_path / "endless.py").write_text("while True: pass")
    here, there = socket.socketpair()
    with there:
        text = "from harness.isolation.callee import main; main()"
        process = subprocess.Popen([sys.executable, "-P", "-c", text], stdin=there.fileno(), cwd=tmp_path)
    with here:
        wire.send(here, bytes(wire.MARK), setup("endless.py:f", None, Limits()))
    try:
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


# The line


def over(value: Any) -> Any:
    """Send a value and receive it."""
    here, there = socket.socketpair()
    with here, there:
        sender = threading.Thread(target=wire.send, args=(here, bytes(16), value))
        sender.start()
        _, received = wire.receive(wire.buffered_reader(there))
        sender.join()
    return received


@pytest.mark.parametrize(
    "x",
    [
        torch.arange(6.0).reshape(2, 3).mT,
        torch.ones(1).expand(1000, 1000),
        torch.zeros(0, 3),
        torch.tensor(1.5, dtype=torch.bfloat16),
        torch.arange(10)[::3],
        torch.tensor([float("nan"), -0.0, float("inf")], dtype=torch.float16),
        torch.arange(1_000_000.0)[10:20],
    ],
    ids=["transposed", "expanded", "empty", "scalar", "strided", "special", "slice"],
)
def test_tensors_go_over_as_they_are(x: Tensor) -> None:
    """Bits, shape and strides are preserved. Only the visible part of a large storage is sent."""
    received = over({"x": [x]})["x"][0]
    assert received.shape == x.shape
    assert received.dtype == x.dtype
    assert received.stride() == x.stride() or not x.numel()
    assert received.untyped_storage().nbytes() <= 4 * x.numel() * x.element_size() + 4096
    kept = (
        torch.equal(received, x) if not x.is_floating_point() else torch.equal(received.nan_to_num(7), x.nan_to_num(7))
    )
    assert kept


PARTS = {
    "rows of a batch": [{"inputs": [row, 3], "handle": at} for at, row in enumerate(torch.randn(9, 4).unbind())],
    "rows of a small batch, whose storage goes along": [{"x": row} for row in torch.randn(4, 3).unbind()],
    "of several sizes": [{"x": torch.ones(n)} for n in (1, 2, 3, 4, 5)],
    "of several kinds": [{"x": 1}, {"x": 1.0}, {"x": True}, {"x": None}, {"x": "1"}],
    "of several forms": [{"x": 1}, {"y": 2}, [3], (4, 5), torch.ones(2)],
    "that require gradients": [[torch.ones(3).requires_grad_()] for _ in range(6)],
    "without any numbers": [(torch.ones(0, 3), {}, ()) for _ in range(6)],
    "strided": [{"x": torch.ones(4, 8)[:, ::2]} for _ in range(6)],
    "nested": [{"parts": [{"x": torch.tensor(float(i)), "y": (i, "a")} for i in range(5)]} for _ in range(5)],
    "of zeros without memory": [
        {"x": torch.autograd.grad(x.sgn().sum(), x)} for x in (torch.ones(3, 1).requires_grad_(),)
    ],
    "that have no name": [{"x": 2**70} for _ in range(5)],
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_of_the_same_form_arrive_unchanged(name: str) -> None:
    """Values agree, sent by columns or one by one, and each tensor has a separate storage."""
    received = over(PARTS[name])
    flat, form = tree_flatten(PARTS[name])
    leaves, received_form = tree_flatten(received)
    assert received_form == form
    for went, came in zip(flat, leaves, strict=True):
        if isinstance(went, Tensor):
            assert torch.equal(went, came)
            assert (went.requires_grad, went.stride()) == (came.requires_grad, came.stride()) or not went.numel()
        else:
            assert (type(came), came) == (type(went), went) or came.kind == "int"
    tensors = [x for x in leaves if isinstance(x, Tensor) and x.numel()]
    assert len({x.untyped_storage().data_ptr() for x in tensors}) == len(tensors)


def test_rows_of_a_batch_go_over_as_one_block() -> None:
    """The size of the header depends on differences between rows, not on their number."""
    few, many = (Packed([{"inputs": [row]} for row in torch.randn(n, 7).unbind()]) for n in (10, 10_000))
    assert len(json.dumps([many.value, many.tensors])) < len(json.dumps([few.value, few.tensors])) + 10


def test_other_objects_go_over_as_the_names_of_their_kinds() -> None:
    """The receiver executes no code of them."""
    received = over([object(), (1, 2.5, None, float("inf")), {"a": True}, torch.ones(1).to_sparse()])
    assert received[0].kind == "object"
    assert received[1:3] == [(1, 2.5, None, float("inf")), {"a": True}]
    assert received[3].kind == "a tensor that is sparse, nested or quantized"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[",
        b"[" * 100_000,
        b"null",
        b'[{"T": 3}, []]',
        b'[{"T": 0}, [{"d": "float32", "s": [2], "t": [1], "o": 0, "b": 4, "g": false}]]',
        b'[{"T": 0}, [{"d": "float32", "s": [2], "t": [-1], "o": 1, "b": 8, "g": false}]]',
        b'[{"T": 0}, [{"d": "float32", "s": [1], "t": [1], "o": 4000000000, "b": 4, "g": false}]]',
        b'[{"T": 0}, [{"d": "float32", "s": [1e9], "t": [1], "o": 0, "b": 4, "g": false}]]',
        b'[{"T": 0}, [{"d": "object", "s": [1], "t": [1], "o": 0, "b": 8, "g": false}]]',
        b'[{"T": 0}, [{"d": "uint8", "s": [1], "t": [1], "o": 0, "b": 99999999999999, "g": false}]]',
        b'[{"f": "x"}, []]',
        b'[{"k": "os.system"}, []]',
        b'[{"a": 1, "b": 2}, []]',
        b'[{"l": 3}, []]',
        b'[{"L": [99999999999, {"E": 1}]}, []]',
        b'[{"L": [3, {"l": [{"E": 1}, {"P": [1, 2]}]}]}, []]',
        b'[{"L": [2, {"E": {"k": "float32"}}]}, []]',
        b'[{"L": [2, {"P": 1}]}, []]',
        b'[{"L": [1000000, {"m": {"x": {"E": 1}, "y": {"E": 1}}}]}, []]',
        b'[{"L": [2, {"R": 0}]}, [{"d": "float32", "s": [2], "n": 3, "b": 24, "g": false}]]',
        b'[{"L": [2, {"R": 0}]}, [{"d": "float32", "s": [2], "n": 2, "b": 8, "g": false}]]',
        b'[{"L": [2, {"R": 0}]}, [{"d": "float32", "s": [2], "t": [1], "o": 0, "b": 8, "g": false}]]',
        b'[{"T": 0}, [{"d": "float32", "s": [2], "n": 2, "b": 16, "g": false}]]',
        b"\xff\xfe[]",
    ],
)
def test_an_invalid_message_is_refused(header: bytes) -> None:
    """Its claims do not matter."""
    data = memoryview(wire._PREFIX.pack(bytes(16), len(header)) + header + bytes(64))
    place = [0]

    def read(buffer: memoryview) -> None:
        buffer[:] = data[place[0] : place[0] + len(buffer)]
        place[0] += len(buffer)

    with pytest.raises(wire.WireError):
        wire.receive(read)


def test_no_reader_waits_for_the_rest_of_a_message_with_another_mark() -> None:
    """Bytes before a reply shift it, and then the announced length may be any number."""
    data = wire._PREFIX.pack(b"another message!", 1000)

    def read(buffer: memoryview) -> None:
        assert len(buffer) == len(data), "it waits for the rest"
        buffer[:] = data

    with pytest.raises(wire.WireError):
        wire.receive(read, expected=bytes(wire.MARK))


# The tape


def test_a_tape_reaches_nowhere_beyond_its_own_numbers() -> None:
    """Views beyond their storage are refused, and so are operations that are not numeric."""
    assert is_inside(View(0, (2, 2), (2, 1), 0, torch.float32), [4])
    assert not is_inside(View(0, (2, 2), (2, 1), 1, torch.float32), [4])
    assert not is_inside(View(0, (2,), (2**39,), 0, torch.float32), [4])
    assert not is_inside(View(1, (1,), (1,), 0, torch.float32), [4])
    for name in ("aten::from_file", "profiler::_record_function_enter", "os::system", "aten::no_such_operation"):
        with pytest.raises((ValueError, AttributeError)):
            read_special(["operator", name, ""])
    assert read_special(["operator", "aten::exp", ""]) is torch.ops.aten.exp.default
    for value in (None, {}, {"length": [4], "started": [[0, torch.ones(3)]], "steps": []}, {"length": [4]}):
        with pytest.raises(UnfitTapeError):
            read_tape(value)
