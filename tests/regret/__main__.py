"""``python -m regret [NAMES]`` in ``tests/``: how near the tuner gets to the best loader, and how fast."""

import sys

from regret.judging import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
