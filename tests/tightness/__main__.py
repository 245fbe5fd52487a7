"""``python -m tightness [CONTRACT or LAW ...]``: record how tight bounds are; where none is named, what is not yet."""

import sys

from tightness.recording import record

if __name__ == "__main__":
    record(sys.argv[1:])
