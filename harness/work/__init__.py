"""Execution of work: in this process, in worker processes, isolated from foreign code, or on an executor.

``plan`` defines the pieces of work, ``carry_out`` selects the workers, and ``answer`` is the result of a piece.
``processes`` are trusted workers, forked from a process that is ``warm``. ``isolated_pool`` manages workers for foreign
code under ``limits``; ``worker`` is the inside of such a worker. They are ``forked`` from a ``fork_server`` that has
imported torch only; ``forking`` is its inside. ``lost_worker`` describes how a worker was lost, and ``parent`` ends
processes without a command. Foreign code runs in a ``child`` of a worker, under a ``program`` that does not import the
package by name. ``elsewhere`` represents that process, ``stand_in`` its functions, and ``loaders`` its data loaders.
``executor_pool`` sends pieces to an ``executor``, and ``executor_worker`` receives them. ``interrupt`` handles signals,
and ``ending`` describes the end of the work. Only ``warm`` and the modules of workers import torch.
"""
