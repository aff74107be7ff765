"""A study that several Unix accounts share, for tests and attacks. Only root can make it."""

from __future__ import annotations

import os
from pathlib import Path

from ratui.study import InProcessConverter, Study, import_films
from ratui.study.check.access import close_to_others
from ratui.study.layout import PRIVATE
from tests.films import confirm_template, hospital
from tests.tui.readings import store_reading

__all__ = ["ANNA", "BERT", "MANAGERS_GROUP", "OWNER", "RATERS_GROUP", "make_shared"]

OWNER, ANNA, BERT = 20_000, 20_001, 20_002
"""Numbers of accounts without a name: the study's owner and two raters."""
RATERS_GROUP, MANAGERS_GROUP = 1, 2
"""Numbers of the groups ``daemon`` and ``bin``, which every Unix has."""


def make_shared(folder: Path, films: Path, *, blinded: bool, managers: str = "bin") -> Study:
    """Create a study of several accounts: bert has signed the case, anna has not begun it."""
    study = Study.create(folder, "fingers", ["anna", "bert"], blinded=blinded, group="daemon", managers=managers)
    import_films(study, [hospital(films, sides="L")], key=films / "key.json", converter=InProcessConverter())
    (case,) = study.cases()
    confirm_template(study, case, "bert")
    store_reading(study, case, rater="bert", signed=True)
    for each in (folder, *folder.rglob("*")):
        is_private = PRIVATE in each.relative_to(folder).parts
        os.chown(
            each,
            BERT if "bert" in each.relative_to(folder).parts else OWNER,
            MANAGERS_GROUP if is_private and managers else RATERS_GROUP,
        )
    close_to_others(folder, "daemon", managers)
    return study
