"""What tests of a study share: the command line, run here, with all that it prints."""

import sys
from collections.abc import Callable

import pytest

from ratui.cli import main

Say = Callable[..., bytes]


@pytest.fixture
def say(capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Say:
    """Runs a ``ratui`` command that ends with `code`, and gives all that it printed."""

    def run(*arguments: object, code: int | None = 0) -> bytes:
        monkeypatch.setattr(sys, "argv", ["ratui", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfdbinary.readouterr()
        # None: whatever the command says by its code, as long as it is no fault of the program.
        assert ended.value.code == code if code is not None else ended.value.code in (0, 1, 3), out + err
        return out + err

    return run
