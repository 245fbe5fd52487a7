"""``python -m digests``: record the digests of drawn inputs; ``--check FILE`` prints differences from a record.

``--examples N`` draws N examples per law instead of two. To compare two processors, write a file on the first and check
it on the second. Environment variables such as ``ATEN_CPU_CAPABILITY`` choose the instructions of a processor.
"""

import argparse
import sys
from pathlib import Path

from digests.record import FILE, differing, digests, write

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m digests", description=__doc__)
    parser.add_argument("--examples", type=int, default=2, help="Examples of each law (default: 2).")
    parser.add_argument("--write", type=Path, default=FILE, help="File to write (default: the committed record).")
    parser.add_argument("--check", type=Path, help="File to compare with, instead of writing one.")
    arguments = parser.parse_args()
    now = digests(arguments.examples)
    if arguments.check is None:
        write(now, arguments.write)
    else:
        found = differing(now, arguments.check)
        sys.stdout.writelines(f"{line}\n" for line in found)
        sys.stdout.write(f"{len(found)} of {len(now)} digests differ\n")
        sys.exit(bool(found))
