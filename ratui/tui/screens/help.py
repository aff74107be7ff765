"""All keys of a screen, and what the grades and findings mean. It changes nothing."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.events import Key
from textual.screen import Screen
from textual.widgets import Static

from ratui.scheme import Scheme
from ratui.tui.actions import ACTIONS

__all__ = ["HelpScreen"]


class HelpScreen(Screen[None]):
    """Help to the screen named `about`; any key but those that scroll closes it."""

    def __init__(self, about: str, scheme: Scheme) -> None:
        super().__init__()
        self._about = about
        self._scheme = scheme

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(help_text(self._about, self._scheme))
        yield Static("↑ ↓ scroll   any other key closes", classes="line title")

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def on_key(self, event: Key) -> None:
        if event.key not in ("up", "down", "pageup", "pagedown", "home", "end"):
            event.stop()
            self.dismiss()


def help_text(about: str, scheme: Scheme) -> Text:
    """The help to the screen named `about`."""
    text = Text()
    text.append(f"Keys of this screen: {about}\n\n", "bold #8fb8d8")
    for action in ACTIONS:
        if action.screen == about:
            text.append(f"  {action.shown:<10}", "bold white")
            text.append(f"{action.meaning}\n")
    if about in ("scoring", "overview"):
        text.append("\nGrades\n", "bold #8fb8d8")
        shown: set[tuple[str, ...]] = set()
        for joint in scheme.joints:
            for scale, grades in joint.grades.items():
                meanings = (scale, *(grade.meaning for grade in grades))
                if meanings in shown:
                    continue
                shown.add(meanings)
                text.append(f"\n  {scale}, as at {joint.label}\n", "bold")
                for grade in grades:
                    text.append(f"  {grade.value:>3}  ", "bold white")
                    text.append(f"{grade.meaning}\n")
        text.append("\nFindings, which fix the score\n\n", "bold #8fb8d8")
        for finding in scheme.findings:
            text.append(f"  {finding.key:<5}", "bold white")
            text.append(f"{finding.label}: {finding.meaning}{'' if finding.heals else '. Does not heal'}\n")
        text.append("\nNot assessable (x, then)\n\n", "bold #8fb8d8")
        for reason in scheme.reasons:
            text.append(f"  {reason.key:<5}", "bold white")
            text.append(f"{reason.label}\n")
    return text
