"""``ratui propose`` and the proposals after ``ratui import``, with a detector that sees the same hand on every film."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ratui.cli.main import commands
from ratui.detection import onnx_networks
from ratui.errors import StudyError
from ratui.imaging import Box
from ratui.study import Region, RegionSource, Study
from tests.films import film_file, hospital
from tests.support.template_network import TemplateNetwork

pytestmark = pytest.mark.usefixtures("read_films_here")


def run(*words: object) -> Result:
    return CliRunner().invoke(commands, [str(word) for word in words])


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> TemplateNetwork:
    network = TemplateNetwork()
    monkeypatch.setattr(onnx_networks, "load_shipped_detector", lambda: network)
    return network


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "study", "fingers", ["anna", "bert"])


def import_films(study: Study, tmp_path: Path, *words: str, code: int = 0) -> str:
    done = run("import", study.path, tmp_path / "films", "--key", tmp_path / "key.json", *words)
    assert done.exit_code == code, done.output
    return done.output


def proposed_films(study: Study) -> dict[str, int]:
    """Return the number of proposed regions by film."""
    found: dict[str, int] = {}
    for case in study.cases():
        for region in study.proposals(case):
            assert region.source is RegionSource.MODEL
            found[region.film] = found.get(region.film, 0) + 1
    return found


def test_an_import_proposes_regions_on_its_films(study: Study, tmp_path: Path, network: TemplateNetwork) -> None:
    hospital(tmp_path / "films")
    lines = import_films(study, tmp_path).splitlines()
    assert "40 joints proposed on 4 hands of 1 case" in lines
    assert lines.index("40 joints proposed on 4 hands of 1 case") > lines.index(
        "4 films of 1 case imported, 0 files refused"
    )
    assert sum("recorded as side R, but it looks like the other hand" in line for line in lines) == 2
    (case,) = study.cases()
    assert proposed_films(study) == {film.id: 10 for film in study.case(case).films}
    assert not study.regions(case)


def test_films_of_hands_get_all_their_sites_and_films_of_wrists_those_of_the_wrist(
    tmp_path: Path, network: TemplateNetwork
) -> None:
    network.sees_wrists = True
    study = Study.create(tmp_path / "study", "mtss-hands", ["anna"])
    for number, (part, day) in enumerate((("HAND", "20200302"), ("WRIST", "20210504"))):
        film_file(tmp_path / "films" / f"{part}.dcm", day=day, seed=number, BodyPartExamined=part)
    assert "34 joints proposed on 2 hands of 1 case" in import_films(study, tmp_path)
    (case,) = study.cases()
    views = {film.id: film.view for film in study.case(case).films}
    found = proposed_films(study)
    assert {views[film]: count for film, count in found.items()} == {"hand": 22, "wrist": 12}


def test_films_of_feet_get_the_joints_of_feet_if_the_detector_knows_them(
    tmp_path: Path, network: TemplateNetwork
) -> None:
    study = Study.create(tmp_path / "study", "mtss", ["anna"])
    film_file(tmp_path / "films" / "hand.dcm", BodyPartExamined="HAND")
    film_file(tmp_path / "films" / "foot.dcm", seed=1, BodyPartExamined="FOOT")
    output = import_films(study, tmp_path)
    assert "10 joints proposed on 1 hand of 1 case" in output
    assert "foot was found" not in output, "it was not searched"
    network.sees_feet = True
    assert "6 joints proposed on 1 foot of 1 case" in run("propose", study.path).output
    (case,) = study.cases()
    views = {film.id: film.view for film in study.case(case).films}
    assert {views[film]: count for film, count in proposed_films(study).items()} == {"hand": 10, "foot": 6}
    network.sees_hands = False
    output = run("propose", study.path, "--again").output
    assert "no hand was found" in output
    assert "16 joints" not in output
    assert "6 joints proposed on 1 foot of 1 case" in output


def test_only_new_films_are_searched_and_the_others_keep_their_proposals(
    study: Study, tmp_path: Path, network: TemplateNetwork
) -> None:
    film_file(tmp_path / "films" / "earlier.dcm")
    import_films(study, tmp_path)
    (case,) = study.cases()
    earlier = [Region(each.site, each.film, each.box, each.source, "", 0.5, "own") for each in study.proposals(case)]
    study.save_proposals("own", case, earlier)
    seen = network.squares
    film_file(tmp_path / "films" / "later.dcm", day="20210504", seed=1)
    assert "10 joints proposed on 1 hand of 1 case" in import_films(study, tmp_path)
    assert network.squares == seen + 2  # the whole film, and its hand
    assert {region.model for region in study.proposals(case) if region.film == earlier[0].film} == {"own"}
    assert sorted(proposed_films(study).values()) == [10, 10]
    assert run("propose", study.path).output == ""
    assert network.squares == seen + 2
    assert "20 joints proposed on 2 hands of 1 case" in run("propose", study.path, "--case", case, "--again").output


def test_films_with_confirmed_regions_are_left_out(study: Study, tmp_path: Path, network: TemplateNetwork) -> None:
    hospital(tmp_path / "films", sides="L")
    import_films(study, tmp_path, "--no-propose")
    assert network.squares == 0
    (case,) = study.cases()
    confirmed, other = study.case(case).films
    study.save_regions(case, [Region("L.MCP2", confirmed.id, Box(10, 10, 30, 30), RegionSource.RATER, "anna")])
    assert run("propose", study.path, "--again").exit_code == 0
    assert proposed_films(study) == {other.id: 10}


def test_an_interrupt_loses_neither_the_import_nor_the_cases_that_were_searched(
    study: Study, tmp_path: Path, network: TemplateNetwork
) -> None:
    hospital(tmp_path / "films", patients=2, sides="L")
    network.interrupt_after = 5
    done = run("import", study.path, tmp_path / "films", "--key", tmp_path / "key.json")
    assert done.exit_code != 0
    assert "4 films of 2 cases imported" in done.output
    assert f"ratui propose {study.path} continues the search" in done.output
    assert len(study.cases()) == 2
    assert sorted(proposed_films(study).values()) == [10, 10]
    network.interrupt_after = 10**9
    assert "20 joints proposed on 2 hands of 1 case" in run("propose", study.path).output


def test_a_failed_search_leaves_the_import_as_it_is(
    study: Study, tmp_path: Path, network: TemplateNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital(tmp_path / "films")
    (study.path / "proposals" / "shipped").write_text("no folder")
    output = import_films(study, tmp_path)
    assert "4 films of 1 case imported" in output
    assert "no regions were proposed: " in output


def test_films_without_hands_take_one_line_each_up_to_five(
    study: Study, tmp_path: Path, network: TemplateNetwork
) -> None:
    network.sees_hands = False
    hospital(tmp_path / "films", patients=2)
    output = import_films(study, tmp_path)
    assert output.count("no hand was found") == 5
    assert "  no proposal: 3 more" in output
    assert "joints proposed" not in output


def test_a_scheme_without_finger_joints_is_not_searched(tmp_path: Path, network: TemplateNetwork) -> None:
    scheme = tmp_path / "feet.toml"
    text = Path(onnx_networks.__file__).parents[1].joinpath("scheme", "fingers.toml").read_text(encoding="utf-8")
    scheme.write_text(text.replace('group = "PIP"', 'group = "KNEE"').replace('group = "MCP"', 'group = "HIP"'))
    study = Study.create(tmp_path / "study", str(scheme), ["anna"])
    film_file(tmp_path / "films" / "film.dcm")
    assert "propos" not in import_films(study, tmp_path).replace("proposing regions", "")
    assert network.squares == 0
    assert run("propose", study.path).output == "no film of hands or feet\n"


@pytest.mark.parametrize(("unseen", "is_doubtful"), [(("MCP5",), False), (("MCP5", "PIP5"), True)])
def test_a_hand_without_several_finger_joints_is_to_be_checked(
    study: Study, tmp_path: Path, network: TemplateNetwork, unseen: tuple[str, ...], is_doubtful: bool
) -> None:
    network.unseen = unseen
    film_file(tmp_path / "films" / "hand.dcm")
    lines = [line for line in import_films(study, tmp_path).splitlines() if "to check" in line]
    assert len(lines) == is_doubtful
    assert all("side L: 2 finger joints were not found" in line for line in lines)


def test_networks_in_each_other_s_place_are_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(Path(onnx_networks.__file__).parent / "shipped", tmp_path / "shipped")
    shutil.copy(tmp_path / "shipped" / "foot.onnx.gz", tmp_path / "shipped" / "wrist.onnx.gz")
    monkeypatch.setattr(onnx_networks, "files", lambda package: tmp_path)
    with pytest.raises(StudyError, match="the shipped detector is damaged"):
        onnx_networks.load_shipped_detector()


@pytest.mark.parametrize("name", ["boxes.onnx.gz", "about.json", "shapes.json", "foot.onnx.gz"])
def test_a_damaged_detector_is_one_message_and_the_import_is_complete(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    shipped = Path(onnx_networks.__file__).parent / "shipped"
    shutil.copytree(shipped, tmp_path / "shipped")
    content = (shipped / name).read_bytes()
    (tmp_path / "shipped" / name).write_bytes(content[: len(content) // 2])
    monkeypatch.setattr(onnx_networks, "files", lambda package: tmp_path)
    with pytest.raises(StudyError, match="the shipped detector is damaged"):
        onnx_networks.load_shipped_detector()
    if name == "about.json":
        film_file(tmp_path / "films" / "hand.dcm")
        (line,) = [line for line in import_films(study, tmp_path).splitlines() if "no regions were proposed" in line]
        assert line.endswith("the shipped detector is damaged. Install ratui again")
        assert isinstance(run("propose", study.path).exception, StudyError)
