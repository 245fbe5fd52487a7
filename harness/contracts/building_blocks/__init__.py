"""What families of contracts share: laws of the usual shapes, inputs, exact values, and bounds with derivations."""
