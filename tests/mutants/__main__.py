"""``python -m mutants``: print how well the instrument sees."""

import sys

from mutants.matrix import main

if __name__ == "__main__":
    sys.exit(main())
