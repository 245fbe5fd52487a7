"""The stand-in for Fashion-MNIST where the data set is absent: synthetic images of the same format.

Each class is one smooth random pattern. An image is its class's pattern, shifted by a few pixels, blended with
another class's pattern and with a texture, dimmed, and overlaid with noise: a linear model learns it to about the
accuracy it reaches on Fashion-MNIST, and the patterns do not look like clothes.

Every step is integer arithmetic on the raw output of the PCG64 bit generator, whose stream numpy guarantees, so the
bytes are the same on every machine and with every version. It imports no torch.
"""

import numpy as np
from numpy.typing import NDArray

from harness.data.idx import CLASS_COUNT, SIDE, Bytes

TRAIN_COUNT = 12_000
TEST_COUNT = 2_000

STAND_IN_SEED = 20170831
"""Seed of the stand-in; the checksums :data:`harness.data.fashion_mnist.STAND_IN` depend on it."""
REACH = 4
"""Largest shift of a pattern in pixels, in each direction."""
PATTERN_CELLS = 7
"""Cells a side of the coarse grid that a class's pattern interpolates."""
CONTRAST = 3
"""Contrast of the patterns around mid-gray, so that the classes are visible, too."""
TEXTURE_CELLS = 8
TEXTURES = 64
MAX_OTHER = 136
"""Largest share of another class's pattern, in 256ths."""
TEXTURE_SHARE = 80
"""Share of the texture, in 256ths."""
LEAST_GAIN = 112
"""Gain of the darkest image, in 256ths."""
NOISE = 32
"""Largest noise in grey levels."""
CHUNK = 1000
"""Images made at a time: bounds the memory."""

Ints = NDArray[np.int32]


def images_and_labels(count: int, *, seed: int = STAND_IN_SEED) -> tuple[Bytes, Bytes]:
    """Make the stand-in's images.

    Parameters
    ----------
    count
        How many images.
    seed
        Seed of everything drawn: the patterns of the classes too.

    Returns
    -------
    images, labels
        uint8, ``[count, 28, 28]`` and ``[count]``; the classes occur equally often, to within one.
    """
    draw = _Draw(seed)
    fields = draw.smooth_fields(CLASS_COUNT, PATTERN_CELLS)
    patterns = _shift_fields(np.clip((fields - 128) * CONTRAST + 128, 0, 255))
    textures = _shift_fields(draw.smooth_fields(TEXTURES, TEXTURE_CELLS))
    labels = np.argsort(draw.words(count), kind="stable") % CLASS_COUNT
    images = np.empty((count, SIDE, SIDE), dtype=np.uint8)
    for start in range(0, count, CHUNK):
        rows = slice(start, min(start + CHUNK, count))
        images[rows] = _deform(draw, patterns, textures, labels[rows])
    return images, labels.astype(np.uint8)


class _Draw:
    """Draws of integers that depend on nothing but the seed."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def words(self, count: int) -> NDArray[np.uint64]:
        """Return ``count`` words of 64 random bits."""
        return np.asarray(self._bits.random_raw(count), dtype=np.uint64)

    def draw_below(self, bound: int, count: int) -> Ints:
        """Return ``count`` integers from 0 to ``bound - 1``."""
        return ((self.words(count) >> np.uint64(32)) % np.uint64(bound)).astype(np.int32)

    def grey_levels(self, shape: tuple[int, ...]) -> Ints:
        """Return integers from 0 to 255."""
        size = int(np.prod(shape))
        return self.words(-(-size // 8)).astype("<u8").view(np.uint8)[:size].astype(np.int32).reshape(shape)

    def smooth_fields(self, count: int, cells: int) -> Ints:
        """Return ``count`` fields of grey levels that interpolate a coarse grid bilinearly, wider by the reach."""
        side = SIDE + 2 * REACH
        width = -(-side // cells)
        grid = self.grey_levels((count, cells + 1, cells + 1))
        cell, part = np.divmod(np.arange(side, dtype=np.int32), width)
        rows = grid[:, cell] * (width - part)[:, None] + grid[:, cell + 1] * part[:, None]
        fields: Ints = (rows[:, :, cell] * (width - part) + rows[:, :, cell + 1] * part) // width**2
        return fields


def _shift_fields(fields: Ints) -> Ints:
    """Return every shift of every field: ``[field, shift, height, width]``."""
    offsets = range(2 * REACH + 1)
    return np.stack([fields[:, y : y + SIDE, x : x + SIDE] for y in offsets for x in offsets], axis=1)


def _deform(draw: _Draw, patterns: Ints, textures: Ints, labels: NDArray[np.int64]) -> Bytes:
    """Make one image for each label."""
    count, shifts = len(labels), patterns.shape[1]
    base = patterns[labels, draw.draw_below(shifts, count)]
    overlay = patterns[draw.draw_below(CLASS_COUNT, count), draw.draw_below(shifts, count)]
    texture = textures[draw.draw_below(TEXTURES, count), draw.draw_below(shifts, count)]
    share = draw.draw_below(MAX_OTHER + 1, count)[:, None, None]
    gain = LEAST_GAIN + draw.draw_below(256 - LEAST_GAIN, count)[:, None, None]
    mixed = (base * (256 - share) + overlay * share) >> 8
    mixed = (mixed * (256 - TEXTURE_SHARE) + texture * TEXTURE_SHARE) >> 8
    noise = (NOISE * (draw.grey_levels(base.shape) - 128)) >> 7
    return np.clip((mixed * gain >> 8) + noise, 0, 255).astype(np.uint8)
