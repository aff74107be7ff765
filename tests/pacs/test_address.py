"""Addresses, accounts and lists of patients: whatever is wrong is refused, and no message repeats a secret or an ID."""

from __future__ import annotations

from pathlib import Path

import pytest

from ratui.errors import PacsError
from ratui.pacs.address import Certificates, Credentials, PacsAddress, check_aet, parse_address, read_credentials
from ratui.pacs.bounded_http import make_session
from ratui.pacs.patient_list import ListedPatient, read_patient_list


class TestAddresses:
    @pytest.mark.parametrize(
        ("text", "address"),
        [
            ("https://pacs.example/dicom-web/", PacsAddress("https", "pacs.example", 443, "/dicom-web")),
            ("http://127.0.0.1:8042/dicom-web", PacsAddress("http", "127.0.0.1", 8042, "/dicom-web")),
            ("dicom://ARCHIVE@pacs:11112", PacsAddress("dicom", "pacs", 11112, aet="ARCHIVE")),
            ("dicoms://ARCHIVE@[::1]", PacsAddress("dicoms", "::1", 2762, aet="ARCHIVE")),
            ("dicom://MY%20PACS@pacs", PacsAddress("dicom", "pacs", 104, aet="MY PACS")),
        ],
    )
    def test_each_form(self, text: str, address: PacsAddress) -> None:
        assert parse_address(text) == address

    @pytest.mark.parametrize(
        "text",
        [
            *("", "pacs", "ftp://pacs/", "https://", "https://pacs:99999/", "dicom://pacs:104", "dicom://A@pacs/path"),
            *("https://pacs/?q=1", "https://pacs/#x", "dicom://TOO-LONG-FOR-A-TITLE@pacs", "https://pa cs/"),
            *("dicom://A%5CB@pacs", "dicom://A%0A@pacs", "file:///etc/passwd"),
        ],
    )
    def test_other_forms_are_refused(self, text: str) -> None:
        with pytest.raises(PacsError):
            parse_address(text)

    @pytest.mark.parametrize("text", ["https://anna:hidden@pacs/", "https://hidden@pacs/", "dicom://AET:hidden@pacs"])
    def test_a_password_in_an_address_is_refused_and_not_repeated(self, text: str) -> None:
        with pytest.raises(PacsError, match="must not contain a user or a password") as caught:
            parse_address(text)
        assert "hidden" not in str(caught.value)

    @pytest.mark.parametrize("title", ["", " A", "A ", "A\\B", "ä", "A" * 17, "A\n"])
    def test_titles(self, title: str) -> None:
        with pytest.raises(PacsError):
            check_aet(title, "--aet")

    def test_loopback_and_encryption(self) -> None:
        assert [parse_address(f"http://{host}/").is_loopback for host in ("localhost", "127.0.0.9", "[::1]")] == [
            True
        ] * 3
        assert not parse_address("http://127.0.0.1.example/").is_loopback
        assert parse_address("dicoms://A@pacs").is_encrypted
        assert not parse_address("dicom://A@pacs").is_encrypted


