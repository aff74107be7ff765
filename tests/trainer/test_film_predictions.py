"""Predictions for films of a folder: joints, findings, grades and changes, against values from the Python interface."""

import csv
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import ratui
import trainer
from ratui.detection.finger_joints import normalise_levels
from ratui.detection.hand_finder import find_hands
from ratui.errors import StudyError, TrainError
from ratui.scheme import load_scheme
from trainer.cli import main
from trainer.data.pairs import PAIR_CROP_SIZE, PairSamples, crop_joint
from trainer.inference import film_predictions
from trainer.inference.film_pairs import FilmPair, read_film_pairs
from trainer.inference.film_predictions import FolderSummary, predict_folder
from trainer.inference.scoring import TrainedScorer, load_scorers, score_samples
from trainer.models.checkpoint_files import save_checkpoint
from trainer.models.detector import load_detector
from trainer.models.scorer import build_scorer
from trainer.shipped import SHIPPED

CPU = torch.device("cpu")
FILMS = Path(__file__).parents[2] / "sample_data" / "study" / "films" / "C-6TVYOC"
EARLIER, LATER, RIGHT = "5e15ffaacc80.dcm", "3dcbcb13d7c4.dcm", "45c76b39ad79.dcm"
FINGERS = load_scheme("fingers")
PNG_HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


