"""All keys of a screen, and what the grades and findings mean. It changes nothing."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.events import Key
from textual.screen import Screen
from textual.widgets import Static

from ratui.scheme import Scheme
from ratui.tui.actions import Keymap, shown_key
from ratui.tui.messages import Messages

__all__ = ["HelpScreen"]


class HelpScreen(Screen[None]):
    """Help to the screen named `about`; any key but those that scroll closes it."""

    def __init__(self, about: str, scheme: Scheme, keymap: Keymap, t: Messages) -> None:
        super().__init__()
        self._text = help_text(about, scheme, keymap, t)
        self._t = t

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(self._text)
        yield Static(self._t("help.foot"), classes="line title")

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def on_key(self, event: Key) -> None:
        if event.key not in ("up", "down", "pageup", "pagedown", "home", "end"):
            event.stop()
            self.dismiss()


def help_text(about: str, scheme: Scheme, keymap: Keymap, t: Messages) -> Text:
    """The help to the screen named `about`."""
    text = Text()
    text.append(f"{t(f'help.title_{about}')}\n\n", "bold #8fb8d8")
    for action in keymap.of(about):
        text.append(f"  {shown_key(action.key):<10}", "bold white")
        text.append(f"{action.help(t)}\n")
    if about in ("scoring", "overview"):
        text.append(f"\n{t('help.grades')}\n", "bold #8fb8d8")
        shown: set[tuple[str, ...]] = set()
        for joint in scheme.joints:
            for scale, grades in joint.grades.items():
                meanings = (scale, *(grade.meaning for grade in grades))
                if meanings in shown:
                    continue
                shown.add(meanings)
                text.append(f"\n  {t('help.scale_at', scale=scale, joint=joint.label)}\n", "bold")
                for grade in grades:
                    text.append(f"  {grade.value:>3}  ", "bold white")
                    text.append(f"{t.of_scheme(grade.meaning)}\n")
        text.append(f"\n{t('help.findings')}\n\n", "bold #8fb8d8")
        for finding in scheme.findings:
            text.append(f"  {finding.key:<5}", "bold white")
            lasting = "" if finding.heals else f" {t('help.lasting')}"
            text.append(f"{t.of_scheme(finding.label)}: {t.of_scheme(finding.meaning)}{lasting}\n")
        reasons = t("help.reasons", key=keymap.shown("scoring.reasons"))
        text.append(f"\n{reasons}\n\n", "bold #8fb8d8")
        for reason in scheme.reasons:
            text.append(f"  {reason.key:<5}", "bold white")
            text.append(f"{t.of_scheme(reason.label)}\n")
    return text
