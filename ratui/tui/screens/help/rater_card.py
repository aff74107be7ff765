"""One page for a rater to print: every key and what the grades mean, as Markdown. From the tables the app itself uses.

The shipped pages in ``docs/`` are made by ``ratui keys --card``; a test finds them out of date.
"""

from __future__ import annotations

from collections.abc import Iterable

from ratui.scheme import Scheme
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import Keymap
from ratui.tui.screens.help.text import Section, key_section, scheme_sections

__all__ = ["rater_card"]


def rater_card(scheme: Scheme, keymap: Keymap, t: Catalog) -> str:
    """The page for `scheme` with the keys of `keymap`, in the language of `t`."""
    everywhere = Section(t("card.everywhere"), (("Ctrl-P", t("card.commands")), ("Ctrl-Q", t("card.quit"))))
    screens = dict.fromkeys(action.screen for action in keymap.actions)
    order = sorted(screens, key=lambda screen: screen != "scoring")  # what a rater sees most comes first
    head = f"# {t('card.title')}\n\n{t.translate_scheme(scheme.title)}\n\n{t('card.full_width')}\n"
    sections = [
        key_section(order[0], keymap, t),
        *scheme_sections(scheme, keymap, t),
        *(key_section(screen, keymap, t) for screen in order[1:]),
        everywhere,
    ]
    return f"{head}{''.join(_tables(sections))}\n{t('card.made')}\n"


def _tables(sections: Iterable[Section]) -> Iterable[str]:
    for section in sections:
        yield f"\n## {section.heading}\n\n| | |\n|---|---|\n"
        for keys, meaning in section.rows:
            boxed = " ".join(f"<kbd>{_escaped(key)}</kbd>" for key in keys.split(" "))
            yield f"| {boxed} | {_escaped(meaning)} |\n"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("|", "\\|")
