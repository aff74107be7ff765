"""The sealed form: contents are restored, changes detected, and intact parts of a damaged file recovered."""

import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratui.study.store import BrokenSealError, open_seal, seal
from ratui.study.store.salvage import salvage
from ratui.study.store.seal import NewerFormatError, UnsealedError, read_log_chain, record_checksum
from ratui.study.store.tables import LARGEST_FILE

_values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
_record = st.dictionaries(st.text(min_size=1, max_size=5).filter(lambda key: key != "sum"), _values, max_size=4)
_records = st.lists(_record, max_size=5).map(lambda each: {str(n): record for n, record in enumerate(each, start=1)})
_tables = st.fixed_dictionaries({"meta": _records, "fields": _records, "log": _records})

TABLES = {
    "meta": {"1": {"rater": "anna", "seconds": 4.5}},
    "fields": {str(n): {"site": f"L.MCP{n}", "grade": n} for n in range(1, 6)},
    "log": {str(n): {"number": n, "note": "ü" * n} for n in range(1, 9)},
}


@given(_tables)
@settings(max_examples=60)
def test_sealed_contents_are_restored(tables: dict[str, dict[str, dict[str, object]]]) -> None:
    opened = open_seal(seal(tables, "anna/C-1"), "anna/C-1")
    assert opened.tables == tables


def test_it_is_valid_json() -> None:
    raw = json.loads(seal(TABLES, "anna/C-1"))
    assert raw["meta"]["1"]["rater"] == "anna"
    assert set(raw) == {"meta", "fields", "log", "seal"}


def test_every_single_bit_counts() -> None:
    data = seal({"meta": {"1": {"a": 1}}, "log": {"1": {"n": 1}}}, "a/b")
    for place in range(len(data)):
        for bit in range(8):
            changed = data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]
            with pytest.raises((BrokenSealError, NewerFormatError)):
                open_seal(changed, "a/b")


@pytest.mark.parametrize("length", [0, 1, 30, 400])
def test_a_truncated_file_is_detected(length: int) -> None:
    with pytest.raises(BrokenSealError):
        open_seal(seal(TABLES, "a/b")[:length])


def test_changed_white_space_is_detected() -> None:
    with pytest.raises(BrokenSealError):
        open_seal(seal(TABLES, "a/b") + b"\n")
    pretty = json.dumps(json.loads(seal(TABLES, "a/b")), indent=1).encode()
    with pytest.raises(BrokenSealError):
        open_seal(pretty)


def test_an_exchanged_file_is_detected() -> None:
    with pytest.raises(BrokenSealError, match="belongs to the file bert/C-1"):
        open_seal(seal(TABLES, "bert/C-1"), "anna/C-1")


def test_a_file_without_checksums_is_of_format_1() -> None:
    with pytest.raises(UnsealedError) as caught:
        open_seal(json.dumps(TABLES).encode())
    assert caught.value.args[0] == TABLES


def test_a_newer_format_is_distinguished_from_damage() -> None:
    import hashlib

    text = seal(TABLES, "a/b").replace(b'"format":2', b'"format":3')
    text = text[: -len('"sum":""}}}') - 64]
    newer = text + b'"sum":"' + hashlib.sha256(text).hexdigest().encode() + b'"}}}'
    with pytest.raises(NewerFormatError):
        open_seal(newer)


@pytest.mark.parametrize("tables", [{"seal": {}}, {"a": {"1": {"sum": 1}}}, {"a": {"1": {"x": float("nan")}}}])
def test_contents_that_cannot_be_sealed_are_rejected(tables: dict[str, dict[str, dict[str, object]]]) -> None:
    with pytest.raises(ValueError, match=r"seal|sum|JSON"):
        seal(tables, "a/b")


class TestChain:
    def test_a_continued_log_begins_with_the_same_chain(self) -> None:
        longer = {**TABLES, "log": {**TABLES["log"], "9": {"number": 9}}}
        assert read_log_chain(seal(longer, "a/b"))[:8] == read_log_chain(seal(TABLES, "a/b"))

    def test_a_later_change_of_the_log_changes_the_chain_after_it(self) -> None:
        log = {**TABLES["log"], "3": {"number": 3, "note": "other"}}
        before, after = read_log_chain(seal(TABLES, "a/b")), read_log_chain(seal({**TABLES, "log": log}, "a/b"))
        assert before[:2] == after[:2]
        assert not set(before[2:]) & set(after[2:])


