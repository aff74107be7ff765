"""Records of what leaves a study, such as exports and reports, in the journal of the account that made it."""

from __future__ import annotations

from ratui.study.config_files import CHARTER_FORMAT
from ratui.study.store.journaling import record_event
from ratui.study.study import Study

__all__ = ["record_activity"]


def record_activity(study: Study, event: str, detail: str) -> bool:
    """Record that something left the study, before or when it does.

    Parameters
    ----------
    study
        The study.
    event
        Name of the act, such as ``export``.
    detail
        Description of at most 800 characters. All members of the study can read it: it must contain no score, no order of
        the visits, and no path, which may name a patient.

    Returns
    -------
    bool
        False if it can't be recorded: the study is on a read-only file system, or has an older format than 4, whose journals
        earlier versions of ratui could not read with such a record.

    Raises
    ------
    StoreError
        If the journal can't be written. The caller must not go on then.
    """
    return study.config.stored_format >= CHARTER_FORMAT and record_event(study.folder, event, detail)
