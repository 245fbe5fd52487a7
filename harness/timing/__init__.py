"""Measuring time: clocks, accelerators, interleaved rounds, recorded graphs, and the rates of the machine."""
