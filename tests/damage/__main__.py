"""Damage on request: ``python -m damage 20000 [SEED]``, from the folder of the tests."""

import resource
import sys
import tempfile
import time
from pathlib import Path

from damage.campaign import campaign

if __name__ == "__main__":
    mutations, seed = (int(word) for word in (*sys.argv[1:], "20000", "0")[:2])
    resource.setrlimit(resource.RLIMIT_DATA, (2**32, 2**32))
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        tally = campaign(mutations, seed, Path(scratch))
    sys.stdout.write(f"{tally}\n{time.monotonic() - began:.0f} s\n")
    sys.exit(bool(tally.bad))
