"""A process that saves what it is told to: ``python -m tests.support.fault_harness.writer STORE PLACE``.

Its system calls can be watched and made to fail from outside. A line in is an entry's text, a line out what became of it:
``saved``, ``refused`` (an error that a person is told), or ``fault`` and the name of an error that nobody meant.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ratui.errors import StoreError
from tests.support.fault_harness.stores import STORES

__all__ = ["main"]


def main() -> None:
    """Serves until its input ends."""
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
    """One line, by one call of the system, so that the calls of each round are the same."""
    while True:
        try:
            return os.read(0, 65_536).decode().removesuffix("\n")
        except OSError:  # a fault that was meant for the save: it had fewer calls of this kind
            continue


if __name__ == "__main__":
    main()
