"""The key of the pseudonyms of simulated patients: the only one whose secret is given."""

from pathlib import Path

import pytest

from ratui.errors import StudyError
from ratui.study import KeyFile


def test_pseudonyms_follow_from_the_secret(tmp_path: Path) -> None:
    one, other = (KeyFile.create(tmp_path / f"{name}.json", secret=b"simulated") for name in "ab")
    third = KeyFile.create(tmp_path / "c.json", secret=b"simulated, too")
    assert one.assign_case("P1") == other.assign_case("P1")
    assert one.assign_case("P2") != one.assign_case("P1")
    assert third.assign_case("P1") != one.assign_case("P1")
    assert one.uid_key == other.uid_key != third.uid_key


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text("{}")
    with pytest.raises(StudyError, match="a key file here already"):
        KeyFile.create(tmp_path / "key.json", secret=b"simulated")
