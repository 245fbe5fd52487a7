"""A Python that has imported torch: each start is a fork, which takes little of the time of the import."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SERVER = """
import atexit, gc, json, os, runpy, socket, sys, traceback
import flint, hypothesis, numpy, pydantic, rich, typer  # no package of an extra, and nothing of the harness
import torch, torch._dynamo

def received(line):
    head, streams, _, _ = socket.recv_fds(line, 8, 3)
    asked = json.loads(line.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    folder = [] if "PYTHONSAFEPATH" in os.environ or "-P" in asked["words"] else [""]
    sys.path[:0] = [*folder, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return [word for word in asked["words"] if word not in ("-E", "-P")]

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

listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
listener.settimeout(1.0)
gc.freeze()
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
    words = received(line)
    if forked := os.fork():
        line.sendall(str(os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1])).encode())
        os._exit(0)
    line.close()
    code = 0
    try:
        run(words)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)  # without the long way through the modules of torch
"""

CLIENT = """#!{python} -ISE
import json, os, socket, sys
asked = {{"words": sys.argv[1:], "folder": os.getcwd(), "environment": dict(os.environ)}}
text = json.dumps(asked).encode()
with socket.socket(socket.AF_UNIX) as line:
    line.connect({path!r})
    socket.send_fds(line, [len(text).to_bytes(8, "big")], [0, 1, 2])
    line.sendall(text)
    code = int(line.makefile().read())
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
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
