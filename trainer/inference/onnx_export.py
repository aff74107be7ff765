"""Export of detector and scorer as ONNX files, each compared with torch on simulated films before it is written.

A detector becomes two files: one proposes boxes on a whole hand, the other one corrects them. The selection of boxes between
them and after them is not part of the files; ``docs/run_onnx.py`` is a complete example in NumPy.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE, JOINT_KINDS
from ratui.errors import TrainError, clean_text
from ratui.files import atomic_write
from ratui.imaging import Box
from ratui.scheme import load_scheme
from trainer.data.augmentation import downsample
from trainer.data.pairs import MARGIN, PAIR_CROP_SIZE, crop_joint
from trainer.data.phantoms import simulate_hands
from trainer.inference.scoring import load_scorers
from trainer.models.checkpoint_files import load_checkpoint
from trainer.models.detector import MAX_CANDIDATES, JointDetector, finding_log_odds, load_detector, refine_boxes
from trainer.models.scorer import PairScorer
from trainer.models.torchvision_internals import BoxDecoder, count_channels
from trainer.shipped import resolve_run_folder
from trainer.training.lineage import digest_of_lineage, read_lineage

__all__ = ["LIMIT", "ExportedModel", "build_models", "export_network", "export_onnx", "measure_agreement"]

LIMIT = 1e-4
"""Largest difference between ONNX and torch: in probabilities, and in coordinates as parts of the square's side."""
_FILMS = 3  # simulated hands for the check at each export
_CPU = torch.device("cpu")
_Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class ExportedModel:
    """A model in the form of an ONNX file.

    Attributes
    ----------
    suffix
        Text between the name of the file and ``.onnx``.
    network
        The same in torch; it returns a tuple of tensors.
    inputs, outputs
        Their names.
    content
        The bytes of the file.
    """

    suffix: str
    network: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    content: bytes


class _BoxProposer(nn.Module):
    """The detector's first network: boxes (N, A, 4) and class probabilities (N, A, classes) of whole hands."""

    def __init__(self, model: JointDetector) -> None:
        super().__init__()
        self._channels = count_channels(model.ssd)
        self.decoder = BoxDecoder(model.ssd, COARSE_SIZE)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, logits = self.decoder(downsample(images).expand(-1, self._channels, -1, -1))
        return boxes.clamp(0, COARSE_SIZE), logits.softmax(dim=-1)


class _BoxRefiner(nn.Module):
    """The detector's second network with all its passes: centres, sizes, findings and kinds of boxes (M, 4)."""

    def __init__(self, model: JointDetector) -> None:
        super().__init__()
        self.model = model
        self._against = finding_log_odds(model)

    def forward(self, image: Tensor, boxes: Tensor) -> tuple[Tensor, ...]:
        found = refine_boxes(self.model, image[0], boxes, self._against)
        return found.centres, found.sizes, found.finding.sigmoid(), found.kinds


class _GradePairs(nn.Module):
    """The scorer: the probability of each pair of grades, (N, G, G), of each scale."""

    def __init__(self, model: PairScorer) -> None:
        super().__init__()
        self.model = model

    def forward(self, crops: Tensor, groups: Tensor, max_grades: Tensor) -> tuple[Tensor, ...]:
        return tuple(pair[:, 0].float().exp() for pair in self.model(crops, groups, max_grades))


def export_onnx(run: Path, out: Path) -> dict[Path, float]:
    """Write the model of a run as ONNX, and return the largest difference from torch by file.

    Parameters
    ----------
    run
        Folder of a run of a scorer or a detector, or ``shipped``.
    out
        The file to write; its name ends with ``.onnx``. A detector gets a second file, with ``-refiner`` in its name.

    Raises
    ------
    TrainError
        If there is no model, a package of the extra ``onnx`` is missing, a file can't be written, or ONNX and torch differ
        by more than `LIMIT`. Nothing is written then.
    """
    if out.suffix != ".onnx" or out.is_dir():
        raise TrainError("the name of the file does not end with .onnx, or is a folder", out, "Give another --out")
    models = build_models(run)
    with tempfile.TemporaryDirectory() as folder:
        differences = measure_agreement(models, _FILMS, Path(folder))
    for model, difference in zip(models, differences, strict=True):
        if difference > LIMIT:
            name = out.with_stem(out.stem + model.suffix).name
            raise TrainError(
                f"{name} would differ from torch by {difference:.2g}, more than {LIMIT:g}; nothing was written",
                run,
                "Update torch, onnxscript and onnxruntime",
            )
    found = {}
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        for model, difference in zip(models, differences, strict=True):
            path = out.with_stem(out.stem + model.suffix)
            with atomic_write(path) as temporary:
                temporary.write_bytes(model.content)
            found[path] = difference
    except OSError as error:
        raise TrainError(f"the model can't be written: {error.strerror}", out, "Choose another file") from error
    return found


