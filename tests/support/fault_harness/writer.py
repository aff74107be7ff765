"""A process that saves entries from its input: ``python -m tests.support.fault_harness.writer STORE PLACE``.

Its system calls can be traced and made to fail from outside. Each input line is the text of an entry. Each output line is
the outcome: ``saved``, ``refused`` (an expected error with a message), or ``fault`` and the name of an unexpected error.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ratui.errors import StoreError
from tests.support.fault_harness.stores import STORES

__all__ = ["main"]


def main() -> None:
    """Save entries until the input ends."""
    store = STORES[sys.argv[1]]
    with store.session(Path(sys.argv[2])) as session:
        os.write(1, b"ready\n")
        while line := _line():
            try:
                session.save(line)
                answer = "saved"
            except StoreError:
                answer = "refused"
            except Exception as error:
                answer = f"fault {type(error).__name__}"
            os.write(1, f"{answer}\n".encode())


def _line() -> str:
    """Read one line with a single system call, so that each round makes the same calls."""
    while True:
        try:
            return os.read(0, 65_536).decode().removesuffix("\n")
        except OSError:  # a fault intended for the save, which had fewer calls of this kind
            continue


if __name__ == "__main__":
    main()
