"""Tables on the environment of a run: the machine, the software, the commands, the data."""

from harness.record import Environment, Run

from ..number import plain, size
from ..source import caveat
from ..table import Table, codes, headers, texts


def machine(run: Run) -> Table:
    """Return the facts of a run that a reader compares first."""
    env = run.environment
    rows = [
        ("run", run.name),
        ("created", run.created),
        ("machine", env.machine),
        ("processor", env.processor),
        ("cores", f"{env.cores} logical, {plain(env.usable_cores)} usable by this process"),
        ("memory", size(env.memory_bytes)),
        ("accelerator", env.accelerator or "no accelerator on this machine"),
        ("operating system", env.os),
        ("Python", env.python),
        ("torch", f"{env.torch}, computing with {env.torch_threads} thread{'' if env.torch_threads == 1 else 's'}"),
        ("commit", _format_commit(env)),
        ("seed", str(run.seed)),
        *((f"command {number}", command) for number, command in enumerate(run.commands, 1)),
    ]
    return Table(name="machine", title="Machine and software", columns=texts("fact", "value"), rows=tuple(rows))


def build(env: Environment) -> Table:
    """Return the build of torch and all versions."""
    rows = [*(("torch: " + name, value) for name, value in env.torch_build.items()), *env.versions.items()]
    return Table("versions", "torch build and versions", texts("part", "version or setting"), tuple(rows), folded=True)


def data(run: Run) -> Table:
    """Return the source of the images and the checksums of the files; no rows if the run used none."""
    source = run.data
    rows: list[tuple[str, str]] = []
    if source is not None:
        rows = [
            ("name", source.name),
            ("origin", f"{source.origin}: {source.location}" if source.location else source.origin),
            ("genuine", "yes: all checksums match the published ones" if source.genuine else "no"),
            *((f"SHA-256 of {name}", checksum) for name, checksum in source.checksums.items()),
        ]
    columns = headers(texts("fact"), codes("value"))
    caption = source.note if source else ""
    return Table("data-table", "Data source", columns, tuple(rows), caption, caveat=caveat(None, source))


def _format_commit(env: Environment) -> str:
    """Return the commit, and whether the working tree differed from it."""
    if env.git_commit is None:
        return "unknown"
    states = {True: " with uncommitted changes", False: " without uncommitted changes", None: ""}
    return env.git_commit + states[env.git_dirty]