def fill_up(unit: bytes, length: int) -> bytes:
    return (unit * (length // len(unit) + 1))[:length]


WORST = {
    "openings": (b'"1":{', b""),
    "openings of nested records": (b'"1":{"a":', b""),
    "open texts": (b'"1":{"', b""),
    "nested lists": (b"[", b""),
    "wrong checksums": (b'"1":{"a":1,"sum":"' + b"a" * 32 + b'"}', b""),
    "wrong checksums, with an intact seal": (b'"1":{"1":{"a":1,"sum":"' + b"a" * 32 + b'"}', seal(TABLES, "a/b")),
    "one record of all bytes": (b'"1":{"2":{"3":{"4":{' + b"x" * 30_000_000, seal(TABLES, "a/b")),
}


@pytest.mark.parametrize("name", WORST)
def test_salvage_takes_seconds_for_the_largest_file(name: str) -> None:
    """The limit is wide, because tests run beside one another; time that grows with the square needs hours."""
    unit, end = WORST[name]
    begun = time.process_time()
    salvage([fill_up(unit, LARGEST_FILE) + end])
    assert time.process_time() - begun < 15


def test_records_with_right_checksums_that_ratui_never_writes_are_not_salvaged() -> None:
    for body in (b'{"a":NaN}', b'{"a":"\\ud800"}', b'{"a":1,"a":2}', b'{"a": 1}', b"{" + b'"a":[' * 5000):
        total = record_checksum("meta", "1", "", body).encode()
        forged = b'"1":' + body[:-1] + b',"sum":"' + total + b'"}'
        found = salvage([forged + seal({"meta": {"1": {"a": 1}}}, "a/b").replace(b'"a":1', b'"a":2')])
        assert found.counts == {"meta": 1}
        assert found.tables == {"meta": {}}


class TestSalvage:
    def test_records_after_ones_with_broken_checksums_are_found(self) -> None:
        data = seal(TABLES, "a/b")
        sums = [match.start() for match in re.finditer(rb'"sum":', data)]
        for place in sums[1:4]:  # fields 1 to 3
            data = data[:place] + b'"sun":' + data[place + 6 :]
        found = salvage([data])
        assert set(found.tables["fields"]) == {"4", "5"}
        assert found.tables["log"] == TABLES["log"]

    def test_a_broken_field_loses_only_that_field(self) -> None:
        data = seal(TABLES, "a/b").replace(b'"grade":3', b'"grade":4')
        found = salvage([data])
        assert found.missing == ("fields",)
        assert set(found.tables["fields"]) == {"1", "2", "4", "5"}
        assert found.tables["log"] == TABLES["log"]

    def test_broken_brackets_lose_nothing(self) -> None:
        data = seal(TABLES, "a/b").replace(b'},"log":{', b'};"log":(')
        found = salvage([data])
        assert found.is_complete
        assert found.tables == TABLES

    def test_two_copies_broken_in_different_places_make_a_whole(self) -> None:
        data = seal(TABLES, "a/b")
        one, two = data.replace(b'"number":2', b'"number":7'), data.replace(b'"number":5', b'"number":9')
        assert not salvage([one]).is_complete
        assert not salvage([two]).is_complete
        assert salvage([one, two]).tables == TABLES

    def test_a_log_with_a_gap_proves_nothing(self) -> None:
        data = seal(TABLES, "a/b").replace(b'"number":5', b'"number":9')
        assert salvage([data]).tables["log"] == {}

    def test_a_lost_seal_proves_nothing(self) -> None:
        data = seal(TABLES, "a/b").replace(b'"counts":{"meta":1', b'"counts":{"meta":0')
        assert salvage([data]).counts is None
        assert not salvage([data]).is_complete

    def test_a_record_moved_to_another_table_is_not_taken(self) -> None:
        data = seal({"meta": {"1": {"a": 1}}, "fields": {}}, "a/b")
        moved = data.replace(b'"meta"', b'"fields"', 1)
        assert salvage([moved]).tables.get("fields", {}) == {}
