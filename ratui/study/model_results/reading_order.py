"""The order in which a model suggests to read the cases of a study.

It is in the table file ``models/order.json``. Table ``order`` has one record for each case with a place. Table ``unlike``,
which may be missing, has one for each case without, because its films are unlike those that the model learned from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from ratui.errors import StoreError, clean_text
from ratui.files import check_name
from ratui.stored_values import ODD_VALUE_ERRORS, as_text
from ratui.study.store import StudyLock, read_intact, write_tables
from ratui.study.study import Study

__all__ = [
    "ORDER",
    "has_reading_order",
    "load_reading_order",
    "load_unlike_cases",
    "read_stored_order",
    "save_reading_order",
]

ORDER = "order.json"
"""Name of the file in ``models`` with the reading order."""
_REMEDY = "Run ratui-train propose again"


def save_reading_order(study: Study, cases: Sequence[str], model: str, unlike: Sequence[str] = ()) -> None:
    """Store the order in which `model` suggests to read the cases, the most informative first.

    A hidden repeat and its original, which a model finds equally informative, are moved apart, see `repeat_distance`.
    `unlike` are the cases without a place, because their films are unlike those that the model learned from.

    Raises
    ------
    StudyError
        If there are hidden repeats by the charter, and this account may not know them.
    StoreError
        If the order can't be written.
    """
    cases = _move_repeats_apart(study, cases)
    file = study.folder.file(f"models/{ORDER}")
    read_intact(file)
    with StudyLock(study.folder).shared():
        tables = {"order": [{"case": check_name(case, "case"), "model": model} for case in cases]}
        if unlike:
            tables["unlike"] = [{"case": check_name(case, "case"), "model": model} for case in unlike]
        write_tables(file, tables)


def _move_repeats_apart(study: Study, cases: Sequence[str]) -> tuple[str, ...]:
    # Here, because a rater's session, which reads the order, needs neither.
    from ratui.study.campaign.repeat_distance import move_apart
    from ratui.study.campaign.repeats import load_repeats

    if study.config.charter.repeats_share:
        study.check_manager("order its cases, because only managers know which cases are repeats")
    known = load_repeats(study) if study.is_manager else {}
    if not known:
        return tuple(cases)
    raters = {case: study.raters_of(case) for case in cases}
    return move_apart(cases, {case: repeat.original for case, repeat in known.items()}, raters)


def read_stored_order(study: Study) -> list[str]:
    """Return the names of the cases in the stored order; empty without one. Raises StoreError."""
    return _read_cases(study, "order")


def has_reading_order(study: Study) -> bool:
    """Return whether a model has given any case a place in the order. False if the order can't be read."""
    try:
        return bool(read_stored_order(study))
    except StoreError:
        return False  # `load_reading_order` adds the notice


def load_unlike_cases(study: Study) -> tuple[str, ...]:
    """Return the cases without a place in the order, because their films are unlike those that the model learned from.

    Empty if the order can't be read.
    """
    known = set(study.cases())
    try:
        return tuple(case for case in _read_cases(study, "unlike") if case in known)
    except StoreError:
        return ()  # `load_reading_order` adds the notice


def _read_cases(study: Study, table: str) -> list[str]:
    file = study.folder.file(f"models/{ORDER}")
    stored = read_intact(file)
    try:
        return [as_text(record["case"]) for record in stored.tables.get(table, [])] if stored else []
    except ODD_VALUE_ERRORS as error:
        raise StoreError(f"not an order of cases: {clean_text(error)}", file.path, _REMEDY) from error


def load_reading_order(study: Study) -> tuple[str, ...]:
    """Return the study's cases in the stored order, then all others by name, or in an order of each rater's own in blocks.

    An order that can't be read is ignored with a notice of the study: it is a convenience and must not stop anybody.
    """
    return sort_for_reading(study, study.cases())


def sort_for_reading(study: Study, cases: Sequence[str]) -> tuple[str, ...]:
    """Return `cases`, which are sorted by name, in the order of `load_reading_order`, also those of blocks not open yet."""
    if study.view and study.config.charter.block_cases:
        cases = tuple(sorted(cases, key=lambda case: _draw_place(study, case)))
    try:
        wanted = read_stored_order(study)
    except StoreError as error:
        study.add_notice(study.path / "models" / ORDER, f"the order of reading can't be used: {error.problem}")
        wanted = []
    known = set(cases)
    first = list(dict.fromkeys(case for case in wanted if case in known))
    placed = set(first)
    return (*first, *(case for case in cases if case not in placed))


def _draw_place(study: Study, case: str) -> bytes:
    """Return bytes by which the cases of a block are sorted, in an order of its own for each rater."""
    return hashlib.sha256(f"{study.config.id}\0{study.view}\0{case}".encode()).digest()
