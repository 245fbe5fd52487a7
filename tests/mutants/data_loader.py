"""Wrong loaders, one or more for each law: those of :mod:`delivery.known`, where each has its source."""

from delivery.known import ENDS, ORDER, SAMPLES
from mutants.mutant import Mutant

MUTANTS = [
    # A loader is asked for whole epochs, of which each law takes seconds: what else breaks is for `python -m delivery`.
    Mutant(known.function, "data_loader", known.law, declares=dict(known.declares), generic=True)
    for known in (*SAMPLES, *ORDER, *ENDS)
]
