"""What belongs to the reader's session: what chance draws next, and the switches of other libraries.

Training seeds every generator, and some libraries flip switches of others when they are imported. A reader
who had seeded her own draws, or silenced a library, is to find both as they were.
"""

from __future__ import annotations

import os
import random
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers.utils import logging

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def kept_chance() -> Iterator[None]:
    """Leave the global random generators of Python, numpy and torch as they were found.

    They are wound back: not for what runs beside other work of the same process.
    """
    with ExitStack() as stack:
        stack.callback(random.setstate, random.getstate())
        stack.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002 - what others draw from
        stack.callback(torch.set_rng_state, torch.get_rng_state())
        if torch.cuda.is_initialized():
            stack.callback(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())
        if torch.backends.mps.is_available():
            stack.callback(torch.mps.set_rng_state, torch.mps.get_rng_state())
        yield


@contextmanager
def kept_switches() -> Iterator[None]:
    """Leave environment variables, and what transformers says and shows, as they were found."""
    with ExitStack() as stack:
        stack.callback(_set_environment, dict(os.environ))
        stack.callback(logging.set_verbosity, logging.get_verbosity())
        shows_bars = logging.is_progress_bar_enabled()
        stack.callback(logging.enable_progress_bar if shows_bars else logging.disable_progress_bar)
        yield


def _set_environment(variables: dict[str, str]) -> None:
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)
