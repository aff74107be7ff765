"""The key that links patients to case ids: a file of its own, outside the study, readable by its owner alone.

Case ids are a keyed hash with a random salt, so nobody without the key can compute them from patient ids.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from pathlib import Path

from platformdirs import user_data_path

from ratui.errors import StudyError
from ratui.study.store import write_bytes
from ratui.study.study import Study

__all__ = ["KeyFile"]


class KeyFile:
    """The pseudonyms of one study. Changes are on the disk after `save`."""

    def __init__(self, path: Path, salt: str, cases: dict[str, str]) -> None:
        self.path = path
        self._salt = salt
        self._cases = cases  # patient → case

    @classmethod
    def open(cls, study: Study, path: Path | None = None) -> KeyFile:
        """The key file of `study`, made at the first import. Raises StudyError inside the study or when damaged."""
        path = (path or user_data_path("ratui") / "keys" / f"{study.config.id}.json").absolute()
        if path.resolve().is_relative_to(study.path.resolve()):
            raise StudyError("the key to the pseudonyms must not lie in the study", path, "Choose another folder")
        if not path.exists():
            return cls(path, secrets.token_hex(32), {})
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            if raw["study"] != study.config.id:
                raise StudyError("this key file belongs to another study", path, "Give this study's own with --key")
            return cls(path, str(raw["salt"]), {str(k): str(v) for k, v in raw["cases"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StudyError("the key file is damaged", path, "Restore it from a backup") from error

    def case_of(self, patient: str) -> str:
        """The case id of `patient`, the same each time."""
        if patient not in self._cases:
            taken = set(self._cases.values())
            digest = hmac.new(bytes.fromhex(self._salt), patient.encode(), hashlib.sha256).digest()
            name = base64.b32encode(digest).decode()
            length = 6
            while f"C-{name[:length]}" in taken:
                length += 1
            self._cases[patient] = f"C-{name[:length]}"
        return self._cases[patient]

    def save(self, study: Study) -> None:
        """Writes the key file, readable by its owner alone. Raises StoreError."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(f"its folder can't be made: {error.strerror}", self.path, "Give another --key") from error
        text = json.dumps({"study": study.config.id, "salt": self._salt, "cases": self._cases}, indent=1)
        write_bytes(self.path, text.encode())
