"""The images that loaders load in the gate: the first of the test set, so that an epoch is short."""

from pathlib import Path

IMAGES = 512
"""Images of an epoch."""


def provide(data: str | None, folder: Path) -> Path:
    """Lay the images out and return where they are.

    Parameters
    ----------
    data
        Where they come from, as :func:`harness.data.dataset.prepare` takes it.
    folder
        Where they are written.
    """
    from harness.data.images import image_data

    return image_data(data, IMAGES, folder).root.resolve()
