"""Signatures of roots, made and verified by ssh-keygen."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from ratui.errors import StoreError
from ratui.study import Study
from ratui.study.check import check_study
from ratui.study.check.roots import check_backup
from ratui.study.copies.backup import back_up
from ratui.study.copies.restore import restore
from ratui.study.evidence import write_root
from tests.study.conftest import RunRatui
from tests.study.test_roots import faults
from tests.study.test_tampering import study
from tests.support.tampering import move_boxes, regions, rewrite_journals, tamper

__all__ = ["study"]

pytestmark = pytest.mark.slow


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen of OpenSSH")
class TestSignatures:
    @pytest.fixture
    def key(self, tmp_path: Path) -> Path:
        path = tmp_path / "id"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
        return path

    def signers(self, key: Path, name: str = "manager@example.org") -> Path:
        file = key.with_name(f"signers-{key.name}")
        file.write_text(f"{name} {key.with_suffix('.pub').read_text()}")
        return file

    def test_a_signature_is_verified(self, study: Study, key: Path) -> None:
        write_root(study, key)
        report = check_study(study.path, signers=self.signers(key))
        assert report.is_intact, report.faults
        assert report.notes[-1].startswith("seals/000001.json of 20")
        assert report.notes[-1].endswith(": signed by manager@example.org")
        assert check_study(study.path).notes[-1].endswith(": its signature was not verified")

    def test_a_backup_contains_the_signature(self, study: Study, key: Path, tmp_path: Path) -> None:
        write_root(study, key)
        archive = back_up(study, tmp_path / "backup.zip")
        assert not archive.left_out
        restored = restore(archive.path, tmp_path / "restored").study
        report = check_study(restored.path, signers=self.signers(key))
        assert report.is_intact, report.faults
        for name in ("seals/000001.json.sig", "seals/000001.json.sig.bak"):
            (study.path / name).unlink()
        found = faults(check_backup(check_study(study.path), study, archive.path))
        assert found == {"seals/000001.json.sig": "it is missing, but was there in the backup"}

    @pytest.mark.parametrize("end", ["", ".bak"])
    def test_one_damaged_copy_of_a_signature_is_repaired(self, study: Study, key: Path, end: str) -> None:
        write_root(study, key)
        file = study.path / f"seals/000001.json.sig{end}"
        before = file.read_bytes()
        changed = bytearray(before)
        changed[150] ^= 1
        file.write_bytes(changed)
        found = check_study(study.path, signers=self.signers(key))
        assert faults(found) == {"seals/000001.json.sig": f"{'its second copy' if end else 'the file'} is damaged"}
        assert any(note.endswith("signed by manager@example.org") for note in found.notes)
        assert not check_study(study.path, repair=True).unrepaired
        assert file.read_bytes() == before

    def test_a_root_that_another_key_signed_is_reported(self, study: Study, key: Path, tmp_path: Path) -> None:
        other = tmp_path / "other"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
        write_root(study, other)
        found = faults(check_study(study.path, signers=self.signers(key)))
        assert found == {"seals/000001.json": "its signature is not by an allowed signer"}

    def test_a_root_that_was_replaced_is_reported(self, study: Study, key: Path) -> None:
        """Tamper with the study, rewrite its journals, and seal it anew: only the key is missing."""
        write_root(study, key)
        tamper(regions(study), move_boxes)
        rewrite_journals(study)
        signature = (study.path / "seals" / "000001.json.sig").read_bytes()
        shutil.rmtree(study.path / "seals")
        shutil.rmtree(study.path / "private" / "seals", ignore_errors=True)
        write_root(study)
        study.folder.write("seals/000001.json.sig", signature)
        assert check_study(study.path).is_intact, "without the signers nothing shows it"
        found = faults(check_study(study.path, signers=self.signers(key)))
        assert found == {"seals/000001.json": "its signature is not by an allowed signer"}

    def test_an_unsigned_root_and_a_missing_one_are_reported(self, study: Study, key: Path) -> None:
        signers = self.signers(key)
        assert "no root" in faults(check_study(study.path, signers=signers))["seals"]
        write_root(study)
        assert faults(check_study(study.path, signers=signers)) == {"seals/000001.json": "it is not signed"}

    def test_a_signature_for_another_purpose_is_not_accepted(self, study: Study, key: Path) -> None:
        root = write_root(study, key)
        command = ["ssh-keygen", "-Y", "sign", "-q", "-n", "file", "-f", str(key)]
        made = subprocess.run(command, input=root.data, capture_output=True, check=True).stdout
        for name in ("000001.json.sig", "000001.json.sig.bak"):
            (study.path / "seals" / name).write_bytes(made)
        assert not check_study(study.path, signers=self.signers(key)).is_intact

    def test_errors_are_plain(self, study: Study, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(StoreError, match="ssh-keygen can't sign"):
            write_root(study, tmp_path / "missing")
        assert not (study.path / "seals").exists(), "no root is made that could not be signed"
        write_root(study, key)
        with pytest.raises(StoreError, match="no such file of signers"):
            check_study(study.path, signers=tmp_path / "missing")
        signers = self.signers(key)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(StoreError, match="the program ssh-keygen is missing"):
            write_root(study, key)
        with pytest.raises(StoreError, match="the program ssh-keygen is missing"):
            check_study(study.path, signers=signers)

    def test_the_commands(self, study: Study, key: Path, run_ratui: RunRatui) -> None:
        sealed = run_ratui("seal", study.path, "--sign", key).decode()
        digest = hashlib.sha256((study.path / "seals" / "000001.json").read_bytes()).hexdigest()
        assert f"root 1, signed: {digest}" in sealed
        checked = run_ratui("check", study.path, "--signers", self.signers(key), "--root", digest)
        assert "signed by manager@example.org" in checked.decode()
        assert "no root with the digest" in run_ratui("check", study.path, "--root", "0" * 64, code=4).decode()
        tamper(regions(study), move_boxes)
        name = f"regions/{study.cases()[0]}.json"
        assert f"{name}: it was changed without a record" in run_ratui("check", study.path, code=4).decode()
        assert "1 file changed without a record" in run_ratui("seal", study.path, code=3).decode()
        assert f"{name}: accepted" in run_ratui("seal", study.path, "--accept", name).decode()
        assert f"an unrecorded change of {name} was accepted by hand" in run_ratui("check", study.path).decode()
        assert "not recorded" in run_ratui("seal", study.path, "--accept", "../x", code=1).decode()
