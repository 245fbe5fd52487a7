"""How work is carried out: here, on processes, in processes that foreign code may take with it, or on an executor.

A ``plan`` is what there is to do, in pieces; ``carry_out`` says who does them, and an ``answer`` is what came of one.
``processes`` are workers that are trusted, forked of one that is ``warm``, ``isolated_pool`` holds those in which
foreign code runs under ``limits``, and ``worker`` is such a process from inside. They are ``forked`` of a
``fork_server``, which has imported torch and, from inside, where it is ``forking``, knows nothing of ours.
``lost_worker`` says how one was lost, and ``parent`` is the end of those whose command is. Somebody's code is called in
a ``child`` of a worker, which runs a ``program`` that imports nothing of ours by its name: it is a place ``elsewhere``,
whose functions have a ``stand_in`` here, and where ``loaders`` are put through exercises. ``executor_pool`` sends
pieces to an ``executor``, and ``executor_worker`` is its end of the line. ``interrupt`` is how a command is told to
end, and ``ending`` how its work came to its end. Importing them, but ``warm`` and what asks that process, imports no
torch: the side that reports does not compute.
"""
