"""Tell whether two films show one exposure, by their headers."""

from __future__ import annotations

import re

from ratui.study.importing.reader.film_header import FilmHeader

__all__ = ["copy_marks", "exposure_marks"]


def exposure_marks(header: FilmHeader) -> frozenset[str]:
    """Return texts that two processings of one exposure have in common.

    They are the UIDs of the images that it was made from, and the UID of the irradiation event, or without one the time of
    the exposure to the second. A full minute is no such time: programs and persons enter it for several exposures.
    """
    sources = {f"source {uid}" for uid in header.source_uids}
    events = {f"event {uid}" for uid in header.elements.get("IrradiationEventUID", "").split("\\") if uid}
    moment = _find_moment(header)
    is_exact = bool(re.match(r"[0-9]{12}(0[1-9]|[1-9][0-9]|00\.[0-9]*[1-9])", moment))
    return frozenset(sources | (events or ({f"moment {moment}"} if is_exact else set())))


def copy_marks(header: FilmHeader) -> frozenset[str]:
    """Return texts that files with one picture have in common, even if it is compressed in another way.

    They are the SOP Instance UID, and the size with the time of the exposure to the second. Other films may have them, too.
    """
    moment = _find_moment(header)
    times = {f"moment {moment} {header.rows} {header.columns}"} if moment else set()
    return frozenset(times | ({f"uid {header.instance_uid}"} if header.instance_uid else set()))


def _find_moment(header: FilmHeader) -> str:
    dates = header.dates
    moment = dates.get("AcquisitionDateTime", "") or dates.get("AcquisitionDate", "") + dates.get("AcquisitionTime", "")
    return moment if re.match(r"[0-9]{14}", moment) and moment[8:14] != "000000" else ""
