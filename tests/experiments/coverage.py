"""``python -m experiments.coverage`` in ``tests/``: how often the intervals contain the truth, before and now."""

import sys

from samples.rounds import NOISES, NUMBERS, bootstrapped, coverage, of_means, of_medians, of_students_t

TRIALS = 4000
WAYS = {
    "median, bootstrap (before)": bootstrapped,
    "median of ratios (now)": of_medians,
    "mean, t of all rounds (before)": of_students_t,
    "geometric mean (now)": of_means,
}


def main() -> int:
    """Print a table of the coverage for each noise, method and number of rounds."""
    sys.stdout.write("".join([f"{'rounds':>50}", *(f"{number:>7}" for number in NUMBERS), "\n"]))
    for noise in NOISES:
        for name, interval in WAYS.items():
            shares = (coverage(interval, noise, number, trials=TRIALS) for number in NUMBERS)
            row = [f"{noise + ': ' + name:<60}", *(f"{share:7.1%}" for share in shares), "\n"]
            sys.stdout.write("".join(row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
