"""Wrong loaders, at least one per law; each loader in :mod:`delivery.known` has a source."""

from corpus.specimen import SPECIMENS, Specimen
from delivery import own_loaders
from delivery.known import ENDS, ORDER, SAMPLES

# Each law needs seconds, because loaders deliver whole epochs. `python -m delivery` shows which other laws break.
SPECIMENS += [
    Specimen(known.function, "data_loader", known.law, declares=known.declares, generic=True)
    for known in (*SAMPLES, *ORDER, *ENDS)
]
SPECIMENS += [
    Specimen(function, "data_loader", law, generic=True)
    for function, law in (
        (own_loaders.length_rounds_down, "lengths_are_as_declared"),
        (own_loaders.ranks_in_blocks, "ranks_share_an_epoch"),
        (own_loaders.labels_of_the_first_epoch, "samples_stay_together"),
        (own_loaders.generator_made_by_the_first_sample, "random_numbers_differ"),
        (own_loaders.rest_is_dropped, "samples_do_not_depend_on_the_batch_size"),
        (own_loaders.rest_is_filled, "samples_do_not_depend_on_the_batch_size"),
        (own_loaders.seeded_by_the_batch, "samples_do_not_depend_on_the_batch_size"),
    )
]