def save_scorer(folder: Path, seed: int, **changes: object) -> Path:
    """Save a scorer with random weights, large enough that grades differ, as one of the scheme mtss-hands."""
    about = {
        "grades": [6, 5],
        "group_names": ["PIP", "MCP", "carpal ERO", "carpal JSN", "carpal"],
        "scales": ["ERO", "JSN"],
        "pairing": "coupled",
        "crowd": "none",
        "raters": 1,
        "loss": "pair",
        "width": 8,
        **changes,
    }
    torch.manual_seed(seed)
    network = build_scorer(about)
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(1.5)
    folder.mkdir(exist_ok=True)
    save_checkpoint(folder / "model.pt", {"model": network.state_dict(), "about": about})
    return folder


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_scorer(tmp_path_factory.mktemp("scorer"), 1)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with three films of one patient (one as a turned negative picture), and with files that are none."""
    folder = tmp_path_factory.mktemp("films")
    (folder / "series").mkdir()
    shutil.copy(FILMS / EARLIER, folder / EARLIER)
    shutil.copy(FILMS / LATER, folder / "series" / LATER)
    levels = normalise_levels(ratui.read_film(FILMS / RIGHT))
    Image.fromarray(np.rint(255 * (1 - np.rot90(levels))).astype(np.uint8)).save(folder / "right.png")
    Image.fromarray(np.full((300, 200), 90, np.uint8)).save(folder / "empty.jpg")
    (folder / "damaged.dcm").write_bytes((FILMS / RIGHT).read_bytes()[:3000])
    (folder / "bomb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\x7f\xff\xff\xff" * 2 + b"\x08\0\0\0\0" + bytes(9)
    )
    (folder / "pairs.csv").write_text(f"\ufefffirst;second;side\n{EARLIER};series\\{LATER};L\n\n", encoding="utf-8")
    return folder


COLUMNS = "film,time,other_film,side,joint,x0,y0,x1,y1,score,finding,domain,no_finding"


def read(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


@pytest.fixture(scope="module")
def scored() -> list[PairSamples]:
    """Return the samples that the scorer gets in `predicted`."""
    return []


@pytest.fixture(scope="module")
def predicted(
    films: Path, scorer: Path, scored: list[PairSamples], tmp_path_factory: pytest.TempPathFactory
) -> tuple[FolderSummary, Path]:
    out = tmp_path_factory.mktemp("out") / "joints.csv"

    def note(scorers: Sequence[TrainedScorer], samples: PairSamples) -> list[np.ndarray]:
        scored.append(samples)
        return score_samples(scorers, samples)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(film_predictions, "score_samples", note)
        pairs = films / "pairs.csv"
        return predict_folder(films, out, CPU, scheme=FINGERS, detector=SHIPPED, scorers=(scorer,), pairs=pairs), out


def test_each_film_has_its_joints_and_each_other_file_one_line(predicted: tuple[FolderSummary, Path]) -> None:
    summary, out = predicted
    rows = read(out)
    joints = {joint.id for joint in FINGERS.joints}
    for film, side in ((EARLIER, "L"), (f"series/{LATER}", "L"), ("right.png", "R")):
        assert {row["joint"] for row in rows if row["film"] == film} == joints
        assert {row["side"] for row in rows if row["film"] == film} == {side}
    assert len(rows) == 30
    assert (summary.films, summary.hands, summary.exit_code) == (3, 3, 0)
    names = sorted(line.partition(":")[0] for line in summary.problems)
    assert names == ["bomb.png", "damaged.dcm", "empty.jpg"], "the table of pairs is no film"


def number(row: Mapping[str, str], *columns: str) -> list[float]:
    return [float(row[column]) for column in columns]


def test_boxes_are_in_pixels_of_the_file(predicted: tuple[FolderSummary, Path]) -> None:
    """The picture was turned by a quarter anticlockwise, so (x, y) of the film are at (y, width − x) on it."""
    found = {name: ratui.read_film(FILMS / name) for name in (RIGHT, LATER)}
    hands = {name: trainer.load_detector("shipped").find(film)[0] for name, film in found.items()}
    for row in read(predicted[1]):
        if row["film"] == "right.png":
            x0, y0, x1, y1 = hands[RIGHT].joints[row["joint"]].box
            turned = [y0, found[RIGHT].columns - x1, y1, found[RIGHT].columns - x0]
            assert number(row, "x0", "y0", "x1", "y1") == pytest.approx(turned, abs=3)
        elif row["film"] == f"series/{LATER}":
            joint = hands[LATER].joints[row["joint"]]
            assert number(row, "x0", "y0", "x1", "y1") == pytest.approx(joint.box, abs=0.06)
            assert number(row, "score", "finding") == pytest.approx([joint.score, joint.finding], abs=1e-3)


def test_each_simulated_film_is_like_those_of_the_detector(predicted: tuple[FolderSummary, Path]) -> None:
    rows = read(predicted[1])
    assert all(0 <= float(row["domain"]) <= 1 and row["no_finding"] == "" for row in rows)
    assert all(0 <= float(row["finding"]) <= 1 for row in rows)
    assert {(row["grades_domain"], row["no_grades"]) for row in rows} == {("", "")}, (
        "nobody measured that of the scorer"
    )
    assert (predicted[0].unlike, predicted[0].ungraded) == (0, 0)


def test_a_pair_has_grades_at_both_time_points_and_a_change(
    predicted: tuple[FolderSummary, Path], scorer: Path
) -> None:
    model = trainer.load_scorer(scorer, scheme="fingers")
    one, two = ratui.read_film(FILMS / EARLIER), ratui.read_film(FILMS / LATER)
    detector = load_detector(SHIPPED, CPU)
    boxes = [
        {
            name: tuple(each.box)
            for name, each in find_hands(detector, normalise_levels(film), FINGERS)[0].joints.items()
        }
        for film in (one, two)
    ]
    rows = {(row["time"], row["joint"]): row for row in read(predicted[1]) if row["other_film"]}
    assert len(rows) == 20
    for joint in boxes[0]:
        wanted = model.score((one, boxes[0][joint]), (two, boxes[1][joint]), joint=joint, side="L")  # type: ignore[arg-type]
        for scale, answer in wanted.items():
            for time in (0, 1):
                row = rows[str(time), joint]
                assert row["other_film"] == (f"series/{LATER}", EARLIER)[time]
                assert float(row[f"{scale}_expected"]) == pytest.approx(answer.expected(time), abs=1e-3)
                assert int(row[f"{scale}_grade"]) == answer.grades[time]
                known = number(row, *(f"{scale}_p{grade}" for grade in range(len(answer.probabilities[time]))))
                assert known == pytest.approx(answer.probabilities[time], abs=1e-3)
            assert rows["0", joint][f"{scale}_change"] == ""
            assert int(rows["1", joint][f"{scale}_change"]) == answer.change
            assert float(rows["1", joint][f"{scale}_change_error"]) == pytest.approx(answer.uncertainty, abs=1e-3)
    assert rows["0", "IP1"]["JSN_grade"] == "", "the joint has no such scale"
    assert any(row["ERO_grade"] != "0" for row in rows.values())


def test_a_single_film_has_grades_and_no_change(predicted: tuple[FolderSummary, Path], scorer: Path) -> None:
    model, film = trainer.load_scorer(scorer, scheme="fingers"), ratui.read_film(FILMS / RIGHT)
    hand = trainer.load_detector("shipped").find(film)[0]
    for row in read(predicted[1]):
        if row["film"] == "right.png":
            shown = film, tuple(hand.joints[row["joint"]].box)
            answer = model.score(shown, shown, joint=row["joint"], side="R")["ERO"]  # type: ignore[arg-type]
            assert float(row["ERO_expected"]) == pytest.approx(answer.expected(0), abs=0.15), (
                "it is upright and positive"
            )
            assert row["time"] == row["other_film"] == row["ERO_change"] == row["ERO_change_error"] == ""


@pytest.mark.usefixtures("predicted")
def test_the_scorer_sees_upright_left_joints_with_bright_bone(scored: list[PairSamples]) -> None:
    """The picture is a turned negative of a right hand; its crops are those of the film, mirrored."""
    (samples,) = [each for each in scored if each.sites[0].startswith("R.")]
    film = ratui.read_film(FILMS / RIGHT)
    hand = trainer.load_detector("shipped").find(film)[0]
    for row, site in enumerate(samples.sites):
        wanted = crop_joint(normalise_levels(film), hand.joints[site.partition(".")[2]].box, mirrored=True)
        for crop in samples.crops[row]:
            # The boxes on the negative lie some pixels off; a wrong side, rotation or polarity gives far less.
            assert np.corrcoef(crop.ravel(), wanted.ravel())[0, 1] > 0.8
    assert np.array_equal(samples.crops[:, 0], samples.crops[:, 1]), "the other time point is the same film"
    (pair,) = [each for each in scored if each.sites[0].startswith("L.")]
    for time, name in enumerate((EARLIER, LATER)):
        film = ratui.read_film(FILMS / name)
        hand = trainer.load_detector("shipped").find(film)[0]
        for row, site in enumerate(pair.sites):
            wanted = crop_joint(normalise_levels(film), hand.joints[site.partition(".")[2]].box, mirrored=False)
            assert np.abs(pair.crops[row, time].astype(int) - wanted).mean() < 1


def test_the_table_without_a_scorer_and_the_exit_code_of_a_folder_without_films(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "note.dcm").write_text("no film")
    monkeypatch.setattr("sys.argv", ["ratui-train", "predict", str(tmp_path / "in"), "--csv", str(tmp_path / "o.csv")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "not predicted: note.dcm: it is not a DICOM file" in capsys.readouterr().err
    assert (tmp_path / "o.csv").read_text() == f"{COLUMNS}\n"
    with pytest.raises(StudyError):
        predict_folder(tmp_path / "none", tmp_path / "o.csv", CPU, scheme=FINGERS, detector=SHIPPED)


def test_names_like_formulas_and_names_that_differ_in_unprintable_characters(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    shutil.copy(FILMS / EARLIER, folder / "=1+1.dcm")
    shutil.copy(FILMS / LATER, folder / "\uff0d2.dcm")
    (tmp_path / "pairs.csv").write_text("first,second\n=1+1.dcm,./\uff0d2.dcm\n", encoding="utf-8")
    for name, content in (("a\x01.png", b"x"), ("a\x02.png", b"y")):
        (folder / name).write_bytes(content)
    summary = predict_folder(
        folder, tmp_path / "joints.csv", CPU, scheme=FINGERS, detector=SHIPPED, pairs=tmp_path / "pairs.csv"
    )
    named = {(row["film"], row["other_film"]) for row in read(tmp_path / "joints.csv")}
    assert named == {("./=1+1.dcm", "./\uff0d2.dcm"), ("./\uff0d2.dcm", "./=1+1.dcm")}
    assert len(summary.problems) == 2
    assert sum("a�.png: another film has the same name" in problem for problem in summary.problems) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("first,last\na,b\n", "lacks the columns"),
        ("first,second\na,c\n", "line 2 names c, which is not in the folder"),
        ("first,second\na,b\na,a\n", "line 3 names one film twice"),
        ("first,second,side\na,b,middle\n", "line 2 has the side middle"),
        ("first,second\na\n", "line 2 names no film"),
        ("first,second\n", "names no pair"),
        ("", "lacks the columns"),
    ],
)
def test_a_table_of_pairs_that_does_not_fit_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(TrainError, match=problem):
        read_film_pairs(tmp_path / "pairs.csv", {"a": 1, "b": 1})


def test_a_table_of_pairs(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text("second\tfirst\tSide\nx/b\ta\tright\na\tx\\b\t\n")
    names = {"a": 1, "x/b": 1}
    assert read_film_pairs(tmp_path / "pairs.csv", names) == (FilmPair("a", "x/b", "R"), FilmPair("x/b", "a", ""))
    (tmp_path / "pairs.csv").write_bytes(b"first,second\n\xff,b")
    with pytest.raises(TrainError, match="can't be read"):
        read_film_pairs(tmp_path / "pairs.csv", names)


def make_samples(**changes: object) -> PairSamples:
    rng = np.random.default_rng(0)
    values: dict[str, object] = {
        "crops": rng.integers(0, 256, (4, 2, PAIR_CROP_SIZE, PAIR_CROP_SIZE), np.uint8),
        "labels": np.full((4, 1, 2, 2), -1),
        "max_grades": np.array([[3, 4], [5, 2], [5, -1], [4, 4]]),
        "groups": np.array([1, 0, 1, 0]),
        "has_finding": np.zeros((4, 1, 2), bool),
        "cases": ("",) * 4,
        "sites": ("",) * 4,
        "group_names": ("MCP", "PIP"),
        "scales": ("ERO", "JSN"),
        **changes,
    }
    return PairSamples(**values)  # type: ignore[arg-type]


class TestSchemes:
    def test_groups_and_scales_are_matched_by_name(self, tmp_path: Path) -> None:
        """The same weights under names in another order are another scorer; by name they are one."""
        run = save_scorer(tmp_path, 2, group_names=["PIP", "wrist", "MCP"], scales=["JSN", "ERO"], grades=[5, 6])
        (loaded,) = load_scorers([run], CPU)
        samples = make_samples()
        ero, jsn = score_samples([loaded], samples)
        assert ero.shape == (4, 6, 6)
        assert jsn.shape == (4, 5, 5)
        crops = torch.from_numpy(samples.crops).float() / 255
        with torch.no_grad():  # PIP is its group 0 and MCP its group 2, JSN its scale 0 and ERO its scale 1
            wanted = loaded.network(
                crops, torch.tensor([0, 2, 0, 2]), torch.from_numpy(samples.max_grades[:, ::-1].copy())
            )
        assert ero == pytest.approx(wanted[1][:, 0].exp().numpy(), abs=1e-6)
        assert jsn == pytest.approx(wanted[0][:, 0].exp().numpy(), abs=1e-6)
        assert ero.sum(axis=(1, 2)) == pytest.approx(np.ones(4), abs=1e-6)

    def test_a_smaller_scheme_has_fewer_grades_and_scales(self, tmp_path: Path) -> None:
        loaded = load_scorers([save_scorer(tmp_path, 2)], CPU)
        (jsn,) = score_samples(loaded, make_samples(scales=("JSN",), max_grades=np.array([[3], [2], [-1], [3]])))
        assert jsn.shape == (4, 4, 4)
        assert jsn.sum(axis=(1, 2)) == pytest.approx(np.ones(4), abs=1e-6)

    @pytest.mark.parametrize(
        ("changes", "missing"),
        [
            ({"group_names": ("MCP", "toe")}, "the group of joints toe"),
            ({"scales": ("ERO", "SYN")}, "the scale SYN"),
            ({"max_grades": np.array([[3, 5]] * 4)}, "the grade 5 of JSN"),
        ],
    )
    def test_what_a_scorer_did_not_learn_is_named(self, scorer: Path, changes: dict[str, object], missing: str) -> None:
        with pytest.raises(TrainError, match=f"did not learn {missing}"):
            score_samples(load_scorers([scorer], CPU), make_samples(**changes))

    def test_a_group_that_no_joint_has_is_not_missing(self, scorer: Path) -> None:
        names = ("toe", "PIP", "MCP")
        found = score_samples(
            load_scorers([scorer], CPU), make_samples(group_names=names, groups=np.array([1, 2, 1, 2]))
        )
        assert len(found) == 2


def test_several_scorers_give_the_mean_of_their_probabilities(tmp_path: Path) -> None:
    runs = [save_scorer(tmp_path / "a", 3), save_scorer(tmp_path / "b", 4), save_scorer(tmp_path / "c", 5)]
    samples = make_samples()
    apart = [score_samples(load_scorers([run], CPU), samples) for run in runs]
    together = score_samples(load_scorers(runs, CPU), samples)
    for scale in (0, 1):
        wanted = (apart[0][scale] + apart[1][scale] + apart[2][scale]) / 3
        assert together[scale] == pytest.approx(wanted, abs=1e-9)
        assert np.abs(apart[0][scale] - apart[1][scale]).max() > 0.01
