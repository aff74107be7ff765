"""Predictions for the films of a folder, outside any study: joints and findings, and grades if there is a scorer.

The files are of others. Each is read in the process of the import, whose memory is limited. A film that can't be read is one
line of the report.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt
import torch

from ratui.detection.finger_joints import normalise_levels
from ratui.detection.hand_finder import FoundHand, turn_upright
from ratui.detection.site_finder import find_sites
from ratui.detection.wrist_sites import WRIST_SITES
from ratui.errors import FilmError, TrainError, clean_text
from ratui.files import atomic_write
from ratui.imaging import Film
from ratui.scheme import Scheme
from ratui.study.importing import ReaderProcess
from ratui.study.importing.files.sources import open_sources
from ratui.study.importing.import_report import find_exit_code
from ratui.study.importing.reader.picture_reader import check_picture_kind, find_picture_kind
from ratui.study.model_results.model_domain import DomainVerdict
from trainer.data.pairs import PAIR_CROP_SIZE, PairSamples, crop_joint
from trainer.inference.decisions import (
    DEFAULT_DECISION,
    decide,
    expected_change_error,
    expected_grades,
    marginal_probabilities,
)
from trainer.inference.domain import judge_films, judge_hand
from trainer.inference.film_pairs import FilmPair, read_film_pairs
from trainer.inference.scoring import TrainedScorer, load_scorers, score_samples
from trainer.models.detector import JointDetector, load_detector
from trainer.training.model_domain import REASONS, ModelDomain, load_domain

__all__ = ["FolderSummary", "predict_folder"]

Progress = Callable[[str, int, int], None]
_FIRST_COLUMNS = (
    *("film", "time", "other_film", "side", "joint", "x0", "y0", "x1", "y1"),
    *("score", "finding", "domain", "no_finding"),
)

_FORMULA_SIGNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters with which a formula begins in a spreadsheet. Japanese ones also take the wide forms."""


@dataclass(frozen=True)
class FolderSummary:
    """The number of films with predictions and of their hands, and a line for each file or pair without.

    `exit_code` is that of the command: 1 without any film, 3 if a place that may contain films was not read, else 0.
    `unlike` and `ungraded` are the numbers of hands for which the detector gives no findings and the scorers no grades,
    because they are unlike those of the training.
    """

    films: int
    hands: int
    problems: tuple[str, ...]
    exit_code: int
    unlike: int = 0
    ungraded: int = 0


@dataclass(frozen=True)
class _Hand:
    """A hand on a film: its joints with the boxes in pixels of the file's image, and their upright crops, not mirrored.

    `verdict` is that of the detector on the film.
    """

    found: FoundHand
    crops: Mapping[str, npt.NDArray[np.uint8]]
    verdict: DomainVerdict


