"""Texts about locks of readings, in two lines that fit the screen: who has a reading open, and what the rater can do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.cells import cell_len, set_cell_size

from ratui.errors import StoreError, clean_text
from ratui.study import LockedByOther, LockHolder, TakenOver
from ratui.tui.i18n.catalog import Catalog

__all__ = ["format_busy", "format_closed_case", "format_closed_session", "format_lock", "shorten"]


def format_lock(t: Catalog, held: LockedByOther, width: int, key: str) -> str:
    """Return two lines of at most `width` cells: who has the reading open where since when, and what helps.

    `key` is the label of the key that takes the reading over, see `LockHolder.can_be_replaced`.
    """
    return _join(width, _format_open(t, held.holder, width), _format_remedy(t, held.holder, key))


def format_closed_case(t: Catalog, held: LockedByOther, width: int, open_key: str, key: str) -> str:
    """Return the remedy and the holder of the lock, in two lines of at most `width` cells, for the list of cases.

    `open_key` opens the case and `key` takes it over then.
    """
    holder, case = held.holder, str(held.location)
    if holder is None:
        remedy = t("locks.close_case_unknown", case=case)
    elif holder.can_be_replaced:
        remedy = t("locks.open_and_take_over", case=case, open=open_key, key=key)
    else:
        remedy = t("locks.close_case", case=case, process=holder.process)
    return _join(width, remedy, _format_open(t, holder, width))


def format_busy(t: Catalog, held: LockedByOther, width: int) -> str:
    """Return in one line of at most `width` cells who has a file locked that is locked for moments only."""
    if held.holder is None:
        return shorten(t("locks.open_unknown"), width)
    return shorten(
        t("locks.busy", holder=_format_holder(t, held.holder, width - cell_len(t("locks.busy", holder="")))), width
    )


def format_closed_session(t: Catalog, error: StoreError, unsaved: int, entries: Sequence[str], width: int) -> str:
    """Return two lines of at most `width` cells: why the session can save nothing more, and what was not saved.

    The reason is who took the reading over when, or the rule of the study that closed it.
    `unsaved` is the number of log entries that were not saved, and `entries` has the texts of those that have one.
    """
    if not isinstance(error, TakenOver):
        head = t("locks.closed", why=t.translate_error(error.problem))
    elif error.by is None:
        head = t("locks.taken_over_unknown")
    else:
        time = _format_since(error.by)
        room = width - cell_len(t("locks.taken_over", time=time, holder=""))
        head = t("locks.taken_over", time=time, holder=_format_holder(t, error.by, room, is_new=True))
    if not unsaved:
        return _join(width, head, t("locks.all_saved"))
    for shown in range(len(entries), -1, -1):
        listed = t("locks.separator").join(entries[:shown])
        if shown < unsaved:
            listed = f"{listed} …" if listed else "…"
        line = t("locks.not_saved", count=unsaved, entries=listed)
        if cell_len(line) <= width:
            break
    return _join(width, head, line)


def shorten(text: str, width: int) -> str:
    """Return `text`, cut to `width` cells with an ellipsis at its end if it is wider."""
    return text if cell_len(text) <= width else set_cell_size(text, max(width - 1, 0)).rstrip() + "…"


def _join(width: int, *lines: str) -> str:
    return "\n".join(shorten(line, width) for line in lines)


def _format_open(t: Catalog, holder: LockHolder | None, width: int) -> str:
    if holder is None:
        return t("locks.open_unknown")
    id = {None: "locks.open_may_have_ended", True: "locks.open_ended", False: "locks.open_elsewhere"}[holder.is_dead]
    return t(id, holder=_format_holder(t, holder, width - cell_len(t(id, holder=""))))


def _format_remedy(t: Catalog, holder: LockHolder | None, key: str) -> str:
    if holder is None:
        return t("locks.close_unknown")
    if holder.can_be_replaced:
        return t("locks.take_over", key=key)
    return t("locks.close_there", process=holder.process)


def _format_holder(t: Catalog, holder: LockHolder, width: int, *, is_new: bool = False) -> str:
    """Return the holder in `width` cells. Leave out the process and then the terminal, and cut the host, if it is wider.

    `is_new` leaves out the time, for a holder whose beginning the text states already.
    """
    user, host, terminal = (clean_text(text) for text in (holder.user, holder.host, holder.terminal))
    since = "" if is_new else t("locks.since", time=_format_since(holder))
    at_terminal = t("locks.terminal", terminal=terminal) if terminal else ""
    process = t("locks.process", process=holder.process)
    where, separator = t("locks.user_on_host", user=user, host=host), t("locks.separator")
    for others in ((at_terminal, since, process), (at_terminal, since), (since,)):
        text = separator.join(part for part in (where, *others) if part)
        if cell_len(text) <= width:
            return text
    room = width - cell_len(f"{separator}{since}" if since else "")
    least = cell_len(t("locks.user_on_host", user=user, host=""))
    where = t("locks.user_on_host", user=user, host=shorten(host, room - least)) if room > least + 3 else user
    return shorten(separator.join(part for part in (where, since) if part), width)


def _format_since(holder: LockHolder) -> str:
    since = holder.since_time
    return _format_time(since) if since else clean_text(holder.since, 24)


def _format_time(time: datetime) -> str:
    """Return `time` in local time, with the date unless it is today."""
    local = time.astimezone()
    is_today = local.date() == datetime.now().astimezone().date()
    return f"{local:%H:%M}" if is_today else f"{local:%Y-%m-%d %H:%M}"
