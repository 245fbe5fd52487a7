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

from harness.isolation import fork_server
from harness.isolation.fork_server import SERVER, ForkServer
from harness.isolation.forked_process import Forked

AS_TOLD = "import json, os; print(json.dumps([os.getppid(), os.getcwd(), os.environ.get('HARNESS_SEEN')]), flush=True)"

ALONE = """
import sys, threading, time
from pathlib import Path
sys.path.insert(0, PACKAGE)
from harness.isolation import fork_server
slowly = fork_server._source().replace("import torch\\n", "import time; time.sleep(60)\\n", 1)
fork_server._source = lambda: slowly
server = fork_server.ForkServer()
threading.Thread(target=lambda: (time.sleep(0.5), print(server.pid, flush=True)), daemon=True).start()
server.forked("", open("printed", "wb"), folder=None, in_pairs=False)
"""

FIRST = """
import json, os, sys
sys.path.insert(0, PACKAGE)
from harness.isolation.forked_process import Second
printed = os.open('printed', os.O_RDWR | os.O_CREAT)
second = Second(*SECOND)
second.begin(WAITING, os.open(os.devnull, os.O_RDONLY), printed, {'TMPDIR': 'its own'})
print(json.dumps(second.wait()), flush=True)
"""

WAITING = """
import json, os, sys, traceback
facts = {
    'modules': [name for name in sys.modules if 'harness' in name],
    'torch': 'torch' in sys.modules,
    'folder': [os.getcwd(), os.environ['TMPDIR']],
    'signs': [name for name in os.environ if name.startswith(('HARNESS', 'PYTEST'))],
    'initial signs': 'HARNESS' in open('/proc/self/environ').read(),
    'globals': sorted(name for name in globals() if not name.startswith('__')),
    'streams': [os.readlink(f'/proc/self/fd/{number}') for number in (0, 1, 2)],
    'open': sorted(map(int, os.listdir('/proc/self/fd'))),
    'frames': [frame.f_code.co_name for frame, _ in traceback.walk_stack(sys._getframe())],
    'leads': os.getsid(0) == os.getpid(),
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


def forked(server: ForkServer, text: str, folder: Path, *, in_pairs: bool = False) -> Forked:
    """Fork; the fork must succeed here."""
    with tempfile.TemporaryFile() as printed:
        process = server.forked(text, printed, folder=str(folder), in_pairs=in_pairs)
    assert process is not None
    return process


def ended(process: Forked) -> tuple[bytes, int]:
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


def test_the_second_process_has_torch_and_no_state_of_the_first(
    own: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no variable of the first, no module of the harness, and only its streams."""
    monkeypatch.setenv("HARNESS_SEEN", "1")
    text = FIRST.replace("PACKAGE", repr(str(Path(fork_server.__file__).parents[2])))
    said, code = ended(forked(own, text.replace("WAITING", repr(WAITING)), tmp_path, in_pairs=True))
    assert (json.loads(said), code) == (3, 0)
    printed = str(tmp_path / "printed")
    assert json.loads(Path(printed).read_text(encoding="utf-8")) == {
        "modules": [],
        "torch": True,
        "folder": [str(tmp_path), "its own"],
        "signs": [],
        "initial signs": False,
        # Globals of the interpreter's start, and of this text.
        "globals": ["gc", "json", "l", "n", "os", "s", "sys", "traceback"],
        "streams": [os.devnull, printed, printed],
        # The last descriptor is open on the listed folder.
        "open": [0, 1, 2, 3],
        "frames": ["<module>"] * 3,
        "leads": True,
    }


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    """Return a server without torch, whose import takes two seconds."""
    absent = "from types import SimpleNamespace\n\n    torch = SimpleNamespace(set_num_threads=lambda _: None)\n"
    source = fork_server._source()
    assert source.count("import torch\n") == 1
    source = source.replace("import torch\n", absent)
    monkeypatch.setattr(fork_server, "_source", lambda: source)
    server = ForkServer()
    yield server
    server.close()


def test_a_server_that_ended_or_has_other_variables_is_replaced(
    light: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes of the previous server stay alive. If their exit code is lost, they count as killed."""
    own = light
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


def test_nothing_is_forked_if_foreign_children_cannot_be_awaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers are then started instead."""
    monkeypatch.delattr(os, "pidfd_open")
    with tempfile.TemporaryFile() as printed:
        assert SERVER.forked("pass", printed, folder=str(tmp_path), in_pairs=False) is None


def test_a_starting_server_ends_with_an_interrupted_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it would import torch in vain."""
    monkeypatch.setattr(fork_server, "_source", lambda: "import time\ndef serve(*_): time.sleep(60)")
    server = ForkServer()

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
    package = repr(str(Path(fork_server.__file__).parents[2]))
    text = ALONE.replace("PACKAGE", package)
    command = subprocess.Popen([sys.executable, "-c", text], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
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
