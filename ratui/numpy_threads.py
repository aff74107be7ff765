"""The threads of numpy's linear algebra, for programs that hardly use it."""

from __future__ import annotations

import os

__all__ = ["load_numpy_with_one_thread"]

_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")


def load_numpy_with_one_thread() -> None:
    """Import numpy so that its linear algebra uses one thread, unless the environment asks for another number.

    OpenBLAS starts a thread for each core when it is loaded. Each of them waits busily at first: 50 ms of a core's time. The
    app multiplies matrices of a few numbers only. The environment is the same afterwards, because other programs are started
    with it. Nothing happens if numpy is loaded already.
    """
    if any(os.environ.get(name) for name in _VARIABLES):
        return
    os.environ[_VARIABLES[0]] = "1"
    try:
        import numpy  # noqa: F401
    finally:
        del os.environ[_VARIABLES[0]]
