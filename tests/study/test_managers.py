"""Only managers know time points and readings that are not released, whatever another account does."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas
import pytest
import torch

import ratui.regions.initial
from ratui.reading import Field, GradeEntry, enter
from ratui.results.adjudication import Adjudication
from ratui.results.frame import build_frame
from ratui.results.progress import measure_progress
from ratui.results.released import collect_released_readings
from ratui.study import Study
from ratui.study.copies.backup import back_up
from tests.support.accounts import as_account
from tests.support.shared_study import ANNA, BERT, MANAGERS_GROUP, OWNER, RATERS_GROUP, make_shared
from tests.tui.readings import store_reading
from trainer.data.pairs import list_signed_cases, load_pair_samples
from trainer.evaluation.evaluate import evaluate_models
from trainer.inference.predictions import predict_study
from trainer.inference.proposals import propose_regions
from trainer.training.detector_training import train_detector
from trainer.training.loop import TrainingPlan
from trainer.training.runs import RunPlan
from trainer.training.scorer_training import train_scorer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as other accounts"),
]

MANAGER, ANALYST = 20_003, 20_004
GROUPS = {MANAGER: [MANAGERS_GROUP]}
NAMES = {
    "os": os,
    "Path": Path,
    "Adjudication": Adjudication,
    "Field": Field,
    "GradeEntry": GradeEntry,
    "back_up": back_up,
    "build_frame": build_frame,
    "enter": enter,
    "measure_progress": measure_progress,
    "collect_released_readings": collect_released_readings,
    "store_reading": store_reading,
}
"""Names that the code of `act` may use."""
# ratui imports these when they are needed, but an account may not be able to read the interpreter's files.
assert pandas
assert ratui.regions.initial


def act(uid: int, path: Path, *codes: str, **names: object) -> list[str]:
    """Run each of `codes` as an account; return the value of its variable `seen` or its error as one line.

    The code may use NAMES, `names`, the study at `path` and its first case.
    """

    def run() -> list[str]:
        os.environ["XDG_CACHE_HOME"] = "/nonexistent"
        outcomes = []
        for code in codes:
            try:
                study = Study.open(path)
                values = {**NAMES, **names, "study": study, "case": study.cases()[0], "seen": ""}
                exec(code, values)
                seen = str(values["seen"])
            except Exception as error:
                seen = f"{type(error).__name__}: {error}"
            outcomes.append(seen.replace("\n", " "))
        return outcomes

    return as_account(uid, run, gid=RATERS_GROUP, groups=GROUPS.get(uid, []))


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Path]:
    # pytest's own folder is closed to other accounts.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield make_shared(Path(folder) / "study", tmp_path / "h", blinded=True).path


UNRELEASED = {
    "interim": "seen = collect_released_readings(study, interim=True).readings",
    "data frame": "seen = build_frame(study, interim=True)",
    "adjudication": "seen = Adjudication(study, ()).signed_readings(case)",
    "signed readings": "seen = study.signed_readings(case)",
    "of a snapshot": "with study.snapshot() as copy: seen = copy.signed_readings(case)",
}
TIMES = {
    "case": "seen = study.case(case)",
    "visits": "seen = study.visits(case)",
    "order": "seen = study.order('anna', case)",
    "own reading with times": "seen = study.reading('bert', case)",
    "released": "seen = collect_released_readings(study).kept_back",
}


class TestRatersOfABlindedStudy:
    def test_a_rater_who_has_not_begun_sees_no_reading(self, shared: Path) -> None:
        for outcome in act(ANNA, shared, *UNRELEASED.values()):
            assert outcome.startswith("StudyError: ")
            assert "only managers of the study may" in outcome

    def test_a_rater_who_renames_their_own_folder_for_a_moment_sees_no_reading(self, shared: Path) -> None:
        begun = "with study.as_rater('anna').open_reading('anna', case) as s: s.save(s.reading)"
        renamed = (
            "readings = study.path / 'readings'\nos.rename(readings / 'anna', readings / 'aside')\n"
            "try:\n    {}\nfinally:\n    os.rename(readings / 'aside', readings / 'anna')\n"
        )
        first, *outcomes = act(ANNA, shared, begun, *(renamed.format(code) for code in UNRELEASED.values()))
        assert first == ""
        for outcome in outcomes:
            assert outcome.startswith("StudyError: ")
            assert "only managers of the study may" in outcome

    def test_no_rater_knows_a_time_point(self, shared: Path) -> None:
        for uid in (ANNA, BERT, ANALYST):
            for outcome in act(uid, shared, *TIMES.values()):
                assert outcome.startswith("StudyError: ")
                assert "only managers of the study may" in outcome

    def test_the_kernel_refuses_the_private_folder(self, shared: Path) -> None:
        attacks = (
            "seen = os.listdir(study.path / 'private')",
            "seen = os.listdir(study.path / 'private' / 'visits')",
            "seen = (study.path / 'private' / 'visits' / f'{case}.json').read_bytes()",
            "seen = (study.path / 'private' / 'visits' / f'{case}.json.bak').read_bytes()",
            "seen = os.stat(study.path / 'private' / 'visits' / f'{case}.json')",
            "seen = os.rename(study.path / 'private', study.path / 'mine')",
            "back_up(study, Path('/tmp/never-made-by-a-rater.zip'))",
        )
        for uid in (ANNA, BERT, ANALYST):
            *outcomes, packed = act(uid, shared, *attacks)
            assert all(outcome.startswith("PermissionError") for outcome in outcomes), outcomes
            assert "only the study's owner" in packed

    def test_no_file_that_a_rater_can_read_contains_a_day_or_a_secret(self, shared: Path) -> None:
        """Search every byte that the kernel shows to a rater."""
        code = (
            "found = [p for p in study.path.rglob('*') if p.is_file() and os.access(p, os.R_OK)]\n"
            "data = {str(p.relative_to(study.path)): p.read_bytes() for p in found}\n"
            "assert len(data) > 10 and not [n for n in data if n.startswith('private')], sorted(data)\n"
            "seen = sorted(n for n, d in data.items() if b'secret' in d or b'\"day\"' in d or b'\"visit\"' in d)"
        )
        assert act(ANNA, shared, code) == ["[]"]

    def test_raters_can_work(self, shared: Path) -> None:
        read = (
            "view = study.as_rater('{0}')\n"
            "with view.open_reading('{0}', case) as s: s.save(s.reading)\n"
            "seen = (view.states('{0}')[0].stage, view.reading('{0}', case).order, len(view.regions(case)) > 0)"
        )
        progress = "seen = [(row.rater, row.state.stage) for row in measure_progress(study).rows]"
        assert act(ANNA, shared, read.format("anna"), progress) == [
            "('reading', (0, 1), True)",
            "[('anna', 'reading'), ('bert', 'signed')]",
        ]
        assert act(BERT, shared, read.format("bert")) == ["('signed', (0, 1), True)"]
        assert "uses another account" in act(BERT, shared, read.format("anna"))[0]

    def test_managers_see_everything(self, shared: Path) -> None:
        codes = (
            "seen = len(study.case(case).films)",
            "seen = sorted(study.order('bert', case))",
            "seen = list(collect_released_readings(study, interim=True).readings[case])",
            "seen = [r.rater for r in Adjudication(study, ()).signed_readings(case)]",
        )
        for uid in (OWNER, MANAGER, 0):
            assert act(uid, shared, *codes) == ["2", "[0, 1]", "['bert']", "['bert']"]

    def test_a_manager_who_is_not_the_owner_changes_nothing(self, shared: Path) -> None:
        attacks = (
            "(study.path / 'private' / 'visits' / f'{case}.json').write_bytes(b'')",
            "(study.path / 'private' / 'new').write_bytes(b'')",
            "study.save_case(study.case(case))",
        )
        assert all("ermission" in outcome for outcome in act(MANAGER, shared, *attacks))


def test_in_an_open_study_analysts_see_released_readings_only(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = make_shared(Path(folder) / "study", tmp_path / "h", blinded=False, managers="").path
        for outcome in act(ANALYST, path, *UNRELEASED.values()):
            assert outcome.startswith("StudyError: ")
            assert "only managers of the study may" in outcome
        assert act(ANALYST, path, "seen = (len(study.case(case).films), study.order('bert', case))") == ["(2, (0, 1))"]
        assert act(ANALYST, path, TIMES["released"])[0].endswith("'not signed by anna'}")
        assert act(ANNA, path, "store_reading(study, case, rater='anna', signed=True)") == [""]
        assert act(ANALYST, path, "seen = sorted(collect_released_readings(study).readings[case])") == [
            "['anna', 'bert']"
        ]


def test_a_group_of_managers_that_does_not_exist_here_has_no_members(tmp_path: Path) -> None:
    from ratui.study.accounts import is_manager
    from ratui.study.store import StudyFolder

    os.chown(tmp_path, OWNER, RATERS_GROUP)
    code = (
        "from ratui.study.accounts import is_manager\nfrom ratui.study.store import StudyFolder\n"
        f"import os, sys\nos.setgroups([]); os.setgid({RATERS_GROUP}); os.setuid({ANNA})\n"
        "print(is_manager(StudyFolder(__import__('pathlib').Path('/')), 'no-such-group'))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
    assert is_manager(StudyFolder(tmp_path), "no-such-group"), "root"


TRAINING = (
    "evaluate_models(study, None, Path('/nonexistent'), Path('/nonexistent'), device)",
    "predict_study(study, Path('/nonexistent'), 'm', device, Path('/nonexistent'))",
    "propose_regions(study, Path('/nonexistent'), 'm', device)",
    "train_scorer(study, Path('/nonexistent'), plan, device, None)",
    "train_detector(study, Path('/nonexistent'), plan, device, None)",
    "load_pair_samples(study, [case], Path('/nonexistent'), lambda *_: None)",
    "list_signed_cases(study)",
)


def test_the_trainer_s_commands_are_for_managers(shared: Path) -> None:
    names = {
        "device": torch.device("cpu"),
        "plan": RunPlan(TrainingPlan(), 1, loss="pair", rater_model="none"),
        "evaluate_models": evaluate_models,
        "list_signed_cases": list_signed_cases,
        "load_pair_samples": load_pair_samples,
        "predict_study": predict_study,
        "propose_regions": propose_regions,
        "train_detector": train_detector,
        "train_scorer": train_scorer,
    }
    for command, outcome in zip(TRAINING, act(ANNA, shared, *TRAINING, **names), strict=True):
        assert "only managers of the study may" in outcome, command