@dataclass
class _Table:
    """The rows of the CSV file, and the number of hands without grades."""

    scheme: Scheme
    scorers: tuple[TrainedScorer, ...]
    decision: str
    rows: list[list[object]] = field(default_factory=list)
    ungraded: int = 0

    @property
    def header(self) -> list[str]:
        """Names of the columns."""
        names = [*_FIRST_COLUMNS, *(("grades_domain", "no_grades") if self.scorers else ())]
        for scale in self.scheme.scales if self.scorers else ():
            grades = [f"{scale}_p{grade}" for grade in range(self._count(scale))]
            names += [f"{scale}_expected", f"{scale}_grade", *grades, f"{scale}_change", f"{scale}_change_error"]
        return names

    def add_film(self, name: str, side: str, hand: _Hand) -> None:
        """Add the joints of a hand on a single film."""
        joints = tuple(hand.crops)
        verdicts, grades = self._grade(side, joints, [hand, hand])
        for row, joint in enumerate(joints):
            values = [verdicts[0], *(each[row][0] + ["", ""] for each in grades)]
            self._add_row((name, "", ""), side, joint, hand, values)

    def add_pair(self, pair: FilmPair, side: str, hands: Sequence[_Hand]) -> None:
        """Add the joints that both films of a pair show. The rows of the later film state the change."""
        joints = tuple(joint for joint in hands[0].crops if joint in hands[1].crops)
        verdicts, grades = self._grade(side, joints, hands)
        for row, joint in enumerate(joints):
            for time, (name, other) in enumerate(((pair.first, pair.second), (pair.second, pair.first))):
                values = [verdicts[time], *(each[row][time] + (each[row][2] if time else ["", ""]) for each in grades)]
                self._add_row((name, time, other), side, joint, hands[time], values)

    def _add_row(
        self, film: tuple[object, ...], side: str, joint: str, hand: _Hand, values: Sequence[list[object]]
    ) -> None:
        found = hand.found.joints[joint]
        box = [round(value, 1) for value in found.box]
        finding = round(found.finding, 4) if hand.verdict.is_like else ""
        if np.isnan(found.finding):  # of a site of the wrist
            finding = ""
        facts = [round(found.candidate.score, 4), finding, *_format_verdict(hand.verdict)]
        self.rows.append([*film, side, joint, *box, *facts, *(value for each in values for value in each)])

    def _count(self, scale: str) -> int:
        return 1 + max(joint.max_grade(scale) for joint in self.scheme.joints if scale in joint.scales)

    def _grade(
        self, side: str, joints: Sequence[str], hands: Sequence[_Hand]
    ) -> tuple[list[list[object]], list[list[list[list[object]]]]]:
        """Return the scorers' verdict on each time point, and the cells of their grades.

        The latter are for each scale and joint those of both time points and of the change: empty without the scale, and
        for all joints if a film is unlike those of the training.
        """
        if not self.scorers or not joints:
            return [[], []], [[] for _ in self.scheme.scales] if self.scorers else []
        samples = _make_samples(self.scheme, side, joints, [[hand.crops[joint] for joint in joints] for hand in hands])
        verdicts = list(judge_films(self.scorers, samples).values())
        is_like = all(verdict.is_like for verdict in verdicts)
        self.ungraded += 0 if is_like else len({id(hand) for hand in hands})
        cells = self._grade_samples(samples, is_graded=is_like)
        return [_format_verdict(verdict) for verdict in verdicts], cells

    def _grade_samples(self, samples: PairSamples, *, is_graded: bool) -> list[list[list[list[object]]]]:
        joints, result = samples.sites, []
        for column, (scale, pairs) in enumerate(
            zip(self.scheme.scales, score_samples(self.scorers, samples), strict=True)
        ):
            decided, expected, marginals = (
                decide(self.decision, pairs),
                expected_grades(pairs),
                marginal_probabilities(pairs),
            )
            errors, count = expected_change_error(pairs, decided.change), self._count(scale)
            cells: list[list[list[object]]] = []
            for row in range(len(joints)):
                largest = int(samples.max_grades[row, column])
                if largest < 0 or not is_graded:
                    cells.append([[""] * (count + 2), [""] * (count + 2), ["", ""]])
                    continue
                times: list[list[object]] = []
                for time in (0, 1):
                    known = [round(float(p), 4) for p in marginals[row, time, : largest + 1]]
                    grade: list[object] = [round(float(expected[row, time]), 4), int(decided.grades[row, time])]
                    times.append([*grade, *known, *[""] * (count - len(known))])
                cells.append([*times, [int(decided.change[row]), round(float(errors[row]), 4)]])
            result.append(cells)
        return result