def build_models(run: Path) -> tuple[ExportedModel, ...]:
    """Return the model of a run as ONNX: one of a scorer, two of a detector. Raises TrainError."""
    for package in ("onnx", "onnxruntime", "onnxscript"):
        importlib.import_module(package)  # the command names the extra if one is missing
    folder = resolve_run_folder(run)
    about = load_checkpoint(folder / "model.pt").get("about")
    kind = about.get("model") if isinstance(about, dict) else None
    facts: dict[str, Any] = {"lineage": digest_of_lineage(read_lineage(folder / "model.pt"))}
    if kind == "scorer":
        return (_build_scorer(folder, facts),)
    return _build_detector(folder, facts)


def _build_scorer(folder: Path, facts: Mapping[str, Any]) -> ExportedModel:
    (scorer,) = load_scorers((folder,), _CPU)
    scales = scorer.scales
    example = {
        "crops": torch.rand(3, 2, PAIR_CROP_SIZE, PAIR_CROP_SIZE),
        "groups": torch.zeros(3, dtype=torch.int64),
        "max_grades": torch.tensor([[count - 1 for count in scorer.grades]] * 3),
    }
    facts = {
        **facts,
        "model": "scorer",
        "crop_side": PAIR_CROP_SIZE,
        "crop_margin": MARGIN,
        "groups": scorer.groups,
        "scales": scales,
        "grades": scorer.grades,
    }
    return export_network("", _GradePairs(scorer.network), example, scales, facts, tuple(example))


def _build_detector(folder: Path, facts: Mapping[str, Any]) -> tuple[ExportedModel, ExportedModel]:
    model = load_detector(folder, _CPU)
    facts = {**facts, "image_side": FINE_SIZE, "square": COARSE_SIZE, "joint_kinds": JOINT_KINDS}
    facts |= {"max_candidates": MAX_CANDIDATES, "backbone": model.backbone_name}
    image = torch.rand(1, 1, FINE_SIZE, FINE_SIZE)
    boxes = torch.tensor([[100.0, 100.0, 120.0, 121.0], [50.0, 60.0, 70.0, 80.0], [200.0, 90.0, 225.0, 115.0]])
    return (
        export_network(
            "", _BoxProposer(model), {"images": image.repeat(2, 1, 1, 1)}, ("boxes", "probabilities"),
            {**facts, "model": "detector, boxes"}, ("images",),
        ),
        export_network(
            "-refiner", _BoxRefiner(model), {"image": image, "boxes": boxes}, ("centres", "sizes", "finding", "kinds"),
            {**facts, "model": "detector, refiner"}, ("boxes",),
        ),
    )  # fmt: skip


def export_network(
    suffix: str,
    network: nn.Module,
    example: Mapping[str, Tensor],
    outputs: Sequence[str],
    facts: Mapping[str, Any],
    any_length: Sequence[str],
    any_size: Sequence[str] = (),
) -> ExportedModel:
    """Return `network` as ONNX; the first dimension of the inputs `any_length` is free, and the same for all.

    The rows and columns of the inputs `any_size` are free as well.
    """
    network.eval()
    count: dict[int, Any] = {0: torch.export.Dim("count", min=1)}
    sides = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    free = {name: (count if name in any_length else {}) | (sides if name in any_size else {}) for name in example}
    shapes = tuple(free[name] or None for name in example)
    try:
        with _silence(), torch.no_grad():
            program = torch.onnx.export(
                network,
                tuple(example.values()),
                dynamo=True,
                input_names=list(example),
                output_names=list(outputs),
                dynamic_shapes=shapes,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = clean_text(error, 300)
        raise TrainError(f"torch can't export this model: {reason}", "", "Update torch and onnxscript") from error
    assert program is not None
    proto = program.model_proto
    # The exporter adds a stack trace to each node, with the paths of this machine.
    for part in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output, *proto.functions):
        del part.metadata_props[:]
    for name, value in facts.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = f"ratui.{name}", json.dumps(value)
    return ExportedModel(suffix, network, tuple(example), tuple(outputs), proto.SerializeToString())