class TestCredentials:
    def test_from_the_environment(self) -> None:
        assert read_credentials(None, {"RATUI_PACS_USER": "u", "RATUI_PACS_PASSWORD": "p"}) == Credentials("u", "p")
        assert read_credentials(None, {"RATUI_PACS_TOKEN": "t"}) == Credentials(token="t")
        assert not read_credentials(None, {})

    def test_from_a_private_file(self, tmp_path: Path) -> None:
        file = tmp_path / "account.toml"
        file.write_text('user = "u"\npassword = "p\\"ä"\n')
        file.chmod(0o600)
        assert read_credentials(file) == Credentials("u", 'p"ä')

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
    def test_a_file_that_others_can_read_is_refused(self, tmp_path: Path, mode: int) -> None:
        file = tmp_path / "account.toml"
        file.write_text('token = "hidden"\n')
        file.chmod(mode)
        with pytest.raises(PacsError, match="other accounts have access"):
            read_credentials(file)

    @pytest.mark.parametrize(
        "text",
        [
            *('user = "hidden"', 'password = "hidden"', 'user = "hidden"\npassword = "hidden"\ntoken = "hidden"'),
            *("hidden", 'other = "hidden"', "token = 7", 'token = "hidden\\nX: y"'),
        ],
    )
    def test_a_wrong_file_is_refused_and_not_repeated(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "account.toml"
        file.write_text(text)
        file.chmod(0o600)
        with pytest.raises(PacsError) as caught:
            read_credentials(file)
        assert "hidden" not in str(caught.value)

    def test_they_are_shown_nowhere(self) -> None:
        assert "hidden" not in repr(Credentials("hidden", "hidden", "hidden"))

    def test_they_are_sent_with_tls_only(self) -> None:
        account = Credentials("u", "p")
        with pytest.raises(PacsError, match="without encryption"):
            make_session(parse_address("http://pacs.example/"), account, Certificates(), limit=1)
        make_session(parse_address("http://pacs.example/"), Credentials(), Certificates(), limit=1)
        session = make_session(parse_address("https://pacs.example/"), account, Certificates(), limit=1)
        assert session.headers["Authorization"] == "Basic dTpw"
        assert session.verify is True
        assert not session.trust_env


class TestPatientLists:
    def read(self, tmp_path: Path, text: str | bytes) -> tuple[ListedPatient, ...]:
        file = tmp_path / "list"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_patient_list(file)

    def test_one_id_in_each_line(self, tmp_path: Path) -> None:
        found = self.read(tmp_path, "\ufeffP1\r\n\r\n  P 2, x \r\nP1\r\n")
        assert [(each.line, each.id) for each in found] == [(1, "P1"), (3, "P 2, x")]

    @pytest.mark.parametrize("mark", [",", ";", "\t"])
    def test_a_table(self, tmp_path: Path, mark: str) -> None:
        rows = ["patient,issuer,birth_date", '"P1",NORTH,1950-12-31', "P1,SOUTH,", "P2,,19600101", "P3"]
        found = self.read(tmp_path, "\n".join(rows).replace(",", mark))
        assert [(each.id, each.issuer, each.birth_date) for each in found] == [
            ("P1", "NORTH", "19501231"),
            ("P1", "SOUTH", ""),
            ("P2", "", "19600101"),
            ("P3", "", ""),
        ]

    def test_a_table_with_quoted_cells(self, tmp_path: Path) -> None:
        (found,) = self.read(tmp_path, '"patient","birth_date"\n"P1","1950-12-31"')
        assert (found.id, found.birth_date) == ("P1", "19501231")

    @pytest.mark.parametrize(
        "birth_date",
        [
            "12-03-1945",
            "12031945",
            "1945-13-40",
            "1945-0312",
            "--194503",
            "1945031",
            "١٩٤٥٠٣١٢",
            "1900-01-01",
            "99999999",
        ],
    )
    def test_a_date_of_birth_that_matches_nobody_is_refused(self, tmp_path: Path, birth_date: str) -> None:
        with pytest.raises(PacsError, match="the date of birth"):
            self.read(tmp_path, f"patient,birth_date\nP1,{birth_date}")

    @pytest.mark.parametrize(
        "text",
        [
            *("", "\n \n", "patient\n", "SECRET*", "SECRET?", "SECRET\\X", "S\x1bECRET", "SECRET" * 20),
            *("patient,birth_date\nSECRET,1.1.1950", "patient,issuer\n,SECRET", "patient,patient\nSECRET,SECRET"),
            *("patient,sex\nSECRET,F", 'patient,issuer\n"SECRET', "patient\nSECRET,X", b"\xff\xfeS"),
        ],
    )
    def test_a_list_that_would_ask_for_other_patients_is_refused(self, tmp_path: Path, text: str | bytes) -> None:
        with pytest.raises(PacsError) as caught:
            self.read(tmp_path, text)
        assert "SECRET" not in str(caught.value)
