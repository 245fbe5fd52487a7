"""``python -m prose``: check the prose; ``... record`` lowers the ceilings; ``... list FILE ...`` shows phrases."""

import sys
from pathlib import Path

from prose.check import CEILINGS, ROOT, complaints, hits, record
from prose.text import of_project

USAGE = "usage: python -m prose [record | list FILE ...]"


def main(arguments: list[str]) -> int:
    """Run the command, and return its exit code."""
    match arguments:
        case []:
            lines = complaints()
        case ["record"]:
            lines = record(of_project(ROOT))
            if not lines:
                print(f"recorded: {CEILINGS.relative_to(ROOT)}")
        case ["list", *names]:
            files = {str(Path(name).resolve().relative_to(ROOT)) for name in names}
            for hit in (hit for sentence in of_project(ROOT) if sentence.file in files for hit in hits(sentence)):
                print(hit)
            return 0
        case _:
            lines = [USAGE]
    for line in lines:
        print(line)
    return bool(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
