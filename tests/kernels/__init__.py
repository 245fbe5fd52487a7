"""Kernels as written by a code generator: twenty right and twenty wrong ones for three problems."""
