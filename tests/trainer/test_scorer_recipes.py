"""Class weights of the scorer, and its training on simulated patients without a study."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from ratui.errors import TrainError
from tests.trainer.synthetic import make_cohort, make_pairs, make_scorer
from trainer import cli
from trainer.data import cohort
from trainer.data.cohort import read_true_grades
from trainer.data.pairs import drop_fixed_scores
from trainer.models.losses import pair_loss, scorer_loss, status_loss, weigh_grades
from trainer.models.scorer import load_scorer_network
from trainer.training.lineage import read_lineage
from trainer.training.processes import SINGLE_PROCESS
from trainer.training.scorer_training import make_batch_loss, make_scorer_batches, make_scorer_validation

CPU = torch.device("cpu")
LABELS = torch.tensor(
    [  # joint, rater, scale, time
        [[[0, 0], [0, 1]], [[0, 0], [-1, -1]]],
        [[[0, 3], [1, 1]], [[0, -1], [2, 1]]],
        [[[3, 0], [-1, 2]], [[0, 0], [0, 0]]],
    ]
)
# First scale: 8 + 1 zeros and two threes; second: 3 zeros, 4 ones, two twos.
FREQUENCIES = ([9, 0, 0, 2], [3, 4, 2])


class TestWeights:
    @pytest.mark.parametrize(("kind", "power"), [("balanced", -1.0), ("sqrt", -0.5)])
    def test_a_rare_grade_weighs_more_and_the_mean_is_one(self, kind: str, power: float) -> None:
        found = weigh_grades(LABELS, (4, 3), kind)
        assert found is not None
        for weights, frequencies in zip(found, FREQUENCIES, strict=True):
            known = [(f, float(w)) for f, w in zip(frequencies, weights, strict=True) if f]
            assert sum(f * w for f, w in known) == pytest.approx(sum(frequencies))
            (first, weight), *others = known
            for other, its_weight in others:
                assert its_weight / weight == pytest.approx((other / first) ** power)
        assert found[0][1:3].tolist() == [0, 0]

    def test_none_and_unknown_ones(self) -> None:
        assert weigh_grades(LABELS, (4, 3), "none") is None
        with pytest.raises(TrainError, match="no class weights inverse"):
            weigh_grades(LABELS, (4, 3), "inverse")

    def test_a_joint_counts_by_the_mean_weight_of_its_scores(self) -> None:
        draw = torch.Generator().manual_seed(0)
        pairs = [torch.randn(3, 1, n, n, generator=draw).flatten(1).log_softmax(1).reshape(3, 1, n, n) for n in (4, 3)]
        weights = [torch.tensor([1.0, 2.0, 4.0, 8.0]), torch.tensor([3.0, 5.0, 7.0])]
        expected = 0.0
        for joint, rater, scale in np.ndindex(3, 2, 2):
            scores = [int(each) for each in LABELS[joint, rater, scale]]
            known = [time for time in (0, 1) if scores[time] >= 0]
            if not known:
                continue
            weight = sum(float(weights[scale][scores[time]]) for time in known) / len(known)
            table = pairs[scale][joint]
            if len(known) == 2:
                cost = pair_loss("ce", table, torch.tensor([scores]), 0.5)
            else:
                cost = status_loss("ce", table.logsumexp(dim=2 - known[0]), torch.tensor([scores[known[0]]]))
            expected += weight * float(cost)
        found = scorer_loss(pairs, LABELS, name="ce", difference=0.5, count=2.0, weights=weights)
        assert float(found) == pytest.approx(expected / 2)

    def test_training_and_validation_use_them(self) -> None:
        samples, model = make_pairs(LABELS), make_scorer("coupled", dropout=False).eval()
        rows = torch.arange(3)
        batch = next(iter(make_scorer_batches(samples, 3, 0, CPU)(0, SINGLE_PROCESS)))

        def measure(weights: list[Tensor] | None) -> tuple[float, float]:
            with torch.no_grad():
                loss = float(make_batch_loss(model, "pair", 0.0, weights=weights)(model, batch))
                return loss, make_scorer_validation(samples, rows, "pair", 0.0, weights=weights)(model)

        plain, ones, twos = (measure(each and [torch.full((n,), each) for n in (4, 3)]) for each in (None, 1.0, 2.0))  # type: ignore[arg-type]
        assert plain == pytest.approx(ones)
        assert twos == pytest.approx([2 * value for value in plain])


class TestPhantoms:
    def test_labels_are_the_true_grades_of_the_scales_that_a_joint_has(self) -> None:
        people = make_cohort(3)
        people.has_finding[4, 1] = True
        samples = read_true_grades(people, 9)
        for row in range(len(people.crops)):
            for scale in range(2):
                true = people.true_grades[row, scale] if people.max_grades[row, scale] >= 0 else [-1, -1]
                assert samples.labels[row, 0, scale].tolist() == list(true)
        assert (samples.labels == -1).any() == (people.max_grades == -1).any()
        assert samples.cases[0] == "phantom-9-0"
        assert samples.cases[-1] == "phantom-9-2"
        learned = drop_fixed_scores(samples).labels
        assert (learned[4] == -1).all()
        assert (learned[5] == samples.labels[5]).all()

    def test_a_scorer_is_trained_without_a_study(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cohort, "PATIENTS_PER_FILE", 2)
        out = tmp_path / "run"
        words = ("--out", str(out), "--phantoms", "2", "--epochs", "1", "--width", "8", "--class-weights", "sqrt")
        done = CliRunner().invoke(cli.commands, ["scorer", *words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        model, about = load_scorer_network(out, CPU)
        assert about["scales"] == ["ERO", "JSN"]
        assert len(about["group_names"]) == model.group.num_embeddings
        (data,) = read_lineage(out / "model.pt").data
        assert (data.kind, data.id, data.cases) == ("simulated films", "0", ())
        assert read_lineage(out / "model.pt").is_simulated()
        plan = json.loads((out / "config.json").read_text())["plan"]
        assert (plan["phantoms"], plan["class_weights"]) == (2, "sqrt")
        assert (out / "model-card.md").exists()

    def test_unknown_class_weights_are_refused_before_anything_is_written(self, tmp_path: Path) -> None:
        words = ("--out", str(tmp_path / "run"), "--phantoms", "2", "--class-weights", "inverse")
        with pytest.raises(TrainError, match="no class weights inverse"):
            CliRunner().invoke(cli.commands, ["scorer", *words], catch_exceptions=False)
        assert not (tmp_path / "run").exists()

    def test_either_a_study_or_simulated_patients_are_needed(self, tmp_path: Path) -> None:
        with pytest.raises(TrainError, match="learns from a study or from simulated patients"):
            CliRunner().invoke(cli.commands, ["scorer", "--out", str(tmp_path / "run")], catch_exceptions=False)
        assert not (tmp_path / "run").exists()
