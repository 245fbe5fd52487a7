"""Build the site of the documentation: ``python -m website`` in the folder ``tests``.

It writes the sources to ``.harness/site/source`` and the pages to ``.harness/site/html``. It fails if Sphinx has a
warning, if a link or an anchor is dead, or if a page loads a file from the network. ``--no-run`` leaves out the
example of a report with its pictures, which needs a run of a minute.
"""

import sys
import time
from pathlib import Path

from sphinx.cmd.build import main as sphinx
from website.links import checked
from website.source import write_sources

SITE = Path(__file__).parents[2] / ".harness" / "site"


def build(site: Path, *settings: str, runs: bool) -> int:
    """Build the site into a folder, with other settings if they are given; return the exit code."""
    source, html = site / "source", site / "html"
    started = time.perf_counter()
    write_sources(source, runs=runs)
    written = time.perf_counter()
    options = ["-W", "--keep-going", "-q", "-E", "-d", f"{site / 'doctrees'}"]
    options += [word for setting in settings for word in ("-D", setting)]
    code = sphinx(["-b", "html", *options, f"{source}", f"{html}"])
    found = checked(html)
    for line in [*found.dead, *found.external]:
        print(line)
    print(
        f"site: {html / 'index.html'}\n"
        f"{found.links:,} links within the site, {len(found.dead)} dead; {found.outward:,} to other sites; "
        f"{len(found.external)} files from the network; sources {written - started:.1f} s, "
        f"pages {time.perf_counter() - written:.1f} s"
    )
    return int(bool(code or found.dead or found.external))


if __name__ == "__main__":
    sys.exit(build(SITE, runs="--no-run" not in sys.argv[1:]))
