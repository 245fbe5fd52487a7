"""Floating-point numbers: the formats, arithmetic beyond them, oracles, and deviations in ulp."""
