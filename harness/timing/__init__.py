"""Measuring time: clocks and accelerators, turns, recorded graphs, and the rates of this machine."""
