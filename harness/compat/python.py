"""Undocumented names of the standard library."""

import atexit
from multiprocessing import popen_spawn_posix, util  # no public way to choose how a process is spawned

# No public way to exit like an interpreter without freeing the imported modules.
run_exit_functions = atexit._run_exitfuncs
flush_streams = util._flush_std_streams  # type: ignore[attr-defined]
