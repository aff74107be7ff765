"""Films that a PACS sends are received from allowed senders only, within limits, and imported."""

from __future__ import annotations

import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEGLSLossless,
)
from pynetdicom import AE

from ratui.errors import PacsError
from ratui.pacs.address import Certificates
from ratui.pacs.inbox import Inbox
from ratui.pacs.receiver import StorageReceiver
from ratui.pacs.spool import Spool
from ratui.study import Study
from tests.films import film_file, hospital
from tests.pacs.certificates import make_certificate
from tests.pacs.orthanc import Orthanc

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("read_films_here")]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "study", "fingers", ["anna"])


@contextmanager
def receiving(spool: Spool, **options: Any) -> Iterator[StorageReceiver]:
    with StorageReceiver(Inbox(spool).store, "RATUI", ["SENDER"], **options) as receiver:
        yield receiver


def associate(port: int, *, caller: str = "SENDER", called: str = "RATUI", **options: Any) -> Any:
    entity = AE(ae_title=caller)
    entity.add_requested_context(ComputedRadiographyImageStorage, JPEGLSLossless)
    entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    return entity.associate("127.0.0.1", port, ae_title=called, **options)


def send(port: int, *files: Path, **options: Any) -> list[int]:
    """Send files and return the statuses of the answers; -1 for none."""
    association = associate(port, **options)
    if not association.is_established:
        return []
    statuses = [association.send_c_store(pydicom.dcmread(file)).get("Status", -1) for file in files]
    association.release()
    return statuses


