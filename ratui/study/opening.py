"""How a study begins and how it is found again: its settings and its scheme, checked.

It opens no film and no reading.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from pathlib import Path

from ratui.errors import DamagedError, SchemeError, StudyError, clean_text
from ratui.scheme import Scheme, load_scheme, parse_scheme
from ratui.study.config import CONSENSUS, StudyConfig, check_name, read_settings, write_settings
from ratui.study.layout import make_study_folder
from ratui.study.store import read_intact_bytes, write_bytes

__all__ = ["create_study", "load_study"]

_LARGEST_SCHEME = 1_000_000


def create_study(
    path: Path, scheme: Scheme | str, raters: Sequence[str], *, blinded: bool, title: str, group: str
) -> tuple[StudyConfig, Scheme]:
    """Makes the folder of a new study at `path`, which must not hold anything. Raises StudyError or SchemeError."""
    chosen = load_scheme(scheme) if isinstance(scheme, str) else scheme
    names = [check_name(rater, "rater") for rater in raters]
    if not names:
        raise StudyError("a study needs at least one rater", path, "Give --rater ID, once for each")
    if CONSENSUS in names:
        raise StudyError(f"{CONSENSUS} is the adjudicator's name", path, "Give that rater another ID")
    if len(set(names)) < len(names):
        raise StudyError("a rater is named twice", path, "Give each rater an ID of its own")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StudyError("there is something already", path, "Choose a new folder")
    source = chosen.toml_text.encode()
    config = StudyConfig(
        id=secrets.token_hex(8),
        title=clean_text(title or path.name),
        raters=tuple(names),
        blinded=blinded,
        secret=secrets.token_hex(16),
        group=group,
        scheme=hashlib.sha256(source).hexdigest(),
    )
    make_study_folder(path, group)
    write_bytes(path / "scheme.toml", source)
    write_settings(path, config)
    return config, chosen


def load_study(path: Path) -> tuple[StudyConfig, Scheme, dict[Path, str]]:
    """Settings and scheme of the study at `path`, and by file what was found damaged and read from a second copy.

    Raises StudyError where there is no study that this version can open.
    """
    config, notice = read_settings(path)
    file = path / "scheme.toml"

    def check(data: bytes) -> None:
        if config.scheme and hashlib.sha256(data).hexdigest() != config.scheme:
            raise DamagedError("it is not the scheme that the study was made with", file, "See: ratui check STUDY")

    stored = read_intact_bytes(file, check, largest=_LARGEST_SCHEME)
    if stored is None:
        raise SchemeError("scheme.toml is missing", path, "Restore it from a backup")
    try:
        scheme = parse_scheme(stored[0].decode(), str(file))
    except UnicodeDecodeError as error:
        raise SchemeError(f"scheme.toml can't be read: {error}", path, "Restore it from a backup") from error
    return config, scheme, {path / "study.toml": notice, file: stored[1]}
