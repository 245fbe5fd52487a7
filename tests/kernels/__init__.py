"""Kernels as a generator of code would hand them in, twenty right and twenty wrong ones of three problems."""
