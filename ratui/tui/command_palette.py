"""The command palette (Ctrl-P): the actions of the screen, the cases and the languages, in the rater's words.

It lists only what the screen can do now, and nothing that a key could not do.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from rich.text import Text
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from ratui.tui.i18n.catalog import LANGUAGES, Catalog
from ratui.tui.input.actions import format_key
from ratui.tui.screens.base import KeyScreen
from ratui.tui.theme import KEY

if TYPE_CHECKING:
    from ratui.tui.app import RatuiApp

__all__ = ["Command", "CommandProvider", "list_commands"]


@dataclass(frozen=True)
class Command:
    """A line of the command palette."""

    text: str
    key: str
    """The key as it is printed; empty if there is none."""
    run: Callable[[], object]
    is_listed: bool = True
    """True if the command is shown before anything is typed. Cases are not, because there may be hundreds."""


def list_commands(app: RatuiApp, screen: KeyScreen[Any]) -> Iterator[Command]:
    """Yield the commands that are possible on `screen` now."""
    t = app.t
    actions = [action for action in app.keymap.list_actions(screen.NAME) if screen.check_action(action.name)]
    # Actions with the same meaning, such as the four arrows, move something. They are of no use in a list.
    meanings = Counter(action.help(t) for action in actions)
    for action in actions:
        if meanings[action.help(t)] == 1:
            yield Command(action.help(t), format_key(action.key), partial(screen.perform, action.name))
    for language in LANGUAGES:
        if language != t.language:
            yield Command(Catalog(language)("commands.language"), "", partial(app.change_language, language))
    if app.tour is not None:
        yield Command(t("commands.tour"), "", app.restart_tour)
    for case in app.study.cases():
        text = t("commands.go_to_case", case=case)
        yield Command(text, "", partial(app.switch_to_case, case), is_listed=False)


class CommandProvider(Provider):
    """The provider that gives Textual's command palette the commands of the screen below it."""

    def _commands(self) -> Iterator[Command]:
        if isinstance(self.screen, KeyScreen):
            yield from list_commands(cast("RatuiApp", self.app), self.screen)

    async def discover(self) -> Hits:
        """Yield the commands to show before anything is typed."""
        for command in self._commands():
            if command.is_listed:
                line = Text(command.text).append(f"  {command.key}", KEY)
                yield DiscoveryHit(line, command.run, text=command.text)

    async def search(self, query: str) -> Hits:
        """Yield the commands that match `query`, or one line that says there are none."""
        # NFKC turns the full-width letters of a Japanese input method into plain ones.
        matcher = self.matcher(unicodedata.normalize("NFKC", query))
        found = False
        for command in self._commands():
            score = matcher.match(command.text)
            if score > 0:
                found = True
                line = matcher.highlight(command.text) + Content.from_rich_text(Text(f"  {command.key}", KEY))
                yield Hit(score, line, command.run, text=command.text)
        if not found:
            text = cast("RatuiApp", self.app).t("commands.none")
            yield Hit(0.0, text, lambda: None, text=text)
