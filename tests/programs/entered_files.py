"""Count the files of ``harness/`` whose functions a command enters: the files that a newcomer has to know to follow it.

Run ``python -m programs.entered_files`` in the folder ``tests``; ``--files`` lists them, too. A function that only
the import of a module calls, such as a decorator, does not count. A process that is isolated from the harness is not
observed, so each command runs in one process as well. The gate has a budget that it does not need, so that a busy
machine does not cut it short.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

HOOK = """
import os, sys, threading

HARNESS = {harness!r} + os.sep
REPORT = os.open({report!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
OPTIMIZED = 1  # The flag of functions, which bodies of modules and classes do not have.
entered = set()

def at_import(frame):
    while frame.f_back is not None:
        if frame.f_code.co_name == "<module>" and "importlib" in frame.f_back.f_code.co_filename:
            return True
        frame = frame.f_back
    return False

def note(frame, event, _):
    code = frame.f_code
    name = code.co_filename
    if event != "call" or name in entered or not code.co_flags & OPTIMIZED:
        return
    if not name.startswith(HARNESS):
        entered.add(name)
    elif not at_import(frame):
        entered.add(name)
        os.write(REPORT, name.removeprefix(HARNESS).encode() + b"\\n")

sys.setprofile(note)
threading.setprofile(note)
"""
"""The module ``sitecustomize``, which every process of a command imports first; forked processes inherit it."""

FUNCTIONS = """
import torch

def softmax(x):
    return x.exp() / x.exp().sum(-1, keepdim=True)

def data():
    x = torch.arange(64.0).reshape(16, 4)
    return torch.utils.data.TensorDataset(x, torch.zeros(16))

def step():
    w = torch.ones(3, requires_grad=True)
    loss = ((torch.arange(6.0).reshape(2, 3) @ w - 1) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
    return loss
"""

COMMANDS = {
    "check": (60, "check functions.py:softmax --dtypes float32 --examples 4 --no-isolate"),
    "loader measurement": (30, "bench loaders --dataset functions.py:data --seconds 0.2 --batch-sizes 8 --workers 0"),
    "audit": (30, "audit functions.py:step --steps 1 --no-isolate"),
    "gate": (20, "gate functions.py:softmax --against HEAD --budget 600"),
}
"""The aim and the command line."""


def entered(command: str, folder: Path) -> set[str]:
    """Run a command, and return the files that it enters."""
    hook, report = folder / "hook", folder / "entered"
    hook.mkdir(exist_ok=True)
    text = HOOK.format(harness=str(ROOT / "harness"), report=str(report))
    (hook / "sitecustomize.py").write_text(text, encoding="utf-8")
    report.write_bytes(b"")
    path = os.pathsep.join([str(hook), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-m", "harness", *command.split()], cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.stderr:
        print(done.stderr)
    return set(report.read_text(encoding="utf-8").split())


def main() -> None:
    """Print the number of files for each command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", action="store_true", help="list the files")
    parser.add_argument("commands", nargs="*", help="names of commands; all by default")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "functions.py").write_text(FUNCTIONS, encoding="utf-8")
        for words in ("init -q", "add functions.py", "-c user.name=a -c user.email=a commit -q -m Begin"):
            subprocess.run(["git", *words.split()], cwd=folder, check=True)
        for title in options.commands or COMMANDS:
            aim, command = COMMANDS[title]
            files = sorted(entered(command, folder))
            print(f"{title}: {len(files)} files, aim {aim}")
            for file in files if options.files else ():
                print(f"  {file}")


if __name__ == "__main__":
    main()
