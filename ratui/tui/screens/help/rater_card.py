"""A page to print with all keys and the meaning of the grades, as Markdown, from the tables that the app uses.

``ratui keys --card`` writes the pages that are shipped in ``docs/``. A test fails if they are out of date.
"""

from __future__ import annotations

from collections.abc import Iterable

from ratui.scheme import Scheme
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import Keymap
from ratui.tui.screens.help.text import Section, key_section, scheme_sections

__all__ = ["format_rater_card"]


def format_rater_card(scheme: Scheme, keymap: Keymap, t: Catalog) -> str:
    """Return the rater card: a page to print with all keys and the meaning of the grades, as Markdown.

    Parameters
    ----------
    scheme
        The scheme whose grades, findings and reasons are explained.
    keymap
        The keys of the actions.
    t
        Texts in the language of the page.
    """
    everywhere = Section(t("card.everywhere"), (("Ctrl-P", t("card.commands")), ("Ctrl-Q", t("card.quit"))))
    screens = dict.fromkeys(action.screen for action in keymap.actions)
    order = sorted(screens, key=lambda screen: screen != "scoring")  # raters use the scoring screen most
    head = f"# {t('card.title')}\n\n{t.translate_scheme(scheme.title)}\n\n{t('card.full_width')}\n\n{t('card.mouse')}\n"
    sections = [
        key_section(order[0], keymap, t),
        *scheme_sections(scheme, keymap, t),
        *(key_section(screen, keymap, t) for screen in order[1:]),
        everywhere,
    ]
    return f"{head}{''.join(_format_tables(sections))}\n{t('card.generated_by')}\n"


def _format_tables(sections: Iterable[Section]) -> Iterable[str]:
    for section in sections:
        yield f"\n## {section.heading}\n\n| | |\n|---|---|\n"
        for keys, meaning in section.rows:
            kbd = " ".join(f"<kbd>{_escape(key)}</kbd>" for key in keys.split(" "))
            yield f"| {kbd} | {_escape(meaning)} |\n"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("|", "\\|")
