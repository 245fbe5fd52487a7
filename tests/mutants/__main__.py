"""``python -m mutants``: print kill matrix, kill rate and false-alarm rate."""

import sys

from mutants.matrix import main

if __name__ == "__main__":
    sys.exit(main())
