"""The Python interface of ratui and of the trainer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import ratui
import trainer
from ratui.demo.sample import find_sample
from ratui.detection.wrist_sites import WRIST_SITES
from ratui.errors import FilmError, StudyError, TrainError
from ratui.imaging import normalize_intensity
from ratui.study.model_results.model_domain import DomainReason
from trainer.api import Scorer, _crop
from trainer.models.checkpoint_files import save_checkpoint
from trainer.models.scorer import build_scorer
from trainer.training.domain_statistics import fit_domain
from trainer.training.model_domain import ModelDomain
from trainer.training.scorer_domain import extract_scorer_features

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    """Return an untrained scorer for the scheme of ten finger joints."""
    about = {
        "grades": [6, 5],
        "group_names": ["PIP", "MCP"],
        "scales": ["ERO", "JSN"],
        "pairing": "coupled",
        "crowd": "none",
        "raters": 1,
        "width": 8,
    }
    torch.manual_seed(0)
    run = tmp_path_factory.mktemp("run")
    save_checkpoint(run / "model.pt", {"model": build_scorer(about).state_dict(), "about": about})
    return trainer.load_scorer(run)


class TestStudies:
    def test_a_frame_has_a_row_for_each_field_of_each_reading(self) -> None:
        study = ratui.open_study(find_sample())
        frame = study.to_frame(interim=True)
        signed = [reading for case in study.cases() for reading in study.signed_readings(case)]
        assert len(frame) == sum(len(reading.fields) for reading in signed)
        row = frame.iloc[0]
        reading = next(r for r in signed if (r.case, r.rater) == (row.case, row.reader))
        field = next(f for f in reading.fields if (f.site, f.scale, f.time) == (row.site, row.scale, row.time))
        assert row.score == reading.score(field)

    def test_a_frame_leaves_out_cases_that_a_rater_has_not_signed(self) -> None:
        study = ratui.open_study(find_sample())
        assert set(study.to_frame().case) < set(study.to_frame(interim=True).case)

    def test_an_unknown_rater_is_an_error(self) -> None:
        with pytest.raises(StudyError, match="nobody"):
            ratui.open_study(find_sample()).to_frame(["nobody"])

    def test_a_missing_film_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(FilmError):
            ratui.read_film(tmp_path / "none.dcm")


class TestModels:
    def test_the_detector_finds_the_confirmed_joints(self) -> None:
        study = ratui.open_study(find_sample())
        case = study.case(study.cases()[0])
        film = case.film(0, "L", "hand", study.scheme)
        assert film is not None
        hands = trainer.load_detector("shipped").find(study.film(case.id, film.id), max_hands=1)
        boxes = {r.site: r.box for r in study.regions(case.id) if r.film == film.id and r.site.startswith("L.")}
        found_joints = hands[0].joints
        assert {f"L.{joint}" for joint in found_joints} == set(boxes) | {f"L.{site}" for site in WRIST_SITES}
        for joint, found in found_joints.items():
            if joint in WRIST_SITES:  # the sample study scores fingers only
                assert np.isnan(found.finding)
                continue
            box = boxes[f"L.{joint}"]
            assert box is not None
            offset = np.hypot(
                found.box[0] + found.box[2] - box[0] - box[2], found.box[1] + found.box[3] - box[1] - box[3]
            )
            assert offset / 2 < 0.3 * (box[2] - box[0])

    def test_a_film_with_its_box_is_scored_as_its_crop_is(self, scorer: Scorer) -> None:
        study = ratui.open_study(find_sample())
        case = study.case(study.cases()[0])
        records = [case.film(time, "L", "hand", study.scheme) for time in (0, 1)]
        films = [study.film(case.id, record.id) for record in records if record]
        box = (200.0, 200.0, 280.0, 280.0)
        whole = scorer.score((films[0], box), (films[1], box), joint="MCP2", side="L")
        crops = [normalize_intensity(film.pixels)[190:290, 190:290] for film in films]  # 1.25 times the box
        cut = scorer.score(crops[0], crops[1], joint="MCP2", side="L")
        assert set(whole) == {"ERO", "JSN"}
        for scale, answer in whole.items():
            assert [len(each) for each in answer.probabilities] == [{"ERO": 6, "JSN": 5}[scale]] * 2
            assert [sum(each) for each in answer.probabilities] == pytest.approx([1, 1])
            assert np.allclose(answer.probabilities, cut[scale].probabilities, atol=0.02)

    def test_a_right_joint_is_scored_as_the_left_one_in_a_mirror(self, scorer: Scorer) -> None:
        images = np.random.default_rng(0).random((2, 90, 90))
        right = scorer.score(images[0], images[1], joint="PIP3", side="R")
        left = scorer.score(images[0][:, ::-1], images[1][:, ::-1], joint="PIP3", side="L")
        assert np.allclose(right["ERO"].probabilities, left["ERO"].probabilities, atol=0.01)

    def test_a_scorer_judges_whether_the_joints_of_a_film_are_like_those_that_it_learned_from(
        self, scorer: Scorer
    ) -> None:
        rng = np.random.default_rng(3)
        noise = (rng.random((320, 90, 90)) * 255).astype(np.uint8)
        smooth = [np.linspace(0, 1, 90) * np.ones((90, 1))] * 8
        features = extract_scorer_features(
            scorer.network, np.stack([[_crop(each, mirrored=False)] * 2 for each in noise])
        )
        films = [str(row // 4) for row in range(len(noise))]
        known = fit_domain(features[:, 0], films, films, is_held_out=True)
        judging = Scorer(scorer.network, scorer._about, "", scorer._scheme, ModelDomain(known))
        like = judging.judge(list((rng.random((4, 90, 90)) * 255).astype(np.uint8)), side="L")
        assert like.is_like
        assert like.score is not None
        assert like.score < 1
        unlike = judging.judge(smooth, side="L")
        assert unlike.reason is DomainReason.UNLIKE
        assert unlike.score is not None
        assert unlike.score > 1
        assert judging.judge(smooth[:2], side="L").reason is DomainReason.FEW_JOINTS
        assert judging.judge([], side="R").reason is DomainReason.FEW_JOINTS
        with pytest.raises(TrainError, match="side"):
            judging.judge(smooth, side="B")

    def test_a_scorer_of_simulated_films_without_statistics_judges_no_film_as_known(self, scorer: Scorer) -> None:
        image = np.random.default_rng(0).random((90, 90))
        assert scorer.judge([image] * 3, side="L").is_like  # an own model of an earlier version answers for all
        simulated = Scorer(scorer.network, scorer._about, "", scorer._scheme, ModelDomain(is_simulated=True))
        assert simulated.judge([image] * 3, side="L").reason is DomainReason.UNKNOWN

    def test_a_joint_that_the_scorer_did_not_learn_is_an_error(self, scorer: Scorer) -> None:
        image = np.zeros((50, 50))
        with pytest.raises(TrainError, match="LUN"):
            scorer.score(image, image, joint="LUN", side="L")
        with pytest.raises(TrainError, match="side"):
            scorer.score(image, image, joint="MCP2", side="B")
        with pytest.raises(TrainError, match="shape"):
            scorer.score(np.zeros((50, 40)), image, joint="MCP2", side="L")

    def test_importing_the_trainer_loads_no_torch(self) -> None:
        program = "import sys, trainer; sys.exit('torch' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_interface_is_typed_and_explicit() -> None:
    for package in (ratui, trainer):
        assert (Path(package.__file__ or "").parent / "py.typed").exists()
        assert all(hasattr(package, name) for name in package.__all__)
