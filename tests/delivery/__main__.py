"""``python -m delivery [NAMES]`` in ``tests/``: all wrong and sound loaders against all laws, with times."""

import sys

from delivery.judging import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
