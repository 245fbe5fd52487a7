"""``python -m tightness [CONTRACT or LAW ...]``: record how tight the bounds are; by default, the missing ones."""

import sys

from tightness.recording import record

if __name__ == "__main__":
    record(sys.argv[1:])