class TestTheReceiver:
    def test_a_film_is_stored_byte_for_byte_for_the_owner_alone(self, study: Study, tmp_path: Path) -> None:
        film = film_file(tmp_path / "film.dcm")
        with Spool(study, "receive", tmp_path / "spool") as spool, receiving(spool) as receiver:
            assert send(receiver.port, film) == [0x0000]
            (file,) = spool.files()
            assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700
            assert file.stat().st_mode & 0o777 == 0o600
            assert "P1" not in file.name
            stored, sent = pydicom.dcmread(file), pydicom.dcmread(film)
            assert stored.to_json() == sent.to_json()
            assert stored.file_meta.TransferSyntaxUID == JPEGLSLossless

    def test_different_films_with_one_uid_are_both_kept(self, study: Study, tmp_path: Path) -> None:
        films = [film_file(tmp_path / f"{n}.dcm", seed=n, SOPInstanceUID="1.2.3") for n in (1, 2)]
        with Spool(study, "receive", tmp_path / "spool") as spool, receiving(spool) as receiver:
            for film in films:
                dataset = pydicom.dcmread(film)
                dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
                dataset.save_as(film)
            assert send(receiver.port, *films, films[0]) == [0, 0, 0]
            assert len(spool.files()) == 2

    @pytest.mark.parametrize("titles", [{"caller": "STRANGER"}, {"called": "OTHER"}])
    def test_other_titles_are_rejected(self, study: Study, tmp_path: Path, titles: dict[str, str]) -> None:
        with Spool(study, "receive", tmp_path / "spool") as spool, receiving(spool) as receiver:
            assert associate(receiver.port, **titles).is_rejected
            assert send(receiver.port, film_file(tmp_path / "film.dcm")) == [0x0000]

    def test_other_kinds_of_objects_are_not_accepted_and_counted(self, study: Study, tmp_path: Path) -> None:
        with Spool(study, "receive", tmp_path / "spool") as spool, receiving(spool) as receiver:
            association = associate(receiver.port)
            assert [each.abstract_syntax for each in association.rejected_contexts] == [CTImageStorage]
            association.release()
            assert receiver.refused_kinds == 1

    def test_connections_that_are_opened_and_closed_do_not_shut_out_others(self, study: Study, tmp_path: Path) -> None:
        with Spool(study, "receive", tmp_path / "spool") as spool, receiving(spool) as receiver:
            for _ in range(20):
                socket.create_connection(("127.0.0.1", receiver.port), 10).close()
            time.sleep(1)
            assert send(receiver.port, film_file(tmp_path / "film.dcm")) == [0x0000]

    def test_a_radiograph_in_another_form_is_counted_as_such(self, study: Study, tmp_path: Path) -> None:
        entity = AE(ae_title="SENDER")
        entity.add_requested_context(ComputedRadiographyImageStorage, ExplicitVRBigEndian)
        with Spool(study, "receive", tmp_path / "spool") as spool, receiving(spool) as receiver:
            entity.associate("127.0.0.1", receiver.port, ae_title="RATUI").release()
            entity.add_requested_context(ComputedRadiographyImageStorage, ExplicitVRLittleEndian)
            entity.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
            entity.associate("127.0.0.1", receiver.port, ae_title="RATUI").release()
            assert (receiver.refused_kinds, receiver.refused_forms) == (1, 1)
            (line,) = Inbox(spool).describe(0, receiver.refused_forms)
            assert "1 × a kind of radiograph in a form" in line

    def test_a_full_spool_refuses_with_the_right_status(self, study: Study, tmp_path: Path) -> None:
        films = [film_file(tmp_path / f"{n}.dcm", seed=n) for n in range(3)]
        size = films[0].stat().st_size
        with Spool(study, "receive", tmp_path / "spool", limit=2 * size + 1000) as spool:
            inbox = Inbox(spool)
            with StorageReceiver(inbox.store, "RATUI", ["SENDER"]) as receiver:
                assert send(receiver.port, *films) == [0x0000, 0x0000, 0xA700]
            assert len(spool.files()) == 2
            (line,) = inbox.describe(0)
            assert "not received: 1" in line

    def test_a_full_disk_refuses(self, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        class Usage:
            free = 1_000_000_000 + 1_000

        monkeypatch.setattr("ratui.pacs.spool.shutil.disk_usage", lambda folder: Usage)
        with Spool(study, "receive", tmp_path / "spool") as spool, receiving(spool) as receiver:
            assert send(receiver.port, film_file(tmp_path / "film.dcm")) == [0xA700]
            assert spool.files() == []

    def test_an_import_that_was_finished_is_not_stored_again(self, study: Study, tmp_path: Path) -> None:
        film = film_file(tmp_path / "film.dcm")
        with Spool(study, "receive", tmp_path / "spool") as spool:
            inbox = Inbox(spool)
            with StorageReceiver(inbox.store, "RATUI", ["SENDER"]) as receiver:
                assert send(receiver.port, film) == [0]
                spool.finish(spool.files())
                assert send(receiver.port, film) == [0]
            assert spool.files() == []
            assert list(inbox.describe(0)) == ["  received again, and imported earlier: 1"]


class TestAttacks:
    """Peers that break the protocol must neither use up memory nor stop the receiver."""

    @pytest.mark.parametrize(
        "data",
        [
            b"\x01\x00" + struct.pack(">L", 0xFFFFFFFF) + b"x" * 100_000,
            b"\x04\x00" + struct.pack(">L", 17_000_000) + b"x" * 100_000,
            b"GET / HTTP/1.1\r\n\r\n",
            b"\xfe" * 1000,
            b"",
        ],
        ids=["4 GB", "17 MB", "HTTP", "noise", "nothing"],
    )
    def test_a_broken_unit_ends_only_its_own_connection(self, study: Study, tmp_path: Path, data: bytes) -> None:
        with (
            Spool(study, "receive", tmp_path / "spool") as spool,
            receiving(spool) as receiver,
            socket.create_connection(("127.0.0.1", receiver.port), 5) as peer,
        ):
            with suppress(OSError):
                peer.sendall(data)
            if data:
                peer.settimeout(20)
                with suppress(ConnectionError):
                    assert peer.recv(1) in (b"\x07", b"")  # aborted or closed, not read to its end
            assert send(receiver.port, film_file(tmp_path / "film.dcm")) == [0x0000]

    def test_the_rest_of_a_unit_is_not_waited_for_without_end(
        self, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ratui.pacs.pynetdicom_internals._MAX_SECONDS", 1.0)
        with (
            Spool(study, "receive", tmp_path / "spool") as spool,
            receiving(spool) as receiver,
            socket.create_connection(("127.0.0.1", receiver.port), 5) as peer,
        ):
            peer.sendall(b"\x01\x00\x00\x00\x02\x00rest")
            peer.settimeout(20)
            assert peer.recv(100) == b""

    def test_a_message_without_an_end_is_cut(
        self, study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("ratui.pacs.pynetdicom_internals._MAX_MESSAGE_BYTES", 200_000)
        with Spool(study, "receive", tmp_path / "spool") as spool, receiving(spool) as receiver:
            small = film_file(tmp_path / "small.dcm")
            assert send(receiver.port, small, small, small, small) == [0, 0, 0, 0]  # each message counts by itself
            dataset = pydicom.dcmread(small)
            dataset.add_new(0x00281201, "OW", b"\0" * 400_000)
            dataset.save_as(tmp_path / "large.dcm")
            assert send(receiver.port, tmp_path / "large.dcm") == [-1]
            assert send(receiver.port, small) == [0]
            assert len(spool.files()) == 1

    def test_hostile_titles_and_values_are_in_no_message(
        self, study: Study, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        film = film_file(tmp_path / "film.dcm", patient="Doe^Secret", StudyDescription="\x1b[31mSecret")
        with Spool(study, "receive", tmp_path / "spool") as spool, receiving(spool) as receiver:
            assert send(receiver.port, film) == [0]
            assert associate(receiver.port, caller="SECRETAE").is_rejected
        out, error = capfd.readouterr()
        assert "ecret" not in (out + error + caplog.text).replace("SECRETAE", "Secret" if "SECRETAE" in out else "")


class TestTls:
    def test_only_a_sender_with_a_certificate_of_the_authority_is_accepted(self, study: Study, tmp_path: Path) -> None:
        own, sender = make_certificate(tmp_path, "localhost"), make_certificate(tmp_path, "sender")
        stranger = make_certificate(tmp_path, "stranger")
        film = film_file(tmp_path / "film.dcm")
        files = Certificates(trusted=sender.own, own=own.own, key=own.key)
        with Spool(study, "receive", tmp_path / "spool") as spool, receiving(spool, certificates=files) as receiver:

            def connect(client: Certificates) -> list[int]:
                context = Certificates(trusted=own.own, own=client.own, key=client.key).make_client_context()
                return send(receiver.port, film, tls_args=(context, "localhost"))

            assert connect(sender) == [0]
            assert connect(stranger) == []
            assert connect(Certificates()) == []
            assert send(receiver.port, film) == []
            assert connect(sender) == [0]

    def test_a_peer_that_says_nothing_does_not_stop_others(self, study: Study, tmp_path: Path) -> None:
        own = make_certificate(tmp_path, "localhost")
        with (
            Spool(study, "receive", tmp_path / "spool") as spool,
            receiving(spool, certificates=Certificates(own=own.own, key=own.key)) as receiver,
            socket.create_connection(("127.0.0.1", receiver.port), 5),
        ):
            time.sleep(0.3)
            context = Certificates(trusted=own.own).make_client_context()
            assert send(receiver.port, film_file(tmp_path / "f.dcm"), tls_args=(context, "localhost")) == [0]

    def test_tls_without_a_certificate_is_an_error(self) -> None:
        with pytest.raises(PacsError, match="needs a certificate"):
            StorageReceiver(lambda uid, data: 0, "RATUI", ["SENDER"], certificates=Certificates())


class TestTheSpool:
    def test_a_folder_inside_the_study_or_open_to_others_is_refused(self, study: Study, tmp_path: Path) -> None:
        with pytest.raises(PacsError, match="inside the study"), Spool(study, "receive", study.path / "spool"):
            pass
        (tmp_path / "open").mkdir(mode=0o755)
        (tmp_path / "open").chmod(0o755)
        with pytest.raises(PacsError, match="other accounts"), Spool(study, "receive", tmp_path / "open"):
            pass
        (tmp_path / "private").mkdir(mode=0o700)
        (tmp_path / "link").symlink_to(tmp_path / "private")
        with pytest.raises(PacsError, match="other accounts"), Spool(study, "receive", tmp_path / "link"):
            pass

    def test_two_processes_do_not_share_it(self, study: Study, tmp_path: Path) -> None:
        from ratui.errors import StoreError

        with Spool(study, "receive", tmp_path / "s"), pytest.raises(StoreError):  # noqa: SIM117
            with Spool(study, "receive", tmp_path / "s"):
                pass

    def test_a_removed_folder_of_finished_names_begins_anew(self, study: Study, tmp_path: Path) -> None:
        with Spool(study, "receive", tmp_path / "s") as spool:
            file = spool.store(Spool.name("a"), b"x")
            spool.finish([file])
            assert spool.is_finished(Spool.name("a"))
        with Spool(study, "receive", tmp_path / "s") as spool:
            assert spool.is_finished(Spool.name("a"))
            assert not spool.has(Spool.name("a"))


class TestTheCommand:
    @pytest.fixture
    def start(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
        """Start the command and return its process and its port."""
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
        processes = []

        def begin(*words: object) -> tuple[subprocess.Popen[str], int]:
            command = [sys.executable, "-m", "ratui", "receive", *map(str, words)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            processes.append(process)
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"port (\d+)", line)
            assert found, line + (process.stderr.read() if process.stderr else "")
            return process, int(found[1])

        yield begin
        for process in processes:
            process.kill()
            process.communicate()

    def test_orthanc_sends_a_study_that_is_imported(
        self, orthanc: Orthanc, study: Study, tmp_path: Path, start: Callable[..., Any]
    ) -> None:
        folder = hospital(tmp_path / "h", 2)
        orthanc.upload(*sorted(folder.glob("*.dcm")))
        process, _ = start(
            *(study.path, "--port", orthanc.move_port, "--allow", "ORTHANC", "--quiet", 1, "--once"),
            *("--key", tmp_path / "key.json"),
        )
        for patient in orthanc.rest("/patients"):
            orthanc.rest("/modalities/ratui/store", patient.encode())
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        assert "8 films of 2 cases imported, 0 files refused" in out
        assert len(study.cases()) == 2
        assert list((tmp_path / "data").rglob("*.dcm")) == []
        assert "Doe" not in out + error

    def test_what_a_killed_run_received_is_imported_by_the_next_one(
        self, study: Study, tmp_path: Path, start: Callable[..., Any]
    ) -> None:
        folder = hospital(tmp_path / "h", 1)
        words = (study.path, "--port", 0, "--allow", "SENDER", "--key", tmp_path / "key.json")
        first, port = start(*words, "--quiet", 600)
        assert send(port, *sorted(folder.glob("*.dcm"))) == [0] * 4
        first.send_signal(signal.SIGKILL)
        first.wait()
        second, _ = start(*words, "--quiet", 0.5, "--once")
        out, error = second.communicate(timeout=120)
        assert "4 films of 1 case imported" in out, error

    def test_listening_elsewhere_without_tls_needs_a_word(self, study: Study, tmp_path: Path) -> None:
        words = [sys.executable, "-m", "ratui", "receive", str(study.path), "--port", "0", "--allow", "SENDER"]
        done = subprocess.run([*words, "--host", "0.0.0.0"], capture_output=True, text=True)
        assert done.returncode == 1
        assert "unencrypted from other machines" in done.stderr
