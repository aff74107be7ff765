"""Agreement of a study: fields that are compared, and measures equal to those computed from the entries."""

import io
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ratui.errors import StudyError
from ratui.reading import Field, FindingEntry, GradeEntry, NotAssessableEntry
from ratui.results.agreement import Agreement, measure_agreement
from ratui.results.agreement_tables import make_agreement_tables
from ratui.results.released import collect_released_readings
from ratui.results.scores import ReadingScores
from ratui.results.totals import get_rule
from ratui.study import Study
from tests.results.studies import Special, noisy_study, read_study

pytestmark = pytest.mark.slow


def compare(study: Study, *raters: str) -> tuple[Agreement, ReadingScores]:
    return measure_agreement(study, collect_released_readings(study, raters), get_rule("common"))


ANNA: Special = {
    Field("L.MCP2", "ERO", 0): GradeEntry(1),
    Field("L.MCP2", "ERO", 1): GradeEntry(3),
    Field("R.MCP3", "JSN", 1): GradeEntry(2),
    Field("R.PIP2", "ERO", 1): FindingEntry("ankylosis"),
}
BERT: Special = {
    Field("L.MCP2", "ERO", 0): GradeEntry(1),
    Field("L.MCP2", "ERO", 1): GradeEntry(2),
    Field("L.PIP3", "ERO", 1): NotAssessableEntry("unreadable"),
}


class TestWhatIsCompared:
    def test_findings_count_with_the_score_that_they_set(self, tmp_path: Path) -> None:
        _, scores = compare(read_study(tmp_path, {"anna": ANNA, "bert": BERT}, patients=2))
        place = scores.fields.index(("R.PIP2", "JSN"))
        assert scores.values[0, 0, place].tolist() == [0, 4]
        assert scores.totals("JSN")[0].tolist() == [[0, 2 + 4], [0, 0]]

    def test_a_joint_that_one_rater_could_not_assess_is_left_out(self, tmp_path: Path) -> None:
        study = read_study(
            tmp_path,
            {
                "anna": {Field("L.PIP3", "ERO", 0): GradeEntry(5), Field("L.PIP3", "ERO", 1): GradeEntry(5)},
                "bert": BERT,
            },
            patients=2,
        )
        found, scores = compare(study)
        assert scores.totals("ERO")[0].tolist() == [[0, 0], [1, 2]]
        assert found.compared == found.fields - 1

    def test_a_case_that_not_all_have_signed_is_left_out(self, tmp_path: Path) -> None:
        study = read_study(tmp_path, {"anna": ANNA, "bert": BERT}, patients=3)
        study.reading_path("bert", study.cases()[1]).unlink()
        (study.path / "readings" / "bert" / f"{study.cases()[1]}.json.bak").unlink()
        found, _ = compare(study)
        assert found.cases == (study.cases()[0], study.cases()[2])
        assert found.kept_back == 1

    def test_one_rater_agrees_with_nobody(self, tmp_path: Path) -> None:
        with pytest.raises(StudyError, match="two raters"):
            compare(read_study(tmp_path, {"anna": ANNA}, patients=2))

    def test_one_case_is_too_few(self, tmp_path: Path) -> None:
        with pytest.raises(StudyError, match="one case"):
            compare(read_study(tmp_path, {"anna": ANNA, "bert": BERT}))


class TestFigures:
    def test_measures_equal_those_of_the_entries(self, tmp_path: Path) -> None:
        found, _ = compare(read_study(tmp_path, {"anna": ANNA, "bert": BERT}, patients=2))
        change = next(each for each in found.totals if (each.scale, each.quantity) == ("ERO", "change"))
        assert change.means == (2 + 5, 1)
        limits = next(each for each in found.limits if (each.scale, each.quantity) == ("ERO", "change"))
        assert limits.limits.bias.value == 6
        site = next(each for each in found.sites if (each.site, each.scale) == ("L.MCP2", "ERO"))
        assert (site.patients, site.pairs, site.exact, site.within_one) == (2, 4, 0.5, 1.0)
        assert (site.difference, site.change_difference, site.any_change, site.all_change) == (0.5, 1.0, 2, 2)

    def test_every_site_and_scale_that_was_compared_is_there(self, tmp_path: Path) -> None:
        found, scores = compare(noisy_study(tmp_path))
        assert {(each.site, each.scale) for each in found.sites} == set(scores.fields) - {("L.IP1", "ERO")}

    def test_a_site_that_few_patients_have_damaged_has_no_interval(self, tmp_path: Path) -> None:
        found, _ = compare(noisy_study(tmp_path))
        assert all(np.isnan(each.kappa.low) for each in found.sites)

    def test_the_same_seed_gives_the_same_figures(self, tmp_path: Path) -> None:
        study = noisy_study(tmp_path)
        assert compare(study)[0].to_document() == compare(study)[0].to_document()

    def test_three_raters_make_three_pairs(self, tmp_path: Path) -> None:
        found, _ = compare(noisy_study(tmp_path, ("anna", "bert", "cleo"), patients=3))
        assert {(each.first, each.second) for each in found.limits} == {
            ("anna", "bert"),
            ("anna", "cleo"),
            ("bert", "cleo"),
        }
        assert len(found.kappas[0].pairs) == 3

    def test_an_undefined_measure_is_null_in_json_and_a_dash_in_tables(self, tmp_path: Path) -> None:
        found, _ = compare(read_study(tmp_path, {"anna": {}, "bert": {}}, patients=2))
        assert found.to_document()["kappas"][0]["mean"]["value"] is None
        sheets = make_agreement_tables(found)
        assert sheets[1].rows[0][-1] == "–"

    def test_a_study_of_readers_without_order_is_compared_all_the_same(self, tmp_path: Path) -> None:
        found, _ = compare(read_study(tmp_path, {"anna": ANNA, "bert": BERT}, patients=2, blinded=True))
        change = next(each for each in found.totals if (each.scale, each.quantity) == ("ERO", "change"))
        assert change.means == (7, 1)


