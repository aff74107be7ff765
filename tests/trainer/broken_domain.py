"""Deliberate faults in the domain of a model: its statistics, its storage, and the verdicts on films."""

from __future__ import annotations

from tests.trainer.planted_fault import HERE, Mutation, fault

_HERE = f"{HERE}test_domain.py::"
_FILMS = f"{HERE}test_prediction_values.py::TestFilms::"
_UNLIKE = (
    f"{HERE}test_single_films.py::"
    "test_a_film_unlike_those_of_the_training_has_no_grades_and_its_case_no_place_in_the_order"
)
_THRESHOLD = f"{_HERE}TestStatistics::test_the_threshold_is_a_rank_of_distances_to_the_other_half_of_the_cases"

DOMAIN_FAULTS: tuple[Mutation, ...] = (
    fault(
        "products of a joint with itself count for the distance of a film",
        "training/domain_statistics.py",
        "- own) / (count * (count - 1))",
        ") / count**2",
        f"{_HERE}TestStatistics::test_the_distance_is_the_mean_product_of_two_joints",
    ),
    fault(
        "films are measured by statistics of their own half",
        "training/domain_statistics.py",
        "_whiten(known[fold != half])",
        "_whiten(known[fold == half])",
        _THRESHOLD,
    ),
    fault(
        "halves split the films of a case",
        "training/domain_statistics.py",
        "np.unique(case, return_inverse=True)",
        "np.unique(film, return_inverse=True)",
        _THRESHOLD,
    ),
    fault(
        "the covariance is not shrunk",
        "training/domain_statistics.py",
        "_SHRINKAGE = 0.1",
        "_SHRINKAGE = 0.0",
        _THRESHOLD,
    ),
    fault(
        "a film of two joints is judged",
        "training/domain_statistics.py",
        "MIN_JOINTS = 3",
        "MIN_JOINTS = 2",
        f"{_HERE}TestVerdicts::test_unlike_like_and_too_few_joints",
    ),
    fault(
        "a model of simulated films without statistics answers",
        "training/model_domain.py",
        "DomainReason.UNKNOWN if self.is_simulated else None",
        "None",
        f"{_HERE}TestVerdicts::test_without_statistics_a_model_of_simulated_films_gives_no_answer_and_any_other_does",
    ),
    fault(
        "a model without stated data counts as one of simulated films",
        "training/model_domain.py",
        " and any(each.data for each in lineage.generations())",
        "",
        f"{_HERE}TestStorage::test_a_model_whose_data_are_not_known_is_not_of_simulated_films",
    ),
    fault(
        "films that a network learned from count as held out",
        "training/model_domain.py",
        "is_held_out = len(names) >= MIN_FILMS",
        "is_held_out = True",
        f"{_HERE}TestScorers::test_held_out_films_are_measured_and_others_only_if_these_are_too_few",
    ),
    fault(
        "right hands are judged without being mirrored",
        "inference/domain.py",
        'mirrored=hand.side == "R"',
        "mirrored=False",
        f"{_HERE}TestDetectors::test_hands_are_judged_by_the_crops_that_the_refiner_sees",
    ),
    fault(
        "a film at another time point is judged",
        "inference/domain.py",
        "features[row, place]",
        "features[row, 0]",
        f"{_HERE}TestScorers::test_a_darker_film_is_unlike_and_both_its_time_points_have_no_answer",
    ),
    fault(
        "a film unlike those of the detector has findings",
        "inference/film_predictions.py",
        'if hand.verdict.is_like else ""',
        "if hand is not None else None",
        f"{_FILMS}test_a_film_unlike_those_of_the_detector_has_no_findings_but_grades",
    ),
    fault(
        "one film unlike those of the scorer leaves the pair its grades",
        "inference/film_predictions.py",
        "all(verdict.is_like for verdict in verdicts)",
        "any(verdict.is_like for verdict in verdicts)",
        f"{_FILMS}test_a_film_unlike_those_of_the_scorer_takes_the_grades_of_its_pair",
    ),
    fault(
        "a case that a scorer does not know has a place in the order",
        "inference/predictions.py",
        "(case for case in is_open if case not in unlike)",
        "iter(is_open)",
        _UNLIKE,
    ),
    fault(
        "a film unlike those of the scorer has grades",
        "inference/predictions.py",
        "make_predictions(pairs, probabilities, decision, without=unlike_rows)",
        "make_predictions(pairs, probabilities, decision)",
        _UNLIKE,
    ),
    fault(
        "a single film unlike those of the scorer has grades",
        "inference/predictions.py",
        "make_film_predictions(pairs, probabilities, decision, without=unlike_rows)",
        "make_film_predictions(pairs, probabilities, decision)",
        f"{HERE}test_single_films.py::test_a_scorer_that_knows_no_film_of_the_study_scores_and_orders_nothing",
    ),
)
