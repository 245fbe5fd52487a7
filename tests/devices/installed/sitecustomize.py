"""Give a process the clock of the simulated host before anything reads the time."""

from simulated_device.machine import install

install()