def predict_folder(
    folder: Path,
    out: Path,
    device: torch.device,
    *,
    scheme: Scheme,
    detector: Path,
    scorers: Sequence[Path] = (),
    pairs: Path | None = None,
    decision: str = DEFAULT_DECISION,
    progress: Progress = lambda text, done, total: None,
) -> FolderSummary:
    """Write a CSV table of the joints on all films in `folder`, with grades if there is a scorer.

    Parameters
    ----------
    folder
        Folder with DICOM, PNG, JPEG or TIFF files, also in folders and archives in it.
    out
        The CSV file to write.
    device
        Device for the networks.
    scheme
        Scheme that names the joints, their scales and grades.
    detector, scorers
        Folder of the detector's run or ``shipped``, and folders of scorers, whose probabilities are averaged.
    pairs
        CSV table of pairs of films, see `trainer.inference.film_pairs`. Each other film is judged by itself: it gets
        grades, and no change.
    decision
        Name of the decision rule; see `trainer.inference.decisions`.
    progress
        Called with a text, the number done and the total.

    Raises
    ------
    TrainError
        If a run or the table of pairs does not fit, or `out` can't be written.
    StudyError
        If `folder` can't be read or has no file.
    """
    if out.is_dir():
        raise TrainError("the table can't be written: it is a folder", out, "Give the name of a file")
    network, models = load_detector(detector, device), load_scorers(scorers, device)
    domain = load_domain(detector)
    table = _Table(scheme, models, decision)
    decide(decision, np.ones((1, 1, 1)))  # an unknown rule is refused before the films are read
    hands: dict[str, list[_Hand]] = {}
    problems: list[str] = []
    count = hand_count = unlike = 0
    with ExitStack() as stack:
        excluded = [path.absolute() for path in (out, pairs) if path is not None]
        sources = stack.enter_context(open_sources([folder], excluded=excluded))
        reader = stack.enter_context(ReaderProcess())
        names: dict[str, Path] = {}
        for origin, file in sources.files.items():
            if names.setdefault(_name(origin, folder), file) != file:
                problems.append(
                    f"{_name(origin, folder)}: another film has the same name, but for unprintable characters"
                )
        wanted = read_film_pairs(pairs, names) if pairs is not None else ()
        paired = {name for pair in wanted for name in (pair.first, pair.second)}
        problems += [f"{_name(item.origin, folder)}: {item.reason}" for item in sources.skipped if not item.is_harmless]
        for number, (name, file) in enumerate(names.items()):
            progress("predicting", number, len(names))
            try:
                film, states_polarity = _read(reader, file)
                found = _find_hands(network, domain, film, scheme, states_polarity=states_polarity)
            except FilmError as error:
                problems.append(f"{name}: {error.problem}")
                continue
            if not found:
                problems.append(f"{name}: no hand was found")
                continue
            count, hand_count = count + 1, hand_count + len(found)
            unlike += sum(not hand.verdict.is_like for hand in found)
            if name in paired:
                hands[name] = found
            else:
                for hand in found:
                    table.add_film(name, hand.found.side, hand)
        done: set[str] = set()
        for pair in wanted:
            problem = _add_pair(table, pair, hands, done)
            if problem:
                problems.append(f"{pair.first} and {pair.second}: {problem}")
        for name in (name for name in hands if name not in done):
            for hand in hands[name]:
                table.add_film(name, hand.found.side, hand)
        progress("predicting", len(names), len(names))
    _write(table, out)
    code = find_exit_code(count, sources.skipped)
    return FolderSummary(count, hand_count, tuple(problems), code, unlike, table.ungraded)


def _add_pair(table: _Table, pair: FilmPair, hands: Mapping[str, list[_Hand]], done: set[str]) -> str:
    """Add the hands of a pair to `table` and both films to `done`; return a problem, or an empty text."""
    both = [hands.get(name) for name in (pair.first, pair.second)]
    if both[0] is None or both[1] is None:
        return "a film without predictions; the other one is judged by itself"
    matched = _match_hands(both[0], both[1], pair.side)
    if not matched:
        return "the films show no hand of the same side; each is judged by itself"
    for side, one, other in matched:
        table.add_pair(pair, side, (one, other))
    done |= {pair.first, pair.second}
    return ""


def _match_hands(first: Sequence[_Hand], second: Sequence[_Hand], side: str) -> list[tuple[str, _Hand, _Hand]]:
    """Return the hands that both films show, each with its side.

    With a `side`, a film's only hand is of that side even if it looks like the other one: it may be mirrored.
    """
    if side:
        picked = [
            hands[0] if len(hands) == 1 else next((hand for hand in hands if hand.found.side == side), None)
            for hands in (first, second)
        ]
        return [(side, picked[0], picked[1])] if picked[0] is not None and picked[1] is not None else []
    others = {hand.found.side: hand for hand in second}
    return [(hand.found.side, hand, others[hand.found.side]) for hand in first if hand.found.side in others]


def _name(origin: Path, folder: Path) -> str:
    """Return the name of a file as the table and the report show it: its path from `folder`, safe to print."""
    base = folder.absolute()
    relative: PurePath = origin.relative_to(base) if origin.is_relative_to(base) else origin
    return clean_text(relative.as_posix(), 4000)


