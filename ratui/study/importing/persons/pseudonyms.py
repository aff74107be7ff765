"""The key file, which links patients to cases: outside the study, readable by its owner alone.

Names of cases and UIDs are HMACs with a random salt, so nobody without the key file can compute them from patient IDs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

from ratui.bounded_parsing import parse_json
from ratui.errors import DamagedError, StudyError
from ratui.files import make_folder, write_bytes
from ratui.study.importing.persons.assignment import KnownPerson
from ratui.study.importing.persons.patient_record import PatientRecord, digest_record
from ratui.study.store import read_intact_bytes
from ratui.study.study import Study

__all__ = ["KeyFile"]

_LARGEST = 100_000_000
_VALUES = {"study", "salt", "cases", "days", "first_days", "first_dates", "persons"}
_CASE = re.compile(r"C-[A-Z0-9]{3,52}")


class KeyFile:
    """The pseudonyms of one study. Changes are on the disk only after `save`.

    Attributes
    ----------
    path
        The file.
    notice
        Message that the file is damaged and its second copy was read, or empty.
    """

    def __init__(
        self,
        path: Path,
        salt: str,
        cases: dict[str, str],
        days: dict[str, list[str]],
        notice: str = "",
        first_days: dict[str, int] | None = None,
        first_dates: dict[str, str] | None = None,
        persons: dict[str, PatientRecord] | None = None,
    ) -> None:
        self.path = path
        self.notice = notice
        self._salt = salt
        self._cases = cases  # patient → case
        self._days = days  # patient → ISO dates of the visits
        self._first_days = first_days or {}  # patient → first day in the counting of manifests
        self._first_dates = first_dates or {}  # patient → ISO date from which the days of films are counted
        self._persons = persons or {}  # patient → digests of what the films state
        self._used_ids = set(cases.values())

    @classmethod
    def open(cls, study: Study, path: Path | None = None, *, second: bool = False) -> KeyFile:
        """Open the key file of `study`, or begin one if the study has no case yet.

        Parameters
        ----------
        study
            The study.
        path
            The key file; by default it is in the user's data folder.
        second
            Accept a key that knows none of the study's cases. Its patients then get new cases, also those who have a case
            already, and films that another key imported are not recognised.

        Raises
        ------
        StudyError
            If the file is inside the study, damaged, of another study, or not the key with which films were imported.
        """
        path = (path or user_data_path("ratui") / "keys" / f"{study.config.id}.json").absolute()
        if path.resolve().is_relative_to(study.path.resolve()):
            raise StudyError("the key of the pseudonyms can't be inside the study", path, "Choose another folder")
        stored = read_intact_bytes(path, lambda data: _parse_key_file(data, path), largest=_LARGEST)
        if stored is None:
            keys = cls(path, secrets.token_hex(32), {}, {})
        else:
            raw = _parse_key_file(stored[0], path)
            if raw["study"] != study.config.id:
                raise StudyError("this key file belongs to another study", path, "Give this study's own with --key")
            keys = cls(
                path,
                raw["salt"],
                raw["cases"],
                raw["days"],
                stored[1],
                raw["first_days"],
                raw["first_dates"],
                raw["persons"],
            )
        cases = study.cases()
        if cases and not second and keys._used_ids.isdisjoint(cases):
            found = "this key file knows none of" if stored else "there is no key file here for"
            raise StudyError(
                f"{found} the {len(cases)} cases of the study; with another key, patients would appear twice",
                path,
                "Give the key of the first import with --key. If it is lost, restore it from a backup. "
                "--second-key imports patients who are certainly new",
            )
        return keys

    @classmethod
    def create(cls, path: Path, *, secret: bytes) -> KeyFile:
        """Return a key whose pseudonyms follow from `secret` and the patient IDs, for patients who are simulated.

        Raises
        ------
        StudyError
            If there is a key file at `path`.
        """
        path = path.absolute()
        if path.exists():
            raise StudyError("there is a key file here already", path, "Choose another file with --key")
        return cls(path, hashlib.sha256(secret).hexdigest(), {}, {})

    @property
    def uid_key(self) -> bytes:
        """Secret for hashing UIDs: an old UID gets the same new one everywhere in this study, and another elsewhere."""
        return hmac.new(bytes.fromhex(self._salt), b"UIDs", hashlib.sha256).digest()

    def digest(self, text: str) -> str:
        """Return the keyed digest of a statement about a patient, with which a later import compares its films."""
        key = hmac.digest(bytes.fromhex(self._salt), b"persons", "sha256")
        return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]

    @property
    def persons(self) -> tuple[KnownPerson, ...]:
        """Every person in the file, with digests of what the films state; those of earlier versions state nothing."""
        return tuple(
            KnownPerson(patient, self._persons.get(patient) or PatientRecord(patient)) for patient in self._cases
        )

    @property
    def patients_by_case(self) -> dict[str, str]:
        """The patient ID of each case, with which the holder of the key file relinks results."""
        return {case: patient for patient, case in self._cases.items()}

    def record_person(self, patient: str, record: PatientRecord) -> None:
        """Add what films state about `patient`. Statements of earlier imports remain."""
        new, old = digest_record(record, self.digest), self._persons.get(patient, PatientRecord(record.id))
        self._persons[patient] = PatientRecord(
            old.id,
            old.issuer or new.issuer,
            old.universal or new.universal,
            old.name if old.name.scripts else new.name,
            old.birth_date or new.birth_date,
            old.sex or new.sex,
        )

    @property
    def dates(self) -> dict[str, tuple[date, ...]]:
        """Dates of the time points of each patient of whom they are known, the earliest first."""
        return {patient: self.list_days(patient) for patient in self._days}

    def find_case(self, patient: str) -> str:
        """Return the case of `patient`, or an empty text if they have none."""
        return self._cases.get(patient, "")

    def list_days(self, patient: str) -> tuple[date, ...]:
        """Return the dates of the visits of `patient`, the earliest first, from earlier imports; empty if none are known."""
        return tuple(date.fromisoformat(day) for day in self._days.get(patient, ()))

    def record_days(self, patient: str, days: Iterable[date]) -> None:
        """Record the dates of the visits, so that an interrupted import can be run again with the same result."""
        self._days[patient] = [day.isoformat() for day in days]

    def count_days(self, patient: str, day: int) -> int:
        """Return the days from the first examination of `patient` to `day`, in the counting of the manifests.

        A manifest may count from any day. The first call for a patient determines the examination that gets day 0, so that
        the study contains no date in any form.
        """
        return day - self._first_days.setdefault(patient, day)

    def has_day_count(self, patient: str) -> bool:
        """Return whether days of `patient` were counted by a manifest, which may count from any day."""
        return patient in self._first_days

    def find_first_date(self, patient: str) -> date | None:
        """Return the date from which the days of `patient` are counted, or None if none is known."""
        dates = [*self._days.get(patient, ())[:1], *filter(None, [self._first_dates.get(patient)])]
        return date.fromisoformat(dates[0]) if dates else None

    def record_first_date(self, patient: str, day: date) -> None:
        """Record the date from which the days of `patient` are counted."""
        self._first_dates.setdefault(patient, day.isoformat())

    def assign_case(self, patient: str) -> str:
        """Return the case of `patient`, a new one if they have none."""
        if patient not in self._cases:
            digest = hmac.new(
                bytes.fromhex(self._salt), patient.encode("utf-8", "surrogatepass"), hashlib.sha256
            ).digest()
            name = base64.b32encode(digest).decode()
            length = 6
            while f"C-{name[:length]}" in self._used_ids:
                length += 1
            self._cases[patient] = f"C-{name[:length]}"
            self._used_ids.add(self._cases[patient])
        return self._cases[patient]

    def save(self, study: Study) -> None:
        """Write the key file, readable by its owner alone. Raises StoreError."""
        make_folder(self.path.parent)
        values: dict[str, Any] = {
            "study": study.config.id,
            "salt": self._salt,
            "cases": self._cases,
            "days": self._days,
        }
        persons = {patient: record.to_digests() for patient, record in self._persons.items()}
        more: dict[str, dict[str, Any]] = {
            "first_days": dict(self._first_days),
            "first_dates": dict(self._first_dates),
            "persons": persons,
        }
        values |= {name: value for name, value in more.items() if value}  # earlier versions don't know them
        write_bytes(
            self.path, json.dumps({**values, "sum": _compute_checksum(values)}, indent=1).encode(), private=True
        )


def _parse_key_file(data: bytes, path: Path) -> dict[str, Any]:
    """Return the values of a key file. Raises DamagedError. Format 1 had no checksum; older files had no days."""
    try:
        raw = parse_json(data)
        total = raw.pop("sum", None)
        if total is not None and total != _compute_checksum(raw):
            raise ValueError("not as it was written")
        values: dict[str, Any] = {
            "study": str(raw["study"]),
            "salt": str(raw["salt"]),
            "cases": dict(raw["cases"]),
            "days": {patient: [str(day) for day in days] for patient, days in raw.get("days", {}).items()},
        }
        bytes.fromhex(values["salt"])
        values["first_days"] = dict(raw.get("first_days", {}))
        if any(type(day) is not int for day in values["first_days"].values()):
            raise ValueError("no number of days")
        values["first_dates"] = {
            patient: date.fromisoformat(day).isoformat() for patient, day in raw.get("first_dates", {}).items()
        }
        values["persons"] = {
            patient: PatientRecord.from_digests(record) for patient, record in raw.get("persons", {}).items()
        }
        is_odd = set(raw) | {"days", "first_days", "first_dates", "persons"} != _VALUES
        if is_odd or any(days != sorted(days) for days in values["days"].values()):
            raise ValueError("not as it was written")
        if not all(isinstance(name, str) for pair in values["cases"].items() for name in pair):
            raise ValueError("no pairs of names")
        if not all(_CASE.fullmatch(case) for case in values["cases"].values()):
            raise ValueError("no name of a case")  # a name of a patient would get into the study
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedError("the key file is damaged", path, "Restore it from a backup") from error
    return values


def _compute_checksum(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
