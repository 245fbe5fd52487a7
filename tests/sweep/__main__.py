"""``python -m sweep [MODULE or TARGET ...]``: check every function, and write the table in ``docs``."""

import argparse
import sys
from pathlib import Path

from sweep.functions import MODULES, targets
from sweep.page import PAGE, page
from sweep.result import checked, read, write

RESULTS = Path(".harness/sweep.jsonl")


def main() -> None:
    """Check the functions without a result one by one, and write the page."""
    parser = argparse.ArgumentParser(prog="sweep")
    parser.add_argument("names", nargs="*", help="modules or targets; default: all modules")
    parser.add_argument("--seconds", type=float, default=0.5, help="time limit for each law (default: 0.5)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file with one line for each function")
    parser.add_argument("--again", action="store_true", help="check functions that are in the results already")
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.name}")
    options = parser.parse_args()
    wanted = [one for name in options.names or MODULES for one in ([name] if ":" in name else targets(name))]
    known = read(options.results)
    for target in wanted:
        if options.again or target not in known:
            known[target] = found = checked(target, options.seconds)
            write(options.results, known)
            sys.stdout.write(f"{target}: {found.verdict} ({found.duration_s:.1f} s)\n")
            sys.stdout.flush()
    if options.page:
        PAGE.write_text(page(known, options.seconds), encoding="utf-8")
    doubtful = [one.target for one in known.values() for proof in one.proofs if proof["confirms"] is False]
    if doubtful:
        sys.exit(f"mpmath does not confirm a defect of {', '.join(doubtful)}")


if __name__ == "__main__":
    main()
