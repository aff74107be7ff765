"""The translation of error messages, whose English texts are in the code that raises them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

__all__ = ["ErrorTexts"]

_BLANK = re.compile(r"\{(\d+)\}")


class ErrorTexts:
    """Translates error messages by templates.

    Parameters
    ----------
    templates
        The translations by English template. Both have blanks ``{0}``, ``{1}``, …, numbered in the order of the English
        text.
    """

    def __init__(self, templates: Mapping[str, str]) -> None:
        self.templates = templates
        # The template with the longest literal text first: it is the most specific one.
        ordered = sorted(templates, key=lambda template: len(_BLANK.sub("", template)), reverse=True)
        self._patterns = [(_compile(template), templates[template]) for template in ordered]

    def translate(self, text: str) -> str:
        """Return the translation of `text`, or `text` itself if no template fits. Values are translated in the same way."""
        for pattern, translation in self._patterns:
            found = pattern.fullmatch(text)
            if found:
                return _fill(translation, [self.translate(value) for value in found.groups()])
        return text


def _compile(template: str) -> re.Pattern[str]:
    literals = _BLANK.split(template)[::2]
    return re.compile("(.+?)".join(re.escape(literal) for literal in literals))


def _fill(template: str, values: Sequence[str]) -> str:
    return _BLANK.sub(lambda blank: values[int(blank[1])], template)
