"""Fashion-MNIST: found, validated, read; and what stands in for it where there is none."""
