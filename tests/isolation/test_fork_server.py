"""The fork server imports torch once, and its workers share no state."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.isolation.fork_server import SERVER, ForkServer
from harness.isolation.forked_process import ForkedProcess

AS_TOLD = "import json, os; print(json.dumps([os.getppid(), os.getcwd(), os.environ.get('HARNESS_SEEN')]), flush=True)"

SLOW = "import time; time.sleep(60)"
"""A module that a server imports before its first fork."""

ALONE = """
import threading, time
from harness.isolation.fork_server import ForkServer
server = ForkServer("slow")
threading.Thread(target=lambda: (time.sleep(0.5), print(server.pid, flush=True)), daemon=True).start()
server.fork("", open("printed", "wb"))
"""

STANDBY = """
import json, os, socket, sys
from harness.isolation import standby
standby.load_and_serve = lambda line: exec(open("waiting.py").read(), {"line": line})
os.environ["OF_THE_JUDGE"] = "1"
process = standby.StandbyProcess()
import harness.laws
printed = os.open("printed", os.O_RDWR | os.O_CREAT)
ends = socket.socketpair()
process.begin(ends[0].fileno(), printed, {"TMPDIR": "its own"})
print(json.dumps(process.wait()), flush=True)
"""

WAITING = """
import json, os, sys
facts = {
    "laws": "harness.laws" in sys.modules,
    "torch": "torch" in sys.modules,
    "folder": [os.getcwd(), os.environ["TMPDIR"]],
    "of the judge": "OF_THE_JUDGE" in os.environ,
    "streams": [os.readlink(f"/proc/self/fd/{number}") for number in (0, 1, 2)],
    "other files": len(os.listdir("/proc/self/fd")) - 3,
    "leads": os.getsid(0) == os.getpid(),
}
print(json.dumps(facts), flush=True)
os._exit(3)
"""


@pytest.fixture(scope="module")
def own() -> Iterator[ForkServer]:
    """Return a server that no other test uses."""
    server = ForkServer()
    yield server
    server.close()


def forked(server: ForkServer, text: str, folder: Path) -> ForkedProcess:
    """Fork; the fork must succeed here."""
    with tempfile.TemporaryFile() as printed:
        process = server.fork(text, printed, folder=str(folder))
    assert process is not None
    return process


def ended(process: ForkedProcess) -> tuple[bytes, int]:
    """Return the output and the exit code of a process."""
    with process.stdin, process.stdout:
        said, code = process.stdout.read(), process.wait()
    process.close()
    return said, code


def test_all_are_forked_from_one_process_with_separate_settings(
    own: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folder and environment are those at the time of the fork. A variable of the harness starts no other server."""
    for value in ("1", "2"):
        folder = tmp_path / value
        folder.mkdir()
        monkeypatch.setenv("HARNESS_SEEN", value)
        said, code = ended(forked(own, AS_TOLD, folder))
        assert (json.loads(said), code) == ([own.pid, str(folder), value], 0)


@pytest.mark.parametrize(("text", "code"), [("import os; os._exit(7)", 7), ("import os; os.abort()", -signal.SIGABRT)])
def test_the_end_of_a_process_is_known(own: ForkServer, tmp_path: Path, text: str, code: int) -> None:
    """The result is an exit code or a signal. The process number is not reused before it is closed."""
    process = forked(own, text, tmp_path)
    assert process.wait() == process.poll() == code
    os.kill(process.pid, 0)
    ended(process)
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_an_endless_process_is_awaited_until_the_timeout_and_killed(own: ForkServer, tmp_path: Path) -> None:
    """It behaves like a process of `subprocess`."""
    process = forked(own, "import time; time.sleep(60)", tmp_path)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    assert process.poll() is None
    process.kill()
    assert ended(process) == (b"", -signal.SIGKILL)


def test_a_standby_process_has_torch_and_no_state_of_the_judge(tmp_path: Path) -> None:
    """It has no variable and no law of the judge, and none of its open files but its line."""
    (tmp_path / "waiting.py").write_text(WAITING, encoding="utf-8")
    output, code = ended(forked(SERVER, STANDBY, tmp_path))
    assert (json.loads(output), code) == (3, 0)
    printed = str(tmp_path / "printed")
    assert json.loads(Path(printed).read_text(encoding="utf-8")) == {
        "laws": False,
        "torch": True,
        "folder": [str(tmp_path), "its own"],
        "of the judge": False,
        "streams": [os.devnull, printed, printed],
        # Its line, and the descriptor that is open on the listed folder.
        "other files": 2,
        "leads": True,
    }


def test_a_server_that_ended_or_has_other_variables_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes of the previous server stay alive. If their exit code is lost, they count as killed."""
    own = ForkServer()
    ended(forked(own, AS_TOLD, tmp_path))
    first, process = own.pid, forked(own, "import time; time.sleep(60)", tmp_path)
    monkeypatch.setenv("OF_SOMEBODY", "1")
    other, *_ = json.loads(ended(forked(own, AS_TOLD, tmp_path))[0])
    assert first is not None
    assert other == own.pid != first
    assert process.poll() is None
    os.kill(first, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    ended(process)
    os.kill(other, signal.SIGKILL)
    assert json.loads(ended(forked(own, AS_TOLD, tmp_path))[0])[0] == own.pid not in {first, other}
    own.close()


def test_nothing_is_forked_if_foreign_children_cannot_be_awaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers are then started instead."""
    monkeypatch.delattr(os, "pidfd_open")
    with tempfile.TemporaryFile() as printed:
        assert SERVER.fork("pass", printed, folder=str(tmp_path)) is None


def test_a_starting_server_ends_with_an_interrupted_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it would import torch in vain."""
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    server = ForkServer("slow")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            forked(server, AS_TOLD, tmp_path)
        pid = server.pid
        assert pid is not None
        server.close()
        assert not Path(f"/proc/{pid}").exists()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_a_starting_server_ends_with_a_killed_command(tmp_path: Path) -> None:
    """The killed command cannot end it."""
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = subprocess.Popen(
        [sys.executable, "-P", "-c", ALONE], cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment
    )
    assert command.stdout is not None
    with command, command.stdout:
        pid = int(command.stdout.readline())
        command.kill()
    until = time.monotonic() + 5.0
    while Path(f"/proc/{pid}").exists() and _state(pid) != "Z" and time.monotonic() < until:
        time.sleep(0.01)
    assert not Path(f"/proc/{pid}").exists() or _state(pid) == "Z"


def _state(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    return "Z"