class TestPlots:
    def test_each_is_a_picture_and_a_drawing(self, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'ratui[results]'")
        from ratui.results.plots import encode_figure, list_plots

        found, scores = compare(noisy_study(tmp_path, ("anna", "bert", "cleo")))
        made = {name: make() for name, make in list_plots(found, scores).items()}
        assert set(made) == {
            "cumulative-probability",
            "bland-altman-change",
            "bland-altman-status",
            "disagreement-hand",
        }
        for name, figure in made.items():
            image = Image.open(io.BytesIO(encode_figure(figure, "png")))
            assert min(image.size) > 400
            assert np.asarray(image.convert("L")).std() > 5
            words = "".join(ET.fromstring(encode_figure(figure, "svg")).itertext())
            expected = {"disagreement-hand": "MCP2", "cumulative-probability": "cleo"}.get(name, "bert − cleo")
            assert expected in words

    def test_a_dot_is_at_the_values_of_its_patient(self, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'ratui[results]'")
        from ratui.results.plots import list_plots

        found, scores = compare(read_study(tmp_path, {"anna": ANNA, "bert": BERT}, patients=2))
        dots = list_plots(found, scores)["bland-altman-change"]().axes[0].collections[0].get_offsets()
        # The changes are 7 + 6 and 1, the sums of ERO and JSN.
        assert dots.tolist() == [[7.0, 12.0], [7.0, 12.0]]

    def test_dots_and_lines_of_few_patients_are_distinct(self, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'ratui[results]'")
        from ratui.results.plots import list_plots

        found, scores = compare(noisy_study(tmp_path, patients=2))
        axes = list_plots(found, scores)["bland-altman-change"]().axes[0]
        limits = next(each.limits for each in found.limits if each.quantity == "change")
        low, high = axes.get_ylim()
        assert limits.upper.high - limits.lower.low > 10 * (limits.upper.value - limits.lower.value)
        assert high - low < 5 * (limits.upper.value - limits.lower.value)
        for value in (*axes.collections[0].get_offsets()[:, 1], limits.lower.value, limits.upper.value):
            assert low < value < high

    def test_many_patients_show_their_intervals_whole(self, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib", reason="matplotlib is not installed: pip install 'ratui[results]'")
        from ratui.results.plots import list_plots

        found, scores = compare(noisy_study(tmp_path, patients=20))
        low, high = list_plots(found, scores)["bland-altman-change"]().axes[0].get_ylim()
        limits = next(each.limits for each in found.limits if each.quantity == "change")
        assert low < limits.lower.low < limits.upper.high < high

    def test_the_joints_of_a_wrist_are_distinct(self) -> None:
        from ratui.results.plots import _push_apart
        from ratui.scheme import load_scheme

        view = load_scheme("mtss-hands").views["hand"]
        places = _push_apart(np.array([view.template[joint][:2] for joint in view.template]))
        gaps = np.hypot(*(places[:, None] - places[None, :]).transpose(2, 0, 1)) + 9 * np.eye(len(places))
        assert gaps.min() > 0.08


@pytest.mark.parametrize("part", ["hand", "foot"])
def test_every_ray_goes_through_its_joints(part: str) -> None:
    from ratui.results.plots import _ray_lines
    from ratui.scheme import load_scheme

    view = next(view for view in load_scheme("mtss").views.values() if view.part == part)
    lines = _ray_lines(view, {})
    assert len(lines) == 5
    fingers = [name for name in view.template if name.rstrip("12345") in ("MCP", "PIP", "IP", "MTP", "FIP")]
    passed = {tuple(place) for line in lines for place in line.tolist()}
    assert {view.template[name][:2] for name in fingers} <= passed


def test_a_missing_library_is_one_error_that_names_the_extra() -> None:
    from ratui.results.optional_dependencies import require

    with pytest.raises(StudyError, match="nothing_of_that_name is not installed") as caught:
        require("nothing_of_that_name.part", "plots")
    assert "ratui[results]" in caught.value.remedy
