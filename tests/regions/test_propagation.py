"""Propagation of boxes from film to film of a phantom case, compared with the true boxes."""

from pathlib import Path

import numpy as np
import pytest

from ratui.regions.case_regions import CaseRegions
from ratui.regions.propagation import BoxPropagation
from ratui.study import RegionSource
from ratui.tui.graphics.film_store import FilmStore
from tests.tui.phantom_case import PhantomCase, phantom_case

pytestmark = pytest.mark.slow


def follower(phantom: PhantomCase) -> tuple[BoxPropagation, CaseRegions]:
    scheme = phantom.study.scheme
    return (
        BoxPropagation(FilmStore(phantom.study), scheme, phantom.case.id),
        CaseRegions(phantom.study, phantom.case, (0, 1)),
    )


def test_from_the_other_time_point_and_from_the_other_hand(tmp_path: Path) -> None:
    phantom = phantom_case(tmp_path)
    first = phantom.film(0, "L")
    phantom.confirm(first)
    propagation, regions = follower(phantom)
    for index, (film, sites) in enumerate(regions.films):
        if film.id == first.id:
            continue
        propagated = propagation.propagate(film, regions.missing_sites(index), regions.confirmed_regions())
        assert len(propagated.regions) == len(sites)
        assert not propagated.failed
        sure = [region for region in propagated.regions.values() if region.source == RegionSource.REGISTERED]
        assert len(sure) >= 0.9 * len(sites), film.id
        assert all(region.confirmed_by == "" for region in sure), "nothing is confirmed by itself"
        assert np.median(phantom.distances_from_truth(film, propagated.regions)) < 0.1, film.id
        assert max(phantom.distances_from_truth(film, propagated.regions)) < 0.5, film.id


@pytest.mark.parametrize("swapped", [False, True])
def test_films_of_both_hands_also_in_swapped_places(tmp_path: Path, swapped: bool) -> None:
    phantom = phantom_case(tmp_path, both=True, swapped=swapped)
    phantom.confirm(phantom.film(0, "B"))
    propagation, regions = follower(phantom)
    later, sites = regions.films[1]
    propagated = propagation.propagate(later, sites, regions.confirmed_regions())
    assert len(propagated.regions) == len(sites)
    assert np.median(phantom.distances_from_truth(later, propagated.regions)) < 0.1
    boxes = regions.open_editor(1, propagated)
    assert boxes.find_acceptance_faults(boxes.unaccepted) == ()


def test_the_second_hand_on_a_film_follows_from_the_first(tmp_path: Path) -> None:
    phantom = phantom_case(tmp_path, both=True, seed=7)
    film = phantom.film(0, "B")
    phantom.confirm(film)
    study = phantom.study
    study.save_regions("C-1", [region for region in study.regions("C-1") if region.site[0] == "L"])
    propagation, regions = follower(phantom)
    propagated = propagation.propagate(film, regions.missing_sites(0), regions.confirmed_regions())
    assert {key[0] for key in propagated.regions} == {"R"}
    assert np.median(phantom.distances_from_truth(film, propagated.regions)) < 0.1


def test_a_joint_marked_absent_is_not_propagated(tmp_path: Path) -> None:
    from dataclasses import replace

    phantom = phantom_case(tmp_path)
    phantom.confirm(phantom.film(0, "L"))
    study = phantom.study
    study.save_regions("C-1", [replace(r, box=None) if r.site == "L.PIP5" else r for r in study.regions("C-1")])
    propagation, regions = follower(phantom)
    propagated = propagation.propagate(phantom.film(1, "L"), regions.missing_sites(1), regions.confirmed_regions())
    assert propagated.regions["L.PIP5"].box is None


def test_an_unrelated_film_gives_no_boxes_and_a_reason(tmp_path: Path) -> None:
    from ratui.imaging import write_film

    phantom = phantom_case(tmp_path)
    phantom.confirm(phantom.film(0, "L"))
    later = phantom.film(1, "L")
    noise = np.random.default_rng(0).integers(0, 4000, (later.rows, later.columns)).astype(np.uint16)
    write_film(phantom.study.film_path("C-1", later.id), noise)
    propagation, regions = follower(phantom)
    propagated = propagation.propagate(later, regions.missing_sites(1), regions.confirmed_regions())
    assert propagated.regions == {}
    assert propagated.failed
    boxes = regions.open_editor(1, propagated)
    assert {region.source for region in boxes.regions.values()} == {RegionSource.OTHER_FILM}
