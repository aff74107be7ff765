"""Deliberate faults in the benchmark on RAM-H1200's layout, in the agreement of single grades, and in average precision."""

from __future__ import annotations

from tests.trainer.planted_fault import HERE, Mutation, fault

_HERE = f"{HERE}test_benchmark_values.py::"
_STATUS = f"{HERE}test_evaluation_facts.py::test_agreement_of_single_grades"
_PRECISION = f"{HERE}test_average_precision.py::test_known_value"

BENCHMARK_FAULTS: tuple[Mutation, ...] = (
    # The folder.
    fault(
        "an image of the test is trained on if a file states so",
        "data/ram_h1200.py",
        '_STRICTEST = ("test", "val", "train")',
        '_STRICTEST = ("train", "val", "test")',
        f"{_HERE}TestFolder::test_what_one_file_states_as_test_is_not_trained_on",
    ),
    fault(
        "images have the scores of another image",
        "data/ram_h1200.py",
        "RamImage(found.hands[name], part, found.grades.get(name, {}))",
        "RamImage(found.hands[name], part, found.grades.get(name.replace('R', 'L'), {}))",
        f"{_HERE}TestFolder::test_each_image_has_its_own_scores_and_boxes",
    ),
    fault(
        "scores of erosions and of the joint space are exchanged",
        "data/ram_h1200.py",
        ".update({(joint, scale): grade for",
        ".update({(joint, 'JSN' if scale == 'ERO' else 'ERO'): grade for",
        f"{_HERE}TestFolder::test_each_image_has_its_own_scores_and_boxes",
    ),
    fault(
        "ring and small finger are exchanged",
        "data/ram_h1200.py",
        '"TIMRS"',
        '"TIMSR"',
        f"{_HERE}TestFolder::test_each_image_has_its_own_scores_and_boxes",
    ),
    fault(
        "a set without a split is split by image",
        "data/ram_h1200.py",
        "people = {name: hand.image.patient for",
        "people = {name: name for",
        f"{_HERE}TestFolder::test_hands_of_a_patient_stay_together_without_a_split",
    ),
    # Samples.
    fault(
        "samples have the grades of the first image",
        "data/ram_samples.py",
        "image.grades.get((joint.id, scale), -1)",
        "images[0].grades.get((joint.id, scale), -1)",
        f"{_HERE}test_samples_have_the_grades_and_the_crop_of_their_image",
    ),
    fault(
        "samples have the grades of the other scale",
        "data/ram_samples.py",
        "image.grades.get((joint.id, scale), -1)",
        "image.grades.get((joint.id, scales[column - 1]), -1)",
        f"{_HERE}test_samples_have_the_grades_and_the_crop_of_their_image",
    ),
    fault(
        "samples are crops of the first image",
        "data/ram_samples.py",
        "            if number != current:\n",
        "            if current < 0:\n",
        f"{_HERE}test_samples_have_the_grades_and_the_crop_of_their_image",
    ),
    fault(
        "left hands of the set are mirrored",
        "data/ram_samples.py",
        'crop_joint(levels, box, image.hand.side == "R")',
        'crop_joint(levels, box, image.hand.side == "L")',
        f"{_HERE}test_samples_have_the_grades_and_the_crop_of_their_image",
    ),
    # Trainings and evaluation.
    fault(
        "the benchmark's scorer learns from images of the test",
        "experiments/benchmark.py",
        'data.part("train", "val") if image.grades]',
        'data.part("train", "val", "test") if image.grades]',
        f"{_HERE}TestTraining::test_of_the_scorer",
    ),
    fault(
        "the benchmark's scorer learns from the patients that choose the epoch",
        "experiments/benchmark.py",
        "rows[~kept],",
        "rows,",
        f"{_HERE}TestTraining::test_of_the_scorer",
    ),
    fault(
        "the benchmark's detector chooses the epoch on images of the test",
        "experiments/benchmark.py",
        'validation = [samples["val"]] if "val" in samples else []',
        'validation = [_make_hands(data.part("test"), scheme, out, progress)]',
        f"{_HERE}TestTraining::test_of_the_detector",
    ),
    fault(
        "the benchmark's detector learns from images of the test",
        "experiments/benchmark.py",
        'hands = samples["train"]',
        'hands = _make_hands(data.part("train", "test"), scheme, out, progress)',
        f"{_HERE}TestTraining::test_of_the_detector",
    ),
    fault(
        "detected boxes are matched with the films of others",
        "experiments/benchmark.py",
        "for number, image, boxes in zip(scored, chosen, true, strict=True)",
        "for number, image, boxes in zip(range(len(scored)), chosen, true, strict=True)",
        f"{_HERE}TestMeasures::test_the_detectors_boxes_are_those_of_the_same_film",
    ),
    fault(
        "detected boxes are not moved to the film",
        "experiments/benchmark.py",
        "image.hand.frame.to_film(Box(*each.box))",
        "Box(*each.box)",
        f"{_HERE}TestMeasures::test_the_detectors_boxes_are_those_of_the_same_film",
    ),
    fault(
        "joints in true boxes are all joints",
        "experiments/benchmark.py",
        "for joint, box in boxes.items() if joint in here}",
        "for joint, box in boxes.items()}",
        f"{_HERE}TestMeasures::test_the_detectors_boxes_are_those_of_the_same_film",
    ),
    fault(
        "published values stand beside another set of joints",
        "experiments/benchmark.py",
        "        measure(everything, published=True),\n        measure(in_true),\n",
        "        measure(everything),\n        measure(in_true, published=True),\n",
        f"{_HERE}TestMeasures::test_the_detectors_boxes_are_those_of_the_same_film",
    ),
    fault(
        "the benchmark exchanges erosions and the joint space",
        "experiments/benchmark.py",
        "yield samples.scales[column],",
        "yield samples.scales[1 - column],",
        f"{_HERE}TestMeasures::test_each_scale_has_its_grades_baseline_and_published_values",
    ),
    fault(
        "read grades are those of the other scale",
        "experiments/benchmark.py",
        "read = samples.labels[:, 0, column, 0]",
        "read = samples.labels[:, 0, column - 1, 0]",
        f"{_HERE}TestMeasures::test_each_scale_has_its_grades_baseline_and_published_values",
        f"{_HERE}TestMeasures::test_both_sides_of_a_joint_count_together",
    ),
    fault(
        "the predicted grade is that of the second time point",
        "experiments/benchmark.py",
        "decide(decision, pairs).grades[rows, 0]",
        "decide(decision, pairs).grades[rows, 1]",
        f"{_HERE}TestMeasures::test_each_scale_has_its_grades_baseline_and_published_values",
    ),
    fault(
        "the baseline is the most frequent grade of the test",
        "experiments/benchmark.py",
        "before = learned.labels[:, 0, learned.scales.index(scale), 0]",
        "before = samples.labels[:, 0, samples.scales.index(scale), 0]",
        f"{_HERE}TestMeasures::test_each_scale_has_its_grades_baseline_and_published_values",
    ),
    fault(
        "published values are those of the other scale",
        "experiments/benchmark.py",
        "values = PUBLISHED[scale] if published else None",
        "values = PUBLISHED['JSN' if scale == 'ERO' else 'ERO'] if published else None",
        f"{_HERE}TestMeasures::test_each_scale_has_its_grades_baseline_and_published_values",
    ),
    fault(
        "joints of the two sides are different joints",
        "experiments/benchmark.py",
        'joints = np.array([samples.sites[row].partition(".")[2] for row in rows])',
        "joints = np.array([samples.sites[row] for row in rows])",
        f"{_HERE}TestMeasures::test_both_sides_of_a_joint_count_together",
    ),
    # Agreement of single grades.
    fault(
        "the kappa is not weighted",
        "evaluation/evaluate_status.py",
        '"quadratic weighted kappa": (quadratic_kappa,',
        '"quadratic weighted kappa": (lambda t: 1 - (1 - _accuracy(t)) / (1 - (t.sum(axis=-1) * t.sum(axis=-2)).sum(axis=-1)'
        " / t.sum(axis=(-2, -1)) ** 2),",
        _STATUS,
    ),
    fault(
        "rows and columns of the table are exchanged",
        "evaluation/evaluate_status.py",
        "(index, read, predicted)",
        "(index, predicted, read)",
        _STATUS,
    ),
    fault(
        "the balanced accuracy is over the predicted grades",
        "evaluation/evaluate_status.py",
        "read = tables.sum(axis=-1)\n",
        "read = tables.sum(axis=-2)\n",
        _STATUS,
    ),
    fault(
        "grades that nobody read count for the balanced accuracy",
        "evaluation/evaluate_status.py",
        "shares.sum(axis=-1) / (read > 0).sum(axis=-1)",
        "shares.mean(axis=-1)",
        _STATUS,
    ),
    fault(
        "the distance of the grades' distributions is summed over the wrong axis",
        "evaluation/evaluate_status.py",
        "for axis in (-1, -2))",
        "for axis in (-1, -1))",
        _STATUS,
    ),
    fault(
        "the interval of the agreement draws joints",
        "evaluation/evaluate_status.py",
        "np.unique(np.asarray(patients), return_inverse=True)",
        "np.unique(np.arange(len(patients)), return_inverse=True)",
        _STATUS,
    ),
    fault(
        "the baseline of the agreement counts the predicted grades",
        "evaluation/evaluate_status.py",
        "tables.sum(axis=(0, 2))",
        "tables.sum(axis=(0, 1))",
        _STATUS,
    ),
    fault(
        "a published value stands beside another measure",
        "evaluation/evaluate_status.py",
        "paper=(published or {}).get(measure)",
        "paper=(published or {}).get(measure.removeprefix('balanced '))",
        _STATUS,
    ),
    # Average precision.
    fault(
        "the precision is not interpolated",
        "evaluation/average_precision.py",
        "envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]",
        "envelope = precision",
        _PRECISION,
    ),
    fault(
        "boxes beside all joints are ignored",
        "evaluation/average_precision.py",
        "hits / np.maximum(each.cumsum(), 1e-12)",
        "hits / np.maximum(hits, 1e-12)",
        _PRECISION,
    ),
    fault(
        "joints that are not found are ignored",
        "evaluation/average_precision.py",
        "recall, precision = hits / total,",
        "recall, precision = hits / np.maximum(hits[:, -1:], 1e-12),",
        _PRECISION,
    ),
    fault(
        "a joint is found by two boxes",
        "evaluation/average_precision.py",
        "is_free[candidates.argmax()] = False",
        "is_free[candidates.argmax()] = True",
        _PRECISION,
    ),
    fault(
        "boxes are ranked within each image only",
        "evaluation/average_precision.py",
        'order = np.argsort(-np.concatenate(scores), kind="stable")',
        "order = np.arange(sum(map(len, scores)))",
        _PRECISION,
    ),
    fault(
        "the average precision counts levels of recall that are reached only",
        "evaluation/average_precision.py",
        "places = [np.searchsorted(row, _RECALLS) for row in recall]",
        "places = [np.searchsorted(row, _RECALLS[_RECALLS <= row[-1]]) for row in recall]",
        _PRECISION,
    ),
)
