"""All specimens, by their source: the modules of this folder note them."""

from importlib import import_module
from pathlib import Path

from corpus.specimen import SPECIMENS, Specimen

for _path in sorted(Path(__file__).parent.glob("*.py")):
    import_module(f"corpus.{_path.stem}")


def of(source: str) -> list[Specimen]:
    """Return the specimens of a source."""
    return [specimen for specimen in SPECIMENS if specimen.source == source]


MUTANTS = [specimen for specimen in SPECIMENS if specimen.source == "mutant" or specimen.generic]
"""The specimens of the kill matrix."""
