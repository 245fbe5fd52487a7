"""``python -m damage 20000 [SEED]`` in tests/: damage input files, and count the reactions.

``python -m damage kills 100 [SEED] [COMMAND ...]`` kills real commands.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from damage.campaign import campaign
from damage.commands import COMMANDS, kill


def _damaged(words: Sequence[str]) -> int:
    mutations, seed = (int(word) for word in (*words, *("20000", "0")[len(words) :]))
    resource.setrlimit(resource.RLIMIT_DATA, (2**32, 2**32))
    with tempfile.TemporaryDirectory() as scratch:
        tally = campaign(mutations, seed, Path(scratch))
    sys.stdout.write(f"{tally}\n")
    return bool(tally.bad)


def _killed(words: Sequence[str]) -> int:
    times, seed = (int(word) for word in (*words[:2], *("100", "0")[len(words[:2]) :]))
    with tempfile.TemporaryDirectory() as scratch:
        killed = kill(times, seed, Path(scratch), words[2:] or tuple(COMMANDS))
    sys.stdout.write(f"{killed}\n")
    return bool(killed.wrong)


if __name__ == "__main__":
    began = time.monotonic()
    code = _killed(sys.argv[2:]) if sys.argv[1:2] == ["kills"] else _damaged(sys.argv[1:3])
    sys.stdout.write(f"{time.monotonic() - began:.0f} s\n")
    sys.exit(code)
