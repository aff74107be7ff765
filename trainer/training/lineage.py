"""The lineage of a model: the data that it and its parents learned from.

A model may be measured only on cases that no model of its lineage has learned from. The lineage is stored with the weights,
because weights are copied without their run folder. It comes from a file, so it is bounded and checked when it is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ratui.bounded_parsing import parse_json, read_bounded
from ratui.errors import TrainError, clean_text
from trainer.models.checkpoint_files import load_checkpoint

__all__ = [
    "DataUsed",
    "Lineage",
    "digest_labels",
    "digest_names",
    "digest_of_file",
    "digest_of_lineage",
    "read_lineage",
]

_MAX_GENERATIONS = 50
_MAX_CASES = 1_000_000
_LARGEST_FILE = 16_000_000  # bytes
_STUDY, _COCO, _PHANTOMS, _RAM = "study", "COCO file", "simulated films", "RAM-H1200"


@dataclass(frozen=True)
class DataUsed:
    """A data set that a model learned from.

    Attributes
    ----------
    kind
        ``study``, ``COCO file``, ``simulated films`` or ``RAM-H1200``.
    id
        The study's ID, the digest of the files, or the seed of the simulation.
    count
        Number of samples: joints, or hands.
    cases
        The cases that the model has seen, those for its calibration and for the choice of an epoch included.
    digest
        Digest of the samples, with their labels, or empty.
    """

    kind: str
    id: str
    count: int
    cases: tuple[str, ...] = ()
    digest: str = ""

    @classmethod
    def of_study(cls, id: str, count: int, cases: tuple[str, ...], digest: str) -> DataUsed:
        """Return the data of a study."""
        return cls(_STUDY, id, count, cases, digest)

    @classmethod
    def of_coco(cls, file: Path, count: int, patients: Collection[str] = ()) -> DataUsed:
        """Return the data of a COCO file. Patients are stored as digests. Raises TrainError if it can't be read."""
        return cls(_COCO, digest_of_file(file), count, digest_names(patients))

    @classmethod
    def of_ram_h1200(cls, id: str, count: int, patients: Collection[str], digest: str) -> DataUsed:
        """Return the data of a folder in the layout of RAM-H1200.

        Patients are stored as digests of their names, since those may be names of persons in a folder of one's own.
        """
        return cls(_RAM, id, count, digest_names(patients), digest)

    @classmethod
    def of_phantoms(cls, seed: int, count: int) -> DataUsed:
        """Return the data of simulated films."""
        return cls(_PHANTOMS, str(seed), count)


