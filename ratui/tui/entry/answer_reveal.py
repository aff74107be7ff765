"""The answers of others at a joint, which appear after the rater's own answer and stay until the rater goes on.

In an adjudication they are the raters' answers, in practice the true ones. It depends on no widget.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from ratui.reading import Entry, Field

__all__ = ["AnswerReveal", "OtherAnswers"]

OtherAnswers: TypeAlias = Sequence[Mapping[Field, Entry]]
"""The answers of several persons at one joint, by field."""


class AnswerReveal:
    """The joint whose answers are shown, if there is one.

    Parameters
    ----------
    load
        Function that returns the answers of others at the joint with the given site key; None if there are never any.
    """

    def __init__(self, load: Callable[[str], OtherAnswers] | None = None) -> None:
        self._load = load
        self._site = ""
        self.answers: OtherAnswers = ()
        """The answers that are shown; empty if none are."""
        self.may_change = False
        """True once the rater has selected a field of the joint to change the answer.

        Before that a grade has no effect: it may have been typed for the next joint, before the answers were shown.
        """

    @property
    def is_available(self) -> bool:
        """True in an adjudication and in practice."""
        return self._load is not None

    def show(self, site: str) -> bool:
        """Show the answers at `site`; return False if there are none. Answers that are shown already stay as they are."""
        if site != self._site:
            self.hide()
            self.answers = self._load(site) if self._load is not None else ()
            self._site = site if self.answers else ""
        return bool(self.answers)

    def hide(self) -> None:
        """Hide the answers."""
        self._site, self.answers, self.may_change = "", (), False

    def is_shown_at(self, site: str) -> bool:
        """Return True if the answers at `site` are shown."""
        return bool(self.answers) and site == self._site
