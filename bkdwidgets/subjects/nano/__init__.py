"""Nano: a small Llama of ours, trained from scratch on an invented world.

It is quick enough to be planted, measured and taken apart within a lesson, small enough to run in a reader's
page, and open to the last byte: every sentence it has ever read lies in ``data/nano/examples.jsonl``.
"""

from bkdwidgets.subjects.nano.load import load_nano, nano_dir
from bkdwidgets.subjects.nano.train import train
from bkdwidgets.subjects.nano.world import WorldExample, examples, is_right, read_examples, vault_truth

__all__ = [
    "WorldExample",
    "examples",
    "is_right",
    "load_nano",
    "nano_dir",
    "read_examples",
    "train",
    "vault_truth",
]
