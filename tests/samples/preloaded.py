"""A Python that has imported torch: each start is a fork, which takes little of the time of the import."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SERVER = """
import atexit, gc, json, os, runpy, select, signal, socket, sys, traceback
import flint, hypothesis, matplotlib.pyplot, numpy, pandas, pydantic, rich, typer
import torch, torch._dynamo, torch.fx.experimental.symbolic_shapes
import harness.cli, harness.contracts, harness.isolation.standby, harness.verdict.judge  # no module that needs an extra

def received(line):
    head, streams, _, _ = socket.recv_fds(line, 8, 3)
    asked = json.loads(line.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
    for number, stream in zip(asked["streams"], streams, strict=True):
        os.dup2(stream, number)
        os.close(stream)
    for number in {0, 1, 2}.difference(asked["streams"]):
        os.close(number)
        setattr(sys, ("stdin", "stdout", "stderr")[number], None)
    if asked["leads"]:
        os.setsid()
    for number in asked["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.executable = asked["python"]
    folder = [] if "PYTHONSAFEPATH" in os.environ or "-P" in asked["words"] else [""]
    sys.path[:0] = [*folder, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return [word for word in asked["words"] if word not in ("-E", "-P", "-u")]

def run(words):
    if words[0] in ("-c", "-m"):
        option, program, *rest = words
        sys.argv = [option, *rest]
        if option == "-m":
            runpy.run_module(program, run_name="__main__", alter_sys=True)
        else:
            exec(program, {"__name__": "__main__"})
    else:
        sys.argv = words
        runpy.run_path(words[0], run_name="__main__")

def wait(forked, line):
    "Report the number and the exit code; whoever kills the client means this process."
    line.sendall(f"{forked}\\n".encode())
    ended, watched = os.pidfd_open(forked), select.poll()
    watched.register(ended, select.POLLIN)
    watched.register(line, 0)  # for its end only
    if ended not in dict(watched.poll()):
        leads = os.getpgid(forked) == forked
        os.kill(-forked if leads else forked, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1])
    line.sendall(f"{code}\\n".encode())

listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
listener.settimeout(1.0)
torch.set_num_threads(1)
gc.collect()
gc.freeze()
atexit.register(gc.unfreeze)
print("ready", flush=True)
parent = os.getppid()
while os.getppid() == parent:
    try:
        line, _ = listener.accept()
    except TimeoutError:
        continue
    if os.fork():
        line.close()
        os.waitpid(-1, os.WNOHANG)  # an earlier one
        continue
    listener.close()
    line.setblocking(True)
    if forked := os.fork():
        try:
            wait(forked, line)
        finally:
            os._exit(0)
    words = received(line)
    line.close()
    code = 0
    try:
        run(words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    if sys.stdout is not None:
        sys.stdout.flush()
    os._exit(code)  # without the long way through the modules of torch
"""

CLIENT = """#!{python} -ISE
import json, os, signal, socket, sys
streams = []
for number in range(3):
    try:
        os.fstat(number)
        streams.append(number)
    except OSError:
        pass
forwarded = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
signal.pthread_sigmask(signal.SIG_BLOCK, forwarded)
ignored = [number for number in forwarded if signal.getsignal(number) == signal.SIG_IGN]
asked = {{
    "words": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ), "streams": streams,
    "leads": os.getsid(0) == os.getpid(), "ignored": ignored, "python": sys.argv[0],
}}
text = json.dumps(asked).encode()
with socket.socket(socket.AF_UNIX) as line:
    line.connect({path!r})
    socket.send_fds(line, [len(text).to_bytes(8, "big")], streams)
    line.sendall(text)
    for number in streams:
        os.close(number)  # whoever reads them waits for the end of the other process only
    answers = line.makefile()
    forked = int(answers.readline())
    for number in forwarded:  # also one that is ignored here, because the command may listen to it
        signal.signal(number, lambda number, _: os.kill(forked, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, forwarded)
    code = int(answers.readline())
if code < 0:
    signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
    os.kill(os.getpid(), -code)
os._exit(code)
"""


@contextmanager
def preloaded() -> Iterator[str]:
    """Start the server, and return the path of an interpreter that asks it for a fork."""
    if sys.platform != "linux":
        yield sys.executable
        return
    with tempfile.TemporaryDirectory() as folder:
        python, path = Path(folder, "python"), str(Path(folder, "socket"))
        python.write_text(CLIENT.format(python=sys.executable, path=path), encoding="utf-8")
        python.chmod(0o755)
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        command = [sys.executable, "-c", SERVER, path]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **one_thread}) as server:
            assert server.stdout is not None
            assert server.stdout.readline() == "ready\n"
            yield str(python)
            server.kill()
