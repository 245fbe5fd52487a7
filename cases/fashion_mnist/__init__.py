"""Loading Fashion-MNIST: item by item, a batch at a time, packed between processes, and from memory."""

from cases.fashion_mnist import concise, scratch
from harness.case import Case

_DTYPES = ("float32",)
"""Loaders deliver float32 only."""

CASES = [
    Case(concise.torchvision_loader, "loader", dtypes=_DTYPES),  # the book's loader, the reference for the others
    Case(scratch.item_by_item, "loader", dtypes=_DTYPES),
    Case(scratch.in_memory, "loader", dtypes=_DTYPES),
    Case(concise.transforms_v2_loader, "loader", dtypes=_DTYPES),
    Case(concise.tensor_dataset_loader, "loader", dtypes=_DTYPES),
    Case(concise.batched_fetch_loader, "loader", dtypes=_DTYPES),
    Case(concise.batch_sampler_loader, "loader", dtypes=_DTYPES),
    Case(concise.index_tensor_loader, "loader", dtypes=_DTYPES),
    Case(concise.packed_loader, "loader", dtypes=_DTYPES),
]