@dataclass(frozen=True)
class Lineage:
    """The origin of a model.

    Attributes
    ----------
    model
        ``detector`` or ``scorer``.
    begun
        Day on which the training began, ``YYYY-MM-DD``.
    seed
        Seed of the training.
    data
        Data sets of this training.
    versions
        Versions of ratui, torch and the like.
    parent
        Lineage of the model whose weights the training started from, or None for random weights.
    parent_digest
        SHA-256 of the file with these weights, or empty.
    parent_file
        Name of that file, or empty.
    parent_tensors
        Number of tensors that were taken over, if the weights are those of a network of others; 0 otherwise.
    is_known
        False for a file that does not state its data: weights of earlier versions without their run folder, or of others.
    """

    model: str
    begun: str = ""
    seed: int = 0
    data: tuple[DataUsed, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    parent: Lineage | None = None
    parent_digest: str = ""
    is_known: bool = True
    parent_file: str = ""
    parent_tensors: int = 0

    def generations(self) -> Iterator[Lineage]:
        """Yield this lineage, then its parent, and so on."""
        yield self
        if self.parent is not None:
            yield from self.parent.generations()

    def seen_cases(self, study: str) -> frozenset[str]:
        """Return the cases of a study that a model of the lineage has learned from; `study` is the study's ID."""
        sets = (data for each in self.generations() for data in each.data if (data.kind, data.id) == (_STUDY, study))
        return frozenset(case for data in sets for case in data.cases)

    def seen_patients(self, names: Collection[str]) -> frozenset[str]:
        """Return those of the patients `names` that a model of the lineage has seen in a folder of RAM-H1200."""
        seen = {case for each in self.generations() for data in each.data if data.kind == _RAM for case in data.cases}
        return frozenset(name for name in names if seen.intersection(digest_names([name])))

    def is_simulated(self) -> bool:
        """Return whether all stated data of all generations are simulated films."""
        return all(data.kind == _PHANTOMS for each in self.generations() for data in each.data)

    def is_fully_known(self) -> bool:
        """Return whether all generations state their data."""
        return all(each.is_known for each in self.generations())

    def to_record(self) -> dict[str, Any]:
        """Return plain values for a checkpoint or a JSON file."""
        record = {
            "model": self.model,
            "begun": self.begun,
            "seed": self.seed,
            "data": [
                {
                    "kind": each.kind,
                    "id": each.id,
                    "count": each.count,
                    "cases": list(each.cases),
                    "digest": each.digest,
                }
                for each in self.data
            ],
            "versions": dict(self.versions),
            "parent": self.parent.to_record() if self.parent else None,
            "parent_digest": self.parent_digest,
            "is_known": self.is_known,
        }
        # Records of earlier versions lack these, and keep their digest.
        more = {"parent_file": self.parent_file, "parent_tensors": self.parent_tensors}
        return record | {name: value for name, value in more.items() if value}

    @classmethod
    def from_record(cls, record: object) -> Lineage:
        """Return the lineage that `to_record` gave. Raises ValueError for anything else."""
        return _parse(record, _MAX_GENERATIONS)


def read_lineage(file: Path) -> Lineage:
    """Return the lineage of the model in `file`, a ``model.pt`` or a file of weights.

    For a run of an earlier version it is made from ``config.json`` and ``split.json`` beside the file. Raises TrainError if
    the file can't be read, or holds a damaged lineage.
    """
    try:
        about = load_checkpoint(file).get("about")
    except TrainError:
        if not file.is_file():
            raise
        return Lineage("weights of others", is_known=False)
    stored = about.get("lineage") if isinstance(about, dict) else None
    if stored is None:
        return _read_earlier(file)
    try:
        return Lineage.from_record(stored)
    except ValueError as error:
        raise TrainError("its lineage is damaged", file, "Give a model.pt that ratui-train wrote") from error


def digest_of_file(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits. Raises TrainError if it can't be read."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise TrainError(f"it can't be read: {error.strerror}", file, "Check the path") from error


def digest_names(names: Collection[str]) -> tuple[str, ...]:
    """Return short digests of names of patients, sorted."""
    return tuple(sorted(hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:20] for name in set(names)))


def digest_of_lineage(lineage: Lineage) -> str:
    """Return the SHA-256 of a lineage, by which two models of the same training can be recognised."""
    record = json.dumps(lineage.to_record(), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(record.encode()).hexdigest()


def digest_labels(*arrays: npt.NDArray[Any]) -> str:
    """Return a digest of arrays of labels, by which two data sets can be compared."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:20]


def _read_earlier(file: Path) -> Lineage:
    """Return the lineage of a run of an earlier version, from the files beside its checkpoint."""
    try:
        stored = file.with_name("lineage.json")
        if stored.exists():
            return Lineage.from_record(parse_json(read_bounded(stored, _LARGEST_FILE)))
        config = parse_json(read_bounded(file.with_name("config.json"), _LARGEST_FILE))
        split = parse_json(read_bounded(file.with_name("split.json"), _LARGEST_FILE))
        plan = config["plan"]
        parent = Lineage("weights of an earlier version", is_known=False) if plan.get("weights") else None
        cases = tuple(_text(case) for case in split["train"])
        study = _text(config["study"] or "")
        data = (DataUsed(_STUDY, study, 0, cases),) if study else ()
        return Lineage(_text(config["model"]), seed=int(plan["fit"]["seed"]), data=data, parent=parent)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Lineage("model of an earlier version", is_known=False)


def _parse(record: object, generations: int) -> Lineage:
    try:
        if not isinstance(record, dict) or not generations:
            raise ValueError("no lineage")
        parent = record["parent"]
        return Lineage(
            _text(record["model"]),
            date.fromisoformat(record["begun"]).isoformat() if record["begun"] else "",
            int(record["seed"]),
            tuple(_parse_data(each) for each in record["data"]),
            {_text(name): _text(version) for name, version in record["versions"].items()},
            _parse(parent, generations - 1) if parent is not None else None,
            _text(record["parent_digest"]),
            record["is_known"] is True,
            _text(record.get("parent_file", "")),
            max(int(record.get("parent_tensors", 0)), 0),
        )
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError("no lineage") from error


def _parse_data(record: Mapping[str, Any]) -> DataUsed:
    cases = record["cases"]
    if not isinstance(cases, list) or len(cases) > _MAX_CASES or record["kind"] not in (_STUDY, _COCO, _PHANTOMS, _RAM):
        raise ValueError("no data")
    return DataUsed(
        record["kind"],
        _text(record["id"]),
        max(int(record["count"]), 0),
        tuple(_text(case) for case in cases),
        _text(record["digest"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 200:
        raise ValueError("no short text")
    return clean_text(value, 200)