@contextlib.contextmanager
def _silence() -> Any:
    """Keep the exporter's messages about its own steps from the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def measure_agreement(models: Sequence[ExportedModel], films: int, folder: Path, *, seed: int = 2**20) -> list[float]:
    """Return the largest difference between ONNX Runtime and torch for each model, on `films` simulated hands.

    Coordinates count as parts of the square's side. NaN in either result is a difference of infinity.

    Parameters
    ----------
    models
        From `build_models`.
    films
        Number of hands.
    folder
        Cache of the drawn hands.
    seed
        Seed of the hands.
    """
    from onnxruntime import InferenceSession

    scheme = load_scheme("fingers")
    hands = simulate_hands(films, folder, lambda *_: None, scheme=scheme, seed=seed)
    sessions = [InferenceSession(model.content, providers=["CPUExecutionProvider"]) for model in models]
    worst = [0.0] * len(models)
    previous = np.zeros((len(hands.joints), PAIR_CROP_SIZE, PAIR_CROP_SIZE), np.uint8)
    for row in range(films):
        image, known = hands.images[row], hands.boxes[row]
        crops = np.stack([_crop(image, box) for box in known])
        for place, (model, session) in enumerate(zip(models, sessions, strict=True)):
            feed = _make_inputs(model, image, known, np.stack([previous, crops], axis=1), row)
            worst[place] = max(worst[place], _compare(model, session, feed))
        previous = crops
    return worst


def _crop(image: npt.NDArray[np.uint8], box: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    scale = FINE_SIZE / COARSE_SIZE
    levels = image.astype(np.float32) / np.float32(255)
    return crop_joint(levels, Box(*(float(value) * scale for value in box)), mirrored=False)


def _make_inputs(
    model: ExportedModel, image: npt.NDArray[np.uint8], boxes: npt.NDArray[Any], crops: npt.NDArray[np.uint8], row: int
) -> _Arrays:
    """Return the inputs of `model` for a film: image, boxes and crops of its joints, and every group and set of grades."""
    if not isinstance(model.network, _GradePairs):
        pixels = image[None, None].astype(np.float32) / np.float32(255)
        return {"images": pixels} if model.inputs == ("images",) else {"image": pixels, "boxes": boxes}
    scorer = model.network.model
    numbers = row + np.arange(len(crops))
    grades = np.array([head.out_features for head in scorer.heads])
    # Joints of all groups; some lack the highest grade, and some a whole scale.
    largest = np.where(numbers[:, None] % 5 == 4, -1, grades - 1 - numbers[:, None] % 2)
    return {
        "crops": crops.astype(np.float32) / np.float32(255),
        "groups": numbers % scorer.group.num_embeddings,
        "max_grades": np.maximum(largest, -1),
    }


@torch.inference_mode()
def _compare(model: ExportedModel, session: Any, feed: _Arrays) -> float:
    """Return the largest difference of the outputs for `feed`."""
    wanted = model.network(*(torch.from_numpy(np.ascontiguousarray(feed[name])) for name in model.inputs))
    try:
        results = session.run(list(model.outputs), dict(feed))
    except Exception as error:  # ONNX Runtime has no public base class of its errors
        reason = clean_text(error, 300)
        raise TrainError(f"ONNX Runtime can't run this model: {reason}", "", "Update onnxruntime") from error
    worst = 0.0
    for name, seen, true in zip(model.outputs, results, wanted, strict=True):
        difference = np.abs(seen.astype(np.float64) - true.double().numpy())
        if name in ("boxes", "centres", "sizes"):
            difference = difference / COARSE_SIZE
        worst = max(worst, float(difference.max()) if np.isfinite(difference).all() else float("inf"))
    return worst
