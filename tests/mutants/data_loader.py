"""Wrong loaders, one or more for each law: those of :mod:`delivery.known`, where each has its source."""

from delivery.known import ENDS, ORDER, SAMPLES
from mutants.mutant import Mutant

MUTANTS = [
    Mutant(known.function, "data_loader", known.law, declares=dict(known.declares))
    for known in (*SAMPLES, *ORDER, *ENDS)
]
