"""Tables of the verdicts on an import of a simulated hospital."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from tests.support.hospital.judge import Judged, Verdict
from tests.support.hospital.truth import Outcome

__all__ = ["find_share_placed", "format_faults", "format_oddities", "format_reasons", "format_verdicts"]

_PLACED = (Verdict.PLACED, Verdict.PLACED_DATES)
_FAULTS = (Verdict.WRONG, Verdict.GUESSED, Verdict.SUBSTITUTE, Verdict.UNLISTED)
_TO_EXPLAIN = (
    Verdict.NEEDLESS_QUESTION,
    Verdict.LOST,
    Verdict.NOT_ASKED,
    Verdict.QUESTION_UNWANTED,
)


def find_share_placed(judged: Sequence[Judged]) -> float:
    """Return the share of the decidable wanted films that are placed correctly without a person, from 0 to 1.

    Films of one exposure count once. Of patients with more than two examinations, a person chooses two dates, as the study's
    protocol says; films of the other dates do not count.
    """
    wanted = [
        each
        for each in judged
        if each.truth.outcome is Outcome.TAKE and each.verdict not in (Verdict.LEFT_OUT, Verdict.OTHER_DATES)
    ]
    return sum(each.verdict in _PLACED for each in wanted) / len(wanted)


def format_verdicts(judged: Sequence[Judged]) -> str:
    """Return a table of the numbers of files for each verdict."""
    found = Counter(each.verdict for each in judged)
    rows = [f"| {verdict} | {found[verdict]} |" for verdict in Verdict if found[verdict]]
    return "\n".join(["| verdict | files |", "|---|---|", *rows])


def format_oddities(judged: Sequence[Judged]) -> str:
    """Return a table of the verdicts for each oddity."""
    groups: dict[str, Counter[Verdict]] = defaultdict(Counter)
    for each in judged:
        groups[each.truth.oddity][each.verdict] += 1
    rows = [
        f"| {name} | {', '.join(f'{verdict} {count}' for verdict, count in found.most_common())} |"
        for name, found in sorted(groups.items())
    ]
    return "\n".join(["| oddity | files |", "|---|---|", *rows])


def format_faults(judged: Sequence[Judged]) -> str:
    """Return a line for each film that is wrongly placed, taken although undecidable, or not listed."""
    return "\n".join(
        f"{each.verdict}: {each.truth.path} · {each.detail} · {each.truth.oddity} · {each.truth.style} · "
        f"{each.truth.language} · {each.truth.part} {each.truth.side} {each.truth.view}"
        for each in judged
        if each.verdict in _FAULTS
    )


def format_reasons(judged: Sequence[Judged], reasons: Mapping[str, str]) -> str:
    """Return a table of the reasons of the import where it asked or left out a film against the truth."""
    found = Counter(
        (each.verdict, reasons.get(each.truth.path, ""), each.truth.language)
        for each in judged
        if each.verdict in _TO_EXPLAIN
    )
    rows = [
        f"| {verdict} | {reason} | {language} | {count} |" for (verdict, reason, language), count in found.most_common()
    ]
    return "\n".join(["| verdict | reason of the import | language | files |", "|---|---|---|---|", *rows])
