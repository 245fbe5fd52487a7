"""The four files of Fashion-MNIST: their names, their place in torchvision's layout, and the rules for a pair of files.

It imports no torch.
"""

from pathlib import Path

from harness.data import idx
from harness.error import UsageError

LAYOUT = Path("FashionMNIST", "raw")
"""Subfolder in which torchvision keeps the files."""

PAIRS = {
    True: ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    False: ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
"""The names of the two files of the training set (``True``) and of the test set."""

NAMES = PAIRS[True] + PAIRS[False]

Checksums = dict[str, str]
"""SHA-256 of the uncompressed files, by name."""
Arrays = dict[str, idx.Bytes]
"""Contents of the files, by name."""


def read_split(images_file: Path, labels_file: Path) -> tuple[idx.Bytes, idx.Bytes]:
    """Read the images and labels of one split and check the properties of Fashion-MNIST.

    Parameters
    ----------
    images_file, labels_file
        The two files, each plain or compressed with gzip.

    Returns
    -------
    images, labels
        uint8, ``[n, 28, 28]`` and ``[n]``.

    Raises
    ------
    UsageError
        If a file is damaged, there is no image, or the images have another size.
    """
    images, labels = idx.read_pair(images_file, labels_file)
    count, height, width = images.shape
    if not count or (height, width) != (idx.SIDE, idx.SIDE):
        raise UsageError(
            "not Fashion-MNIST",
            rule=f"expected at least one image of {idx.SIDE} x {idx.SIDE} pixels",
            value=f"{count} images of {height} x {width} pixels",
            place=str(images_file),
            remedy="name the folder of Fashion-MNIST",
        )
    return images, labels
