"""Wrong loaders, at least one per law, most with a source."""

from corpus.specimen import SPECIMENS, Specimen
from delivery.known import ENDS, ORDER, OWN, SAMPLES

# Each law needs seconds, because loaders deliver whole epochs. `python -m delivery` shows which other laws break.
SPECIMENS += [
    Specimen(known.function, "data_loader", known.law, declares=known.declares, generic=True)
    for known in (*SAMPLES, *ORDER, *ENDS, *OWN)
]
