"""Start of a worker process of a pool."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

__all__ = ["prepare_worker"]

_PARENT_ENDED = 1


def prepare_worker() -> None:
    """Prepare this process as a worker of a pool: it ignores Ctrl-C, and ends with the process that started it.

    Ctrl-C reaches every process of a terminal, and the process that started this one decides what it means.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when its parent was killed: a worker itself holds the pipe open from which it reads its tasks."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(_PARENT_ENDED)
