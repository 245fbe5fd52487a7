"""IDX files are read exactly, and each kind of damage has its message."""

import gzip
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.data import idx
from harness.error import UsageError


def images_of(count: int = 3) -> idx.Bytes:
    """Return images in which no two pixels in a row are equal."""
    return (np.arange(count * 4 * 5) % 251).astype(np.uint8).reshape(count, 4, 5)


def labels_of(count: int = 3) -> idx.Bytes:
    """Return labels that cycle through all classes."""
    return (np.arange(count) % 10).astype(np.uint8)


def message_of(error: pytest.ExceptionInfo[UsageError]) -> str:
    """Return the one-line message for the user."""
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["file", "file.gz"])
def test_images_and_labels_survive_writing_and_reading(tmp_path: Path, name: str) -> None:
    """Plain and compressed files are read back, and the array is writable."""
    idx.write(tmp_path / name, labels_of(12))
    np.testing.assert_array_equal(idx.read_labels(tmp_path / name), labels_of(12))
    idx.write(tmp_path / name, images_of())
    actual = idx.read_images(tmp_path / name)
    np.testing.assert_array_equal(actual, images_of())
    assert actual.dtype == np.uint8
    assert actual.flags.writeable


def test_a_file_without_elements_is_read(tmp_path: Path) -> None:
    """A count of 0 is a valid count."""
    idx.write(tmp_path / "none.gz", images_of(0))
    assert idx.read_images(tmp_path / "none.gz").shape == (0, 4, 5)


def test_a_written_file_has_the_documented_bytes(tmp_path: Path) -> None:
    """They are magic number, counts and elements, big-endian and row-major."""
    idx.write(tmp_path / "file", images_of(1))
    expected = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 5, *range(20)])
    assert (tmp_path / "file").read_bytes() == expected


def test_equal_arrays_give_equal_compressed_files(tmp_path: Path) -> None:
    """The file contains neither its name nor a time."""
    idx.write(tmp_path / "one.gz", images_of())
    idx.write(tmp_path / "two.gz", images_of())
    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()


def test_an_array_that_is_a_view_is_written_in_order(tmp_path: Path) -> None:
    """The order is that in the array, not in its memory."""
    view = images_of()[::-1].transpose(0, 2, 1)
    idx.write(tmp_path / "file", view)
    np.testing.assert_array_equal(idx.read_images(tmp_path / "file"), view)
    assert idx.checksum(view) == hashlib.sha256((tmp_path / "file").read_bytes()).hexdigest()


def test_a_compressed_file_is_recognised_by_its_content(tmp_path: Path) -> None:
    """A browser may have removed the suffix."""
    idx.write(tmp_path / "file.gz", images_of())
    (tmp_path / "file.gz").rename(tmp_path / "file")
    np.testing.assert_array_equal(idx.read_images(tmp_path / "file"), images_of())


def header(*numbers: int) -> bytes:
    """Return big-endian 32-bit numbers."""
    return struct.pack(f">{len(numbers)}I", *numbers)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize(
    ("content", "rule", "value"),
    [
        (header(0x801, 3) + bytes(3), "must start with the magic number 0x00000803", "0x00000801"),
        (b"<html><body>404", "must start with the magic number 0x00000803", "0x3c68746d"),
        (b"", "need a header of 16 bytes", "0 bytes"),
        (b"\0\0", "need a header of 16 bytes", "2 bytes"),
        (header(0x803, 3, 4), "need a header of 16 bytes", "12 bytes"),
        (header(0x803, 3, 4, 5) + bytes(59), "3 x 4 x 5 elements need 60 bytes", "59 bytes"),
        (header(0x803, 3, 4, 5), "3 x 4 x 5 elements need 60 bytes", "0 bytes"),
        (header(0x803, 3, 4, 5) + bytes(61), "3 x 4 x 5 elements need 60 bytes", "more bytes"),
        (header(0x803, 2**32 - 1, 28, 28), "at most 1073741824 elements are allowed", "4294967295 x 28 x 28 elements"),
    ],
    ids=["labels", "web page", "empty", "half a magic number", "half a header", "short", "no pixel", "long", "huge"],
)
def test_damaged_images_name_the_rule_the_value_and_the_file(
    tmp_path: Path, ending: str, content: bytes, rule: str, value: str
) -> None:
    """The message is the same for a compressed file."""
    file = tmp_path / f"images{ending}"
    file.write_bytes(gzip.compress(content) if ending else content)
    with pytest.raises(UsageError) as error:
        idx.read_images(file)
    message = message_of(error)
    assert rule in message
    assert f" in {file}: " in message
    assert f"got {value}; " in message
    assert "download or unpack it again" in message


def test_images_in_place_of_labels_are_refused(tmp_path: Path) -> None:
    """The two kinds of file cannot be confused."""
    idx.write(tmp_path / "labels", images_of())
    with pytest.raises(UsageError) as error:
        idx.read_labels(tmp_path / "labels")
    assert ": it must start with the magic number 0x00000801, got 0x00000803; " in message_of(error)
    assert f"not an IDX file of labels in {tmp_path / 'labels'}: " in message_of(error)


def test_a_label_beyond_the_classes_is_refused_with_its_index(tmp_path: Path) -> None:
    """The first wrong label is named."""
    idx.write(tmp_path / "labels", np.array([0, 9, 10, 255], dtype=np.uint8))
    with pytest.raises(UsageError) as error:
        idx.read_labels(tmp_path / "labels")
    assert ": labels must be from 0 to 9, got 10 at index 2; " in message_of(error)


def test_images_and_labels_of_different_count_are_refused(tmp_path: Path) -> None:
    """The message names both files, because either may be wrong."""
    idx.write(tmp_path / "images", images_of(3))
    idx.write(tmp_path / "labels", labels_of(4))
    with pytest.raises(UsageError) as error:
        idx.read_pair(tmp_path / "images", tmp_path / "labels")
    message = message_of(error)
    assert ": got 3 images and 4 labels; " in message
    assert str(tmp_path / "images") in message
    assert str(tmp_path / "labels") in message


def cut(content: bytes) -> bytes:
    """Cut off the end."""
    return content[:-12]


def flip_checksum(content: bytes) -> bytes:
    """Change the CRC."""
    return content[:-8] + bytes([content[-8] ^ 1]) + content[-7:]


def flip_data(content: bytes) -> bytes:
    """Change a byte in the middle of the deflated stream."""
    return content[:20] + bytes([content[20] ^ 0xFF]) + content[21:]


def append(content: bytes) -> bytes:
    """Append bytes that are not gzip data."""
    return content + b"tail"


@pytest.mark.parametrize("damage", [cut, flip_checksum, flip_data, append, lambda _: b"", lambda _: b"\0\0\x08\x03"])
def test_a_damaged_gzip_file_gives_one_plain_message(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """It is truncated, corrupt or not compressed; there is no traceback of the decompressor."""
    file = tmp_path / "images.gz"
    idx.write(file, images_of(50))
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(UsageError) as error:
        idx.read_images(file)
    message = message_of(error)
    assert f"damaged gzip file `{file}`: " in message
    assert "; download or unpack it again" in message


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The message has the error of the operating system, also for a folder in its place."""
    with pytest.raises(UsageError, match=r"cannot read `.*absent`: No such file or directory"):
        idx.read_images(tmp_path / "absent")
    with pytest.raises(UsageError, match=r"cannot read `.*`: Is a directory"):
        idx.read_labels(tmp_path)
