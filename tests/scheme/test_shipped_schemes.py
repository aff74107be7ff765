"""The shipped schemes have the totals of the literature, site by site."""

import pytest

from ratui.errors import SchemeError
from ratui.scheme import list_shipped_schemes, load_scheme

FINGERS = ["IP1", "PIP2", "PIP3", "PIP4", "PIP5", "MCP1", "MCP2", "MCP3", "MCP4", "MCP5"]
WRIST_ERO = ["CMC1", "MULT", "NAV", "LUN", "RAD", "ULN"]
WRIST_JSN = ["CMC3", "CMC4", "CMC5", "MULT-NAV", "CAP-NAV-LUN", "RC"]
TOES = ["FIP1", "MTP1", "MTP2", "MTP3", "MTP4", "MTP5"]


@pytest.mark.parametrize(
    ("name", "total", "ero", "jsn"),
    [("mtss", 448, 280, 168), ("mtss-hands", 280, 160, 120), ("fingers", 172, 100, 72)],
)
def test_maximum_totals(name: str, total: int, ero: int, jsn: int) -> None:
    scheme = load_scheme(name)
    assert (scheme.max_total(), scheme.max_total("ERO"), scheme.max_total("JSN")) == (total, ero, jsn)


def test_table_of_sites_of_the_whole_score() -> None:
    scheme = load_scheme("mtss")
    for side in "LR":
        sites = [site.joint for site in scheme.sites if site.side == side]
        hand = [joint for joint in sites if joint.part == "hand"]
        assert [j.id for j in hand if "ERO" in j.grades] == FINGERS + WRIST_ERO
        assert [j.id for j in hand if "JSN" in j.grades] == FINGERS[1:] + WRIST_JSN
        foot = [joint for joint in sites if joint.part == "foot"]
        assert [j.id for j in foot if "ERO" in j.grades] == TOES
        assert [j.id for j in foot if "JSN" in j.grades] == TOES
        assert {j.max_grade("ERO") for j in hand if "ERO" in j.grades} == {5}
        assert {j.max_grade("ERO") for j in foot} == {10}
        assert {j.max_grade("JSN") for j in sites if "JSN" in j.grades} == {4}
    assert sum(len(site.joint.scales) for site in scheme.sites) == 86  # fields of one time point


def test_reading_order_is_hand_by_hand_and_ip_pip_before_mcp_before_wrist() -> None:
    scheme = load_scheme("mtss")
    assert [site.key for site in scheme.sites[:10]] == [f"L.{joint}" for joint in FINGERS]
    assert [(site.part, site.side) for site in scheme.sites[::22]][:2] == [("hand", "L"), ("hand", "R")]
    assert scheme.sites[-1].key == "R.MTP5"


def test_the_papers_subset() -> None:
    scheme = load_scheme("fingers")
    assert sum("ERO" in site.joint.grades for site in scheme.sites) == 20
    assert sum("JSN" in site.joint.grades for site in scheme.sites) == 18


@pytest.mark.parametrize("name", list_shipped_schemes())
def test_special_findings_fix_both_scales_and_do_not_heal(name: str) -> None:
    scheme = load_scheme(name)
    for id in ("ankylosis", "collapse"):
        finding = scheme.finding(id)
        assert not finding.heals
        for joint in scheme.joints:
            assert joint.scales_fixed_by(finding) == joint.scales
            assert {scale: joint.finding_score(finding, scale) for scale in joint.scales} == {
                scale: joint.max_grade(scale) for scale in joint.scales
            }


@pytest.mark.parametrize("name", list_shipped_schemes())
def test_every_joint_has_a_place_in_the_template_of_its_part(name: str) -> None:
    scheme = load_scheme(name)
    for part in scheme.parts:
        whole = scheme.views[part.id]
        assert set(whole.template) == {joint.id for joint in scheme.joints if joint.part == part.id}


def test_mp_is_an_alias_of_mcp() -> None:
    assert [joint.id for joint in load_scheme("fingers").find_joints("mp3")] == ["MCP3"]
    assert [joint.id for joint in load_scheme("mtss").find_joints("pip")] == ["PIP2", "PIP3", "PIP4", "PIP5"]


def test_unknown_scheme_names_the_known_ones() -> None:
    with pytest.raises(SchemeError, match="fingers, mtss, mtss-hands"):
        load_scheme("larsen")


def test_the_repr_of_a_scheme_is_short() -> None:
    assert repr(load_scheme("mtss")) == "Scheme(mtss, 56 sites, ERO/JSN, maximum 448 points)"
