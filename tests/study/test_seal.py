"""The sealed form: contents are restored, changes detected, and intact parts of a damaged file recovered."""

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratui.study.store import BrokenSealError, open_seal, seal
from ratui.study.store.salvage import find_contradiction, salvage
from ratui.study.store.seal import NewerFormatError, UnsealedError, read_chains, read_log_chain, record_checksum
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


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6), st.booleans()), min_size=2, max_size=4))
@settings(max_examples=60)
def test_kept_tables_give_the_same_bytes(states: list[tuple[int, int, bool]]) -> None:
    """Also if the films change, with which the chain of the log begins, or if the same records come under other IDs."""
    records, kept = [{"a": number} for number in range(6)], {}
    for films, entries, is_moved in states:
        tables = {
            name: {str(number + is_moved): record for number, record in enumerate(records[:count], start=1)}
            for name, count in (("seen", films), ("log", entries), ("fields", films))
        }
        assert seal(tables, "a/b", kept) == seal(tables, "a/b")


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


READING = {
    "meta": {"1": {"rater": "anna", "seconds": 60.5}},
    "fields": {str(n): {"site": f"L.MCP{n}", "grade": n} for n in range(1, 6)},
    "seen": {"1": {"position": 0, "film": "aa", "content": "11"}, "2": {"position": 1, "film": "bb", "content": "22"}},
    "log": {str(n): {"number": n, "note": "ü" * n, "seconds": 7.5 * n} for n in range(1, 9)},
    "times": {"1": {"entries": 8, "seconds": 60.5}},
}
Tables = dict[str, dict[str, dict[str, object]]]


def changed(table: str, id: str, **values: object) -> Tables:
    """Return `READING` with other values in one record."""
    return {**READING, table: {**READING[table], id: {**READING[table][id], **values}}}


def continued(count: int = 1) -> Tables:
    """Return `READING` with `count` more entries."""
    more = {str(n): {"number": n} for n in range(9, 9 + count)}
    return {**READING, "log": {**READING["log"], **more}, "meta": {"1": {"rater": "anna", "seconds": 99}}}


def parsed(tables: Any, of: str) -> Any:
    """Return the tables of a sealed file with the checksums in their records."""
    return json.loads(seal(tables, of))


class TestFilmsAndTimes:
    """The chain of a reading begins with its films, and the times have a chain of their own."""

    def test_a_changed_film_changes_the_whole_log(self) -> None:
        before = read_chains(parsed(READING, "a/b"))
        after = read_chains(parsed(changed("seen", "2", content="33"), "a/b"))
        assert before.films[0] == after.films[0]
        assert not set(before.log) & set(after.log)
        assert not after.continues(before)

    def test_a_log_without_films_keeps_its_chain(self) -> None:
        """Checksums of files of older versions stay valid."""
        without = {name: records for name, records in READING.items() if name not in ("seen", "times")}
        assert json.loads(seal(TABLES, "a/b"))["log"]["8"]["sum"] == read_log_chain(seal(TABLES, "a/b"))[7]
        assert read_chains(parsed(without, "a/b")).films == ()
        assert json.loads(seal({"log": TABLES["log"]}, "a/b"))["log"]["1"]["sum"] == "d7545e03d4f35790e6e48a85cc2b0eb7"

    def test_a_table_called_films_is_not_chained(self) -> None:
        """The lists of films of a case have a table of that name since format 1."""
        one, two = ({"films": {"1": {"a": first}, "2": {"b": 2}}} for first in (1, 9))
        assert json.loads(seal(one, "a/b"))["films"]["2"] == json.loads(seal(two, "a/b"))["films"]["2"]

    def test_a_rewritten_time_changes_the_chain(self) -> None:
        before = read_chains(parsed(READING, "a/b"))
        assert read_chains(parsed(continued(), "a/b")).continues(before)
        assert not read_chains(parsed(changed("times", "1", seconds=5.0), "a/b")).continues(before)
        assert not read_chains(parsed(changed("log", "8", seconds=5.0), "a/b")).continues(before)

    def test_the_films_must_come_before_the_log(self) -> None:
        with pytest.raises(ValueError, match="before the films"):
            seal({"log": {}, "seen": {}}, "a/b")

    def test_damaged_copies_are_salvaged(self) -> None:
        data = seal(READING, "a/b")
        one, two = data.replace(b'"grade":2', b'"grade":7'), data.replace(b'"number":5', b'"number":9')
        assert salvage([one, two]).tables == READING
        assert salvage([data.replace(b'"content":"11"', b'"content":"12"')]).tables["log"] == {}


class TestSecondCopy:
    """A second copy counts only if it is of the same save as the damaged file, or of the next one."""

    def flips(self, data: bytes) -> list[bytes]:
        """Return `data` with one flipped bit, in each of many places."""
        return [data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :] for at in range(0, len(data), 5)]

    @pytest.mark.parametrize("copy", [READING, continued(), continued(3)], ids=["same", "next", "later"])
    def test_the_true_copy_counts_wherever_the_file_is_damaged(self, copy: Tables) -> None:
        for damaged in self.flips(seal(READING, "a/b")):
            assert find_contradiction(damaged, seal(copy, "a/b")) == ""

    @pytest.mark.parametrize(
        "copy",
        [
            changed("log", "1", note="other"),
            changed("log", "8", note="other"),
            changed("log", "4", seconds=1.0),
            changed("seen", "1", content="33"),
            changed("times", "1", seconds=1.0),
            changed("fields", "3", grade=0),
            changed("meta", "1", seconds=1.0),
            {**READING, "log": {str(n): READING["log"][str(n)] for n in range(1, 7)}},
            {**READING, "log": {}},
            {**READING, "seen": {}},
            {**READING, "times": {}},
        ],
        ids=["first", "last", "time", "film", "times", "field", "meta", "shorter", "no log", "no films", "no times"],
    )
    def test_a_tampered_copy_is_refused_wherever_the_file_is_damaged(self, copy: Tables) -> None:
        data, copied = seal(READING, "a/b"), seal(copy, "a/b")
        missed = [damaged for damaged in self.flips(data) if not find_contradiction(damaged, copied)]
        # The bit may be in the very record that was tampered with: then nothing of it is left to compare.
        assert len(missed) <= 30, len(missed)
        assert find_contradiction(data[:-20] + b"#" + data[-19:], copied)

    def test_a_copy_without_a_log_is_not_compared(self) -> None:
        data = seal({"films": {"1": {"a": 1}}}, "a/b")
        assert find_contradiction(data.replace(b'"a":1', b'"a":2'), seal({"films": {"1": {"a": 5}}}, "a/b")) == ""

    @pytest.mark.parametrize("name", WORST)
    def test_the_comparison_takes_seconds_for_the_largest_file(self, name: str) -> None:
        unit, end = WORST[name]
        begun = time.process_time()
        find_contradiction(fill_up(unit, LARGEST_FILE) + end, seal(READING, "a/b"))
        assert time.process_time() - begun < 15
