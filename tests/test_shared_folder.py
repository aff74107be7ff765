"""A folder that the workers of a test run share is made once, and each test that asks for it gets a copy."""

from pathlib import Path

import pytest

from tests.support.shared_folder import copy_shared_folder


def test_it_is_made_once_and_whole_and_each_gets_a_copy(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = 0

    def make(folder: Path) -> None:
        nonlocal made
        made += 1
        (folder / "film").write_text("film")
        if made == 1:
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        copy_shared_folder(tmp_path_factory, "shared-in-a-test", make)
    one, other = (copy_shared_folder(tmp_path_factory, "shared-in-a-test", make) for _ in range(2))
    (one / "film").write_text("changed")
    assert made == 2
    assert (other / "film").read_text() == "film"
