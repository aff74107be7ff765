"""The command palette (Ctrl-P): the actions of the screen, the cases and the languages, in the rater's words.

It lists only what the screen can do now, and nothing that a key could not do. A command is found by its label in the key
bar, by its description, and by other common words for it, in every language.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, cast

from rich.text import Text
from textual.binding import Binding
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from ratui.tui.i18n.catalog import LANGUAGES, Catalog
from ratui.tui.input.actions import Action, format_key
from ratui.tui.screens.base import KeyScreen
from ratui.tui.theme import KEY, PALETTES

if TYPE_CHECKING:
    from ratui.tui.key_app import KeyApp

__all__ = [
    "ClosableCommandPalette",
    "Command",
    "CommandProvider",
    "list_commands",
    "make_general_command",
    "rate_match",
]

_ANSWERS = ("normal", "same", "keep")
"""Actions that make an entry or keep one. They need the films on the screen, which the palette covers."""
_RANK = 1000.0
"""Difference in score between kinds of matches. It is larger than any score of Textual's fuzzy search."""


@dataclass(frozen=True)
class Command:
    """A line of the command palette."""

    text: str
    key: str
    """The key as it is printed; empty if there is none."""
    run: Callable[[], object]
    label: str = ""
    """The label of the action in the key bar; empty if it has none."""
    keywords: tuple[str, ...] = ()
    """Other words by which the command is found."""
    is_listed: bool = True
    """True if the command is shown before anything is typed. Cases are not, because there may be hundreds."""

    @property
    def line(self) -> str:
        """The command as it is displayed: its label, if it has one, and its description."""
        if not self.label or self.text.casefold().startswith(self.label.casefold()):
            return self.text
        return f"{self.label} · {self.text}"


def list_commands(app: KeyApp, screen: KeyScreen[Any]) -> Iterator[Command]:
    """Yield the commands that are possible on `screen` now."""
    t = app.t
    quits = False
    for action in app.keymap.list_actions(screen.NAME):
        if screen.check_action(action.name):
            quits = quits or action.name == "quit"
            yield _make_command(t, screen, action)
    if not quits:
        yield make_general_command(t, "quit", "quit", app.action_quit, key=format_key("ctrl+q"))
    for language in LANGUAGES:
        if language != t.language:
            yield make_general_command(
                _catalog(language), "language", "language", partial(app.change_language, language)
            )
    for palette in PALETTES:
        if palette != app.palette:
            run = partial(app.change_palette, palette)
            yield make_general_command(t, f"palette_{palette.replace('-', '_')}", "palette", run)
    yield from app.list_commands()


def _make_command(t: Catalog, screen: KeyScreen[Any], action: Action) -> Command:
    """Return the command for `action`. Actions that share a line of the help have a title each."""
    title_id = f"commands.title.{action.id}"
    text = t(title_id) if title_id in t else action.help(t)
    labels = tuple(action.label(_catalog(language)) for language in LANGUAGES)
    key = format_key(action.key)
    run: Callable[[], object] = partial(screen.perform, action.name)
    if action.name in _ANSWERS:
        run = partial(screen.show_message, t("commands.answer_by_key", key=key))
    return Command(
        text,
        key,
        run,
        label=screen.label_of(action),
        keywords=(*labels, *_keywords(action.name)),
    )


def make_general_command(t: Catalog, id: str, name: str, run: Callable[[], object], *, key: str = "") -> Command:
    """Return the command ``commands.<id>``, which runs `run` and is found by the keywords of `name`."""
    return Command(t(f"commands.{id}"), key, run, keywords=_keywords(name))


@cache
def _catalog(language: str) -> Catalog:
    return Catalog(language)


@cache
def _keywords(name: str) -> tuple[str, ...]:
    """Return the words for the action `name`, in all languages."""
    id = f"commands.keywords.{name}"
    catalogs = [_catalog(language) for language in LANGUAGES]
    return tuple(word.strip() for t in catalogs if id in t for word in t(id).split(","))


def rate_match(command: Command, query: str, fuzzy: float = 0.0) -> float:
    """Return how well `command` matches the typed `query`; 0 if it does not.

    The label comes before the other words, and both before parts of words and before `fuzzy`, Textual's score of the text.
    """
    typed = _fold(query)
    words = [_fold(word) for word in command.keywords if word]
    label, text = _fold(command.label), _fold(command.text)
    ranks = (
        typed == label,
        typed in words,
        bool(label) and label.startswith(typed),
        text.startswith(typed) or any(word.startswith(typed) for word in words),
        typed in text or any(typed in word for word in words),
    )
    best = next((len(ranks) - place for place, is_met in enumerate(ranks) if is_met), 0)
    return _RANK * best + fuzzy


def _fold(text: str) -> str:
    """Return `text` for a comparison: without case, and the full-width letters of an input method as plain ones."""
    return unicodedata.normalize("NFKC", text).casefold().strip()


class ClosableCommandPalette(CommandPalette):
    """Textual's command palette, which Ctrl-C closes as Esc does."""

    BINDINGS = [Binding("ctrl+c", "escape", show=False)]  # noqa: RUF012 - Textual declares it without ClassVar


class CommandProvider(Provider):
    """The provider that gives Textual's command palette the commands of the screen below it."""

    def _commands(self) -> Iterator[Command]:
        if isinstance(self.screen, KeyScreen):
            yield from list_commands(cast("KeyApp", self.app), self.screen)

    async def discover(self) -> Hits:
        """Yield the commands to show before anything is typed."""
        for command in self._commands():
            if command.is_listed:
                line = Text(command.line).append(f"  {command.key}", KEY)
                yield DiscoveryHit(line, command.run, text=command.line)

    async def search(self, query: str) -> Hits:
        """Yield the commands that match `query`, or one line that says there are none."""
        matcher = self.matcher(unicodedata.normalize("NFKC", query))
        found = False
        for command in self._commands():
            score = rate_match(command, query, matcher.match(command.line))
            if score > 0:
                found = True
                line = matcher.highlight(command.line) + Content.from_rich_text(Text(f"  {command.key}", KEY))
                yield Hit(score, line, command.run, text=command.line)
        if not found:
            text = cast("KeyApp", self.app).t("commands.none")
            yield Hit(0.0, text, lambda: None, text=text)
