"""The sections of the page, a module a theme: what each shows, and in which order.

A new figure or table is a ``yield`` in its section; a new section stands in :data:`PAGE` too.
"""

from reports.reading import Reading
from reports.section import Section, SectionBuilder
from reports.sections import (
    attention,
    environment,
    gate,
    law,
    loader,
    operation,
    proof,
    run,
    step,
    survey,
    training,
    watch,
)

PAGE: tuple[SectionBuilder, ...] = (
    attention.attention,
    watch.watch,
    run.changes,
    gate.gate,
    law.declared,
    law.laws,
    proof.proofs,
    survey.survey,
    step.steps,
    loader.loaders,
    loader.balance,
    operation.operations,
    operation.vectorization,
    operation.screening,
    training.training,
    training.estimates,
    training.overfitting,
    training.images,
    run.runs,
    environment.environment,
    environment.data,
    law.skipped,
)
"""In the order in which a reader asks: what broke, what was to break, and then the rest."""


def sections(reading: Reading) -> tuple[Section, ...]:
    """Return the sections of a report that the run has something for."""
    return tuple(filter(None, (section(reading) for section in PAGE)))
