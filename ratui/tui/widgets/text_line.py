"""A line in which a rater types text, such as a note, with cursor keys and paste."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.events import Paste
from textual.message import Message
from textual.widgets import Input, Static

__all__ = ["LineInput", "TextLine", "join_lines"]


def join_lines(text: str) -> str:
    """Return `text` as one printable line: line breaks and tabs become spaces, other control characters are dropped."""
    line = " ".join(text.split("\t")) if "\n" not in text and "\r" not in text else " ".join(text.split())
    return "".join(character for character in line if character.isprintable())


class LineInput(Input):
    """Textual's `Input` in one line without a border. Pasted text becomes one line and is cut to the greatest length."""

    DEFAULT_CSS = """
    LineInput, LineInput:focus { border: none; height: 1; width: 1fr; padding: 0; background: $background; color: $waiting;
                                 background-tint: transparent; }
    LineInput > .input--cursor, LineInput:focus > .input--cursor { text-style: reverse; }
    """
    BINDINGS = [  # noqa: RUF012 - Textual declares it without ClassVar
        # As in shells and editors. Textual deletes to the right for Alt-Backspace.
        Binding("ctrl+w,alt+backspace,ctrl+backspace", "delete_left_word", show=False),
        Binding("alt+d,ctrl+delete", "delete_right_word", show=False),
        Binding("alt+b,alt+left", "cursor_left_word", show=False),
        Binding("alt+f,alt+right", "cursor_right_word", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(select_on_focus=False)
        self.cursor_blink = False

    def restricted(self) -> None:
        """Ignore a character beyond the greatest length. The line shows that it is full."""

    def _on_paste(self, event: Paste) -> None:
        start, end = sorted(self.selection)
        room = self.max_length - (len(self.value) - (end - start)) if self.max_length else len(event.text)
        self.replace(join_lines(event.text)[:room], start, end)
        event.stop()
        event.prevent_default()


class TextLine(Horizontal):
    """A prompt, the text being typed, and a hint behind it. It takes the place of the message line while it is open.

    The screen handles Esc, and closes the line after `Accepted`.
    """

    DEFAULT_CSS = """
    TextLine { height: 1; width: 1fr; display: none; color: $waiting; }
    TextLine Static { width: auto; height: 1; }
    """

    class Accepted(Message):
        """The rater has pressed Enter."""

    class Toggled(Message):
        """The line has opened or closed, so that other keys are possible."""

    def __init__(self) -> None:
        super().__init__(id="line")
        self._prompt = Static(markup=False)
        self._hint = Static(markup=False)
        self._on_change: Callable[[str], None] = lambda text: None
        self.input = LineInput()
        self.input.can_focus = False  # while the line is hidden, no key may reach it

    def compose(self) -> ComposeResult:
        """Lay out prompt, text and hint."""
        yield self._prompt
        yield self.input
        yield self._hint

    @property
    def is_open(self) -> bool:
        """True while text is typed."""
        return bool(self.display)

    def open(self, prompt: str, text: str, limit: int, on_change: Callable[[str], None]) -> None:
        """Let the rater type.

        Parameters
        ----------
        prompt
            Words before the text.
        text
            Text to change.
        limit
            Greatest number of characters.
        on_change
            Function that is called with the text after each change.
        """
        self._on_change = lambda text: None
        self._prompt.update(f" {prompt} ")
        self._hint.update("")
        self.input.max_length = limit
        self.input.value = text[:limit]
        self.input.cursor_position = len(self.input.value)
        self._on_change = on_change
        self.display = True
        self.input.can_focus = True
        # At once: the next key must find the line, not the screen.
        self.screen.set_focus(self.input, scroll_visible=False)
        self.post_message(self.Toggled())

    def close(self) -> None:
        """Hide the line."""
        self.display = False
        self.input.can_focus = False
        self.screen.set_focus(None)
        self.post_message(self.Toggled())

    def show_hint(self, text: str) -> None:
        """Show `text` behind the typed text."""
        hint = f"  {text} " if text else ""
        if self._hint.content != hint:  # each update lays out the screen, which takes longer than a character
            self._hint.update(hint)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Report the text."""
        event.stop()
        if self.is_open:
            self._on_change(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Report that the text is complete."""
        event.stop()
        self._on_change(event.value)
        self.post_message(self.Accepted())
