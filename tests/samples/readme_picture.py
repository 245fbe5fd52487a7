"""The picture of the README: the first screen of the report on a textbook softmax.

After a change of its words, draw it again with ``python -m samples.readme_picture`` in the folder ``tests``. The file
contains the words that it shows, so that a test notices if the page says something else.
"""

import html
import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from website.example import reported_example

PICTURE = Path(__file__).parents[2] / "docs" / "report.png"
WORDS = "Description"
"""Name of the text in the file, a standard one of PNG."""

WIDTH, HEIGHT, COLORS = 1280, 1560, 128
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}"]

_LEFT_OUT = re.compile(r"<(details|script|style|svg|title)\b.*?</\1>", re.DOTALL)
"""Parts of the first screen that depend on the machine, and drawings."""


def page(work: Path, python: str = sys.executable) -> Path:
    """Return the report of the example of the site, made in a folder."""
    return reported_example(work, python).path / "report" / "report.html"


def words(page: Path) -> str:
    """Return the words of the first layer of a report."""
    text = page.read_text(encoding="utf-8")
    front = text[text.index('<div class="front">') : text.index('<div class="sheets"')]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", _LEFT_OUT.sub(" ", front))).split())


def shown() -> str:
    """Return the words that the picture shows."""
    with Image.open(PICTURE) as picture:
        return str(picture.text[WORDS])  # type: ignore[attr-defined]


def draw(page: Path) -> None:
    """Write the picture of a report with its words."""
    browser = shutil.which("chromium") or "chromium"
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary, "page.png")
        subprocess.run([browser, *FLAGS, f"--screenshot={file}", page.as_uri()], check=True, capture_output=True)
        with Image.open(io.BytesIO(file.read_bytes())) as picture:
            facts = PngInfo()
            facts.add_itxt(WORDS, words(page))
            picture.convert("RGB").quantize(COLORS).save(PICTURE, optimize=True, pnginfo=facts)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        draw(page(Path(temporary, "work")))
