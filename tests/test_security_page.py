"""The security page names a test for each claim, and every test that it names exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("## Who can do what, and what is noticed")[2].partition("\n## ")[0]


def test_every_named_test_exists() -> None:
    names = set(re.findall(r"`((?:tests/[a-z_/]+/)?test_[a-z0-9_]+\.py)`", PAGE)) | set(
        re.findall(r"`(tests/[a-z0-9_/]+\.py)`", PAGE)
    )
    assert len(names) > 20
    missing = [name for name in names if not (ROOT / (name if "/" in name else f"tests/study/{name}")).is_file()]
    assert not missing


def test_every_row_of_the_table_names_a_test_or_says_that_nothing_notices_it() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.splitlines() if line.startswith("|")
    ]
    assert len(rows) > 20
    for who, what, how, test in rows[2:]:
        assert re.fullmatch(r"(`[a-z_/0-9]+\.py`(, )?)+", test) or how == "**not noticed**", (who, what)


def test_every_promise_names_a_test_or_a_measurement() -> None:
    promises = PAGE.partition("## Promises")[2].partition("\n## ")[0]
    unproven = [
        text[:60]
        for text in re.split(r"\n\n(?=\*\*)", promises)
        if text.strip() and not re.search(r"tests/[a-z_/0-9]+\.py|benchmarks\.", text)
    ]
    assert not unproven
