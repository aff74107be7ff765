"""Texts about the films of a plan. They contain no name and no ID of a patient, and no text of a film."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ratui.errors import RatuiError, clean_text
from ratui.scheme import Scheme
from ratui.study import ImportPlan
from ratui.study.campaign.charter import Charter
from ratui.study.importing.planning.import_plan import Decision, PlanRow
from ratui.tui.entry.visit_names import VisitNames
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.i18n.lock_phrases import shorten
from ratui.tui.input.actions import Keymap
from ratui.tui.input.key_rows import KeyItem, format_key_rows, shorten_to_fit
from ratui.tui.theme import BRIGHT, NOTE, PLAIN, QUIET, SELECTED

__all__ = [
    "MARKS",
    "format_caption",
    "format_details",
    "format_head",
    "format_keys",
    "format_problem",
    "format_reason",
    "format_row",
]

MARKS = {Decision.DOUBTFUL: "?", Decision.TAKE: "+", Decision.LEAVE_OUT: "-"}
"""The sign of each decision, which is the same with and without colours."""
_STYLES = {
    Decision.DOUBTFUL: (NOTE, PLAIN),
    Decision.TAKE: (BRIGHT, PLAIN),
    Decision.LEAVE_OUT: (QUIET, QUIET),
}
"""The styles of a decision with its reason, and of the rest of the line."""
_ONE_LABEL = {"side": ("side_left", "side_right", "side_both"), "visit": ("earlier", "later")}
"""Actions that have one label in a narrow window."""
_REASON = 300
_SENTENCE_END = re.compile(r"(?:\. |; )")


def format_head(t: Catalog, plan: ImportPlan, width: int, place: str, *, shows_all: bool) -> str:
    """Return the line at the top: the number of films for each decision, the films that are listed; the place in them."""
    counts = plan.count()
    names = {Decision.DOUBTFUL: "doubtful", Decision.TAKE: "taken", Decision.LEAVE_OUT: "left_out"}
    parts = [
        t("import.title"),
        *(f"{MARKS[each]} {t(f'import.{id}', count=counts[each])}" for each, id in names.items()),
    ]
    right = f"{t('import.all' if shows_all else 'import.doubtful_only')} {place}"
    left = f" {' · '.join(parts)}"
    if cell_len(left) + cell_len(right) + 3 > width:  # the name of the screen is the least important
        left = f" {' · '.join(parts[1:])}"
    return left + " " * max(width - cell_len(left) - cell_len(right) - 1, 2) + right


def format_keys(t: Catalog, keymap: Keymap, items: Sequence[KeyItem], width: int) -> Text:
    """Return `items`, the keys that are possible now, in two rows of at most `width` cells.

    If they do not fit, the keys of the sides and those of the visits get one label each.
    """
    rows = shorten_to_fit(items, width, 2)
    if [item for row in rows for item in row] != list(items):
        for name, actions in _ONE_LABEL.items():
            first, *others = keys = [keymap.key_label(f"import.{action}") for action in actions]
            together = KeyItem(" ".join(keys), t(f"import.keys_{name}"))
            items = [together if item.key == first else item for item in items if item.key not in others]
        rows = shorten_to_fit(items, width, 2)
    return format_key_rows(*rows)


def format_row(
    t: Catalog,
    scheme: Scheme,
    row: PlanRow,
    width: int,
    *,
    is_selected: bool,
    is_entered: bool,
    count: int = 1,
    names: Sequence[str] = (),
) -> Text:
    """Return the line of a film in the list, of `width` cells; or that of `count` files that are left out for one reason.

    `names` are those of the plan's visits.
    """
    time_width = max(cell_len(_name_visit(t, number, names)) for number in range(max(len(names), 2)))
    values = [
        set_cell_size(_person(t, row), 6),
        set_cell_size(_date(row), 10),
        set_cell_size(_time(t, row, names=names), time_width),
        set_cell_size(shorten(_view(t, scheme, row), 12), 12),
        set_cell_size(t(f"import.short_{row.projection}") if row.projection else "·", 3),
        set_cell_size(row.side or "·", 1) + ("*" if is_entered else " "),
        format_reason(t, row),
    ]
    if count > 1:
        values = [t("import.folded", count=count), format_reason(t, row)]
    text = f"{'▸' if is_selected else ' '}{MARKS[row.decision]} {'  '.join(values)}"
    place = max(len(text) - len(values[-1]), 0)
    line = set_cell_size(shorten(text, max(width, 1)), max(width, 1))
    if is_selected:
        return Text(no_wrap=True).append(line, SELECTED)  # a list drops the style of a whole text
    # The decision and its reason stand out, and not the whole line: most films of a new study may be doubtful.
    strong, other = _STYLES[row.decision]
    return Text.assemble((line[:2], strong), (line[2:place], other), (line[place:], strong), no_wrap=True)


def format_caption(
    t: Catalog, scheme: Scheme, row: PlanRow, width: int, *, is_selected: bool, names: Sequence[str] = ()
) -> Text:
    """Return the line above the picture of a film, of `width` cells; `names` are those of the visits."""
    projection = t(f"import.projection_{row.projection}") if row.projection else ""
    values = (
        MARKS[row.decision],
        _date(row),
        _time(t, row, names=names),
        _view(t, scheme, row),
        row.side or "·",
        projection,
    )
    text = f"{'▸' if is_selected else ' '}{' '.join(values)}"
    return Text(
        set_cell_size(shorten(text, max(width, 1)), max(width, 1)), BRIGHT if is_selected else PLAIN, no_wrap=True
    )


def format_details(t: Catalog, scheme: Scheme, row: PlanRow, *, names: Sequence[str] = ()) -> str:
    """Return everything that is known about a film, in one line; `names` are those of the visits."""
    side = t(f"import.side_{row.side}") if row.side in ("L", "R", "B") else t("import.unknown")
    values = (
        _person(t, row, long=True),
        _date(row, t),
        _time(t, row, long=True, names=names),
        _view(t, scheme, row, long=True),
        side,
        t(f"import.projection_{row.projection or 'none'}"),
    )
    return f"{t(f'import.decision_{row.decision.name.lower()}')}: {' · '.join(values)}"


def format_reason(t: Catalog, row: PlanRow) -> str:
    """Return why a film is doubtful or left out, and remarks about its header; empty if there is nothing to say.

    The remedy of a doubtful film is left out: it names a manifest, in place of which this screen takes the decision.
    """
    reason = row.reason.partition(". ")[0] if row.decision is Decision.DOUBTFUL else row.reason
    parts = [part for text in (reason, row.note) for part in _SENTENCE_END.split(clean_text(text, _REASON))]
    return " · ".join(t.translate_reason(part) for part in parts if part)


def format_problem(t: Catalog, error: RatuiError) -> str:
    """Return the message of an error of a decision or of a film, without its location, which may name a patient."""
    return " · ".join(t.translate_reason(part) for part in (error.problem, error.remedy) if part)


def _person(t: Catalog, row: PlanRow, *, long: bool = False) -> str:
    number = "?" if row.person is None else str(row.person)
    return t("import.person", number=number) if long else f"#{number}"


def _date(row: PlanRow, t: Catalog | None = None) -> str:
    if row.exam_date is not None:
        return row.exam_date.isoformat()
    return t("import.no_date") if t else "·"


def _time(t: Catalog, row: PlanRow, *, long: bool = False, names: Sequence[str] = ()) -> str:
    if row.time is None:
        return t("import.no_time") if long else "·"
    return _name_visit(t, row.time, names)


def _name_visit(t: Catalog, number: int, names: Sequence[str]) -> str:
    """Return the name of a visit as the screens of reading have it."""
    own = ["" if name == Charter().visit_name(each) else name for each, name in enumerate(names)]
    return VisitNames(own=own).name(t, range(max(len(names), number + 1, 2)), number, blinded=False)


def _view(t: Catalog, scheme: Scheme, row: PlanRow, *, long: bool = False) -> str:
    if not row.view:
        return t("import.no_view") if long else "·"
    return t.translate_scheme(scheme.views[row.view].label)
