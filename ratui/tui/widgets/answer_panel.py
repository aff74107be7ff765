"""The panel with the answers of others at a joint: the raters' in an adjudication, the true ones in practice.

Raters are named by letters, never by their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.text import Text
from textual.widgets import Static

from ratui.reading import Entry, Field, Reading, Slot
from ratui.study import AnswerSummary, RevealedAnswers
from ratui.tui.entry.scoring_session import CONFIRM_KEY, ScoringSession
from ratui.tui.entry.text import format_entry, join_time_points
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import Keymap, format_key
from ratui.tui.theme import BRIGHT, HEADING, NOTE, QUIET

__all__ = ["AnswerPanel", "format_answers", "format_summary"]

_SEPARATOR = " · "


class AnswerPanel(Static):
    """Two lines or more below the films. They grow if the answers need more room, and then stay, so that films keep theirs.

    Parameters
    ----------
    reveals
        Origin of the answers to show.
    """

    DEFAULT_CSS = """
    AnswerPanel { height: 2; width: 1fr; background: $panel; color: $plain; padding: 0 1; }
    """

    def __init__(self, reveals: RevealedAnswers) -> None:
        super().__init__(id="answers", markup=False)
        self._reveals = reveals
        self._lines = 2

    def show(self, t: Catalog, session: ScoringSession, keymap: Keymap, summary: AnswerSummary | None = None) -> None:
        """Show the state of the joint of `session`: to be answered, compared with the answers of others, or answered.

        `summary` is the agreement of all answers so far, which ends the last line.
        """
        key = keymap.key_label("scoring.answers")
        rows: list[Text] = []
        if session.is_comparing:
            rows = format_answers(t, session.reading, session.reveal.answers, session.site, self._reveals, self._width)
            change = keymap.key_label("scoring.next_field")
            hint = t("scoring.comparing", go_on=format_key(CONFIRM_KEY), change=change, hide=key)
        elif session.is_answered:
            hint = t(f"scoring.show_{self._reveals}", key=key)
        else:
            hint = t(f"scoring.before_{self._reveals}")
        last = Text(hint, QUIET)
        so_far = format_summary(t, summary)
        if so_far and last.cell_len + cell_len(_SEPARATOR + so_far) <= self._width:
            last.append(f"{_SEPARATOR}{so_far}")
        elif so_far:
            rows.append(Text(so_far))
        self._write(Text("\n").join([*rows, last]), len(rows) + 1)

    @property
    def _width(self) -> int:
        return max(self.app.size.width - 2, 20)

    def _write(self, text: Text, lines: int) -> None:
        text.no_wrap, text.overflow = True, "ellipsis"
        if lines > self._lines:
            self._lines = lines
            self.styles.height = lines
        if self.content != text:
            self.update(text, layout=False)


def format_summary(t: Catalog, summary: AnswerSummary | None) -> str:
    """Return the agreement of all answers so far in one line: ``12 joints so far, kappa 0.71, mean difference +0.2``."""
    if summary is None or not summary.joints:
        return ""
    kappa = "–" if summary.kappa is None else f"{summary.kappa:.2f}"
    difference = "–" if summary.difference is None else f"{summary.difference:+.2f}"
    return t("scoring.practice_summary", count=summary.joints, kappa=kappa, difference=difference)


def format_answers(
    t: Catalog,
    reading: Reading,
    others: Sequence[Mapping[Field, Entry]],
    site: str,
    reveals: RevealedAnswers,
    width: int,
) -> list[Text]:
    """Return the answers at a joint in lines of at most `width` cells: ``ERO, JSN: you 1→2, 0→0 · A = 1→2, 0→0 · B ≠ …``.

    In a study blinded to order, the time points have the order of the films on the screen, separated by a bar. An answer is
    marked as equal to the rater's own, or as different.

    Parameters
    ----------
    t
        The texts.
    reading
        The rater's reading.
    others
        Answers of each of the others by field. The caller shuffles raters for each joint, so that a letter identifies
        nobody.
    site
        Key of the site.
    reveals
        Origin of the answers.
    width
        Width of a line in terminal cells.
    """
    fields = reading.joint_fields(site)
    own = {field: reading.values[field] for field in fields if field in reading.values}
    scales = ", ".join(reading.site(site).joint.scales)
    parts = [Text(f"{scales}: ", HEADING).append(f"{t('scoring.own_answer')} {_format(t, reading, own, site)}", BRIGHT)]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    for letter, answers in zip(letters, others, strict=False):
        name = letter if reveals == "raters" else t(f"scoring.name_{reveals}")
        is_equal = all(answers.get(field) == own.get(field) for field in fields)
        text = f"{name} {'=' if is_equal else '≠'} {_format(t, reading, answers, site)}"
        parts.append(Text(text, QUIET if is_equal else NOTE))
    lines = [parts[0]]
    for part in parts[1:]:
        if lines[-1].cell_len + part.cell_len + len(_SEPARATOR) <= width:
            lines[-1] = Text.assemble(lines[-1], (_SEPARATOR, QUIET), part)
        else:
            lines.append(part)
    return lines


def _format(t: Catalog, reading: Reading, answers: Mapping[Field, Entry], site: str) -> str:
    """Return `answers` at a joint: the time points of each scale in one word, with ``∅`` for one without a film of it."""
    texts = (
        join_time_points(
            reading,
            (
                "∅"
                if Slot(site, time) in reading.unfilmed
                else format_entry(t, reading.scheme, answers.get(Field(site, scale, time)), empty="–")
                for time in reading.order
            ),
        )
        for scale in reading.site(site).joint.scales
    )
    return ", ".join(texts)