def _read(reader: ReaderProcess, file: Path) -> tuple[Film, bool]:
    """Return the film in `file`, and True if the file states whether bone is bright. Raises FilmError."""
    kind = find_picture_kind(file)
    check_picture_kind(file, kind)
    return (reader.read_image(file), False) if kind else (reader.read(file), True)


def _find_hands(
    network: JointDetector, domain: ModelDomain, film: Film, scheme: Scheme, *, states_polarity: bool
) -> list[_Hand]:
    """Return the hands on a film. A picture does not state its polarity, so its joints decide whether bone is bright."""
    levels = normalise_levels(film)
    result = []
    for found in find_sites(network, levels, scheme, max_hands=2):
        hand = found if states_polarity else replace(found, is_negative=False)
        crops = _crop_joints(levels, hand)
        if not states_polarity and _measure_contrast(crops) < 0:
            hand = replace(hand, is_negative=True)
            crops = _crop_joints(levels, hand)
        result.append(_Hand(hand, crops, judge_hand(network, domain, levels, hand)))
    return result


def _crop_joints(levels: npt.NDArray[np.float32], hand: FoundHand) -> dict[str, npt.NDArray[np.uint8]]:
    upright, joints = turn_upright(levels, hand)
    return {name: crop_joint(upright, each.box, mirrored=False) for name, each in joints.items()}


def _measure_contrast(crops: Mapping[str, npt.NDArray[np.uint8]]) -> float:
    """Return the median over the joints of bone minus soft tissue, in grey levels: below 0 on a negative.

    The bone of an upright finger joint is in the middle columns of its crop, soft tissue and air are at both sides. In a
    wrist alone, bone is everywhere: its contrast counts as that of a positive.
    """
    fingers = [crop for name, crop in crops.items() if name not in WRIST_SITES]
    if not fingers:
        return 0.0
    part = PAIR_CROP_SIZE // 6
    middle = slice(PAIR_CROP_SIZE // 2 - part, PAIR_CROP_SIZE // 2 + part)
    return float(
        np.median([crop[:, middle].mean() - (crop[:, :part].mean() + crop[:, -part:].mean()) / 2 for crop in fingers])
    )


def _make_samples(
    scheme: Scheme, side: str, joints: Sequence[str], crops: Sequence[Sequence[npt.NDArray[np.uint8]]]
) -> PairSamples:
    """Return samples of the joints of one hand from the crops of both time points."""
    known = {joint.id: joint for joint in scheme.joints}
    names = tuple(dict.fromkeys(joint.group for joint in scheme.joints))
    images = np.stack([np.stack(each) for each in crops], axis=1)
    count, scales = len(joints), scheme.scales
    return PairSamples(
        crops=np.ascontiguousarray(images[..., ::-1] if side == "R" else images),
        labels=np.full((count, 1, len(scales), 2), -1, np.int64),
        max_grades=np.array(
            [[known[j].max_grade(scale) if scale in known[j].scales else -1 for scale in scales] for j in joints]
        ),
        groups=np.array([names.index(known[joint].group) for joint in joints]),
        has_finding=np.zeros((count, 1, 2), bool),
        cases=("",) * count,
        sites=tuple(f"{side}.{joint}" for joint in joints),
        group_names=names,
        scales=scales,
    )


def _format_verdict(verdict: DomainVerdict) -> list[object]:
    """Return the cells of a verdict: its score, and the reason why the model gives no answer."""
    return ["" if verdict.score is None else verdict.score, REASONS[verdict.reason] if verdict.reason else ""]


def _escape_formula(film: str) -> str:
    """Return the path of a film so that a spreadsheet does not take it for a formula; it stays the same path."""
    return f"./{film}" if film.startswith(_FORMULA_SIGNS) else film


def _write(table: _Table, out: Path) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(table.header)
            writer.writerows([*(_escape_formula(str(film)) for film in row[:3]), *row[3:]] for row in table.rows)
    except OSError as error:
        raise TrainError(f"the table can't be written: {error.strerror}", out, "Choose another file") from error
