"""Shared parts of the contracts: laws of usual forms, inputs, exact values, and bounds with derivations."""
