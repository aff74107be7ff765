"""Training runs: exact resumption, several processes, and rejection of malicious checkpoints and small studies."""

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import trainer
from ratui.errors import TrainError
from ratui.imaging import Box
from ratui.study import Study
from trainer.data.hands import load_hand_samples
from trainer.data.pairs import load_pair_samples
from trainer.data.splits import split_cases
from trainer.models.checkpoint_files import load_checkpoint
from trainer.models.detector import build_detector
from trainer.models.scorer import load_scorer_network
from trainer.training.detector_training import train_detector
from trainer.training.loop import TrainingPlan
from trainer.training.processes import ProcessGroup
from trainer.training.runs import RunPlan, load_split
from trainer.training.scorer_training import train_scorer

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
ALONE = ProcessGroup()


def plan(epochs: int, **changes: object) -> RunPlan:
    return replace(RunPlan(TrainingPlan(epochs=epochs), batch=32, width=8), **changes)  # type: ignore[arg-type]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = load_checkpoint(folder / "model.pt")["model"]
    return state


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


class TestSplit:
    def test_no_patient_is_on_both_sides(self) -> None:
        split = split_cases([f"C-{n}" for n in range(40)], seed=3)
        assert not set(split.train) & set(split.test)
        assert split == split_cases([f"C-{n}" for n in range(40)][::-1], seed=3)
        assert split != split_cases([f"C-{n}" for n in range(40)], seed=4)

    @pytest.mark.parametrize("count", [0, 1])
    def test_too_few_to_split(self, count: int) -> None:
        with pytest.raises(TrainError, match=f"{count} read case"):
            split_cases(["C-1"][:count])

    def test_two_cases_are_split(self) -> None:
        split = split_cases(["a", "b"])
        assert len(split.train) == len(split.test) == 1


class TestSamples:
    def test_boxes_are_normalized_and_restored(self, phantom_study: Study, tmp_path: Path) -> None:
        samples = load_hand_samples(phantom_study, phantom_study.cases()[:1], tmp_path, lambda *_: None)
        regions = {(r.site, r.film): r.box for r in phantom_study.regions(samples.cases[0])}
        for row, frame in enumerate(samples.frames):
            for column, joint in enumerate(samples.joints):
                box = regions[f"{samples.sides[row]}.{joint}", samples.films[row]]
                assert box is not None
                back = frame.to_film(Box(*samples.boxes[row, column].tolist()))
                assert back == pytest.approx(box, abs=0.05)

    def test_right_hands_are_mirrored_to_left(self, phantom_study: Study, tmp_path: Path) -> None:
        samples = load_hand_samples(phantom_study, phantom_study.cases()[:2], tmp_path, lambda *_: None)
        thumb, little = samples.joints.index("MCP1"), samples.joints.index("MCP5")
        assert (samples.boxes[:, thumb, 0] > samples.boxes[:, little, 0]).all()

    def test_labels_are_every_raters_scores(self, phantom_study: Study, tmp_path: Path) -> None:
        from ratui.reading import Field

        samples = load_pair_samples(phantom_study, phantom_study.cases()[:2], tmp_path, lambda *_: None)
        for row, (case, site) in enumerate(zip(samples.cases, samples.sites, strict=True)):
            for number, rater in enumerate(phantom_study.config.raters):
                reading = phantom_study.reading(rater, case)
                assert reading
                for scale, name in enumerate(samples.scales):
                    for time in (0, 1):
                        has = name in phantom_study.scheme.site(site).joint.scales
                        wanted = reading.score(Field(site, name, time)) if has else -1
                        assert samples.labels[row, number, scale, time] == wanted

    def test_cached_images_are_the_same_and_a_changed_region_makes_new_ones(
        self, phantom_study: Study, tmp_path: Path
    ) -> None:
        stages: list[int] = []
        cases = phantom_study.cases()[:1]
        first = np.array(load_pair_samples(phantom_study, cases, tmp_path, lambda _s, n, _o: stages.append(n)).crops)
        worked = len(stages)
        again = load_pair_samples(phantom_study, cases, tmp_path, lambda _s, n, _o: stages.append(n)).crops
        assert len(stages) == worked + 1, "only the last message: nothing was decoded"
        assert np.array_equal(first, again)


SCRIPT = """
import os, signal, sys, threading, time
from pathlib import Path
import torch
torch.set_num_threads(1)
import trainer.training.runs as runs
from ratui.program import run_program
from ratui.study import Study
from trainer.training.loop import TrainingPlan
from trainer.training.processes import ProcessGroup
from trainer.training.runs import RunPlan
from trainer.training.scorer_training import train_scorer
out, number = Path(sys.argv[2]), getattr(signal, sys.argv[3])
runs._CHECKPOINT_SECONDS = 0.0  # a checkpoint an epoch, as a run with long ones has
def stop():
    while not (out / "last.pt").exists(): time.sleep(0.01)
    os.kill(os.getpid(), number)
threading.Thread(target=stop, daemon=True).start()
plan = RunPlan(TrainingPlan(epochs=4), batch=32, width=8)
study = Study.open(Path(sys.argv[1]))
run_program("train", lambda: train_scorer(study, out, plan, torch.device("cpu"), ProcessGroup()))
"""


@pytest.fixture(scope="module")
def unbroken(phantom_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of four epochs that nothing stopped."""
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    train_scorer(phantom_study, folder, plan(4), CPU, ALONE)
    return folder


class TestResuming:
    @pytest.mark.parametrize("ended", ["SIGTERM", "SIGKILL"])
    def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(
        self, phantom_study: Study, unbroken: Path, tmp_path: Path, ended: str
    ) -> None:
        broken = tmp_path / "broken"
        command = [sys.executable, "-c", SCRIPT, str(phantom_study.path), str(broken), ended]
        done = subprocess.run(command, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert done.returncode == (128 + signal.SIGTERM if ended == "SIGTERM" else -signal.SIGKILL)
        assert not (broken / "model.pt").exists(), "a training that is not finished has no result"
        stopped = load_checkpoint(broken / "last.pt")
        assert 1 <= stopped["epoch"] < 4, "it was stopped on its way"
        with (broken / "metrics.jsonl").open("a") as file:  # half a line that was written after the checkpoint
            file.write('{"epoch": 4, "loss": 1.0}\n{"epo')
        train_scorer(phantom_study, broken, plan(4, resume=True), CPU, ALONE)
        assert same(weights(unbroken), weights(broken))
        lines = [json.loads(line) for line in (broken / "metrics.jsonl").read_text().splitlines()]
        assert [line["epoch"] for line in lines] == list(range(1, 5))
        whole = [json.loads(line) for line in (unbroken / "metrics.jsonl").read_text().splitlines()]
        assert [line["loss"] for line in lines] == [line["loss"] for line in whole]

    def test_two_equal_runs_give_equal_results(self, phantom_study: Study, tmp_path: Path) -> None:
        fit = TrainingPlan(epochs=1, deterministic=True)
        for name in ("one", "two"):
            train_scorer(phantom_study, tmp_path / name, plan(1, training=fit, samples=tmp_path / "kept"), CPU, ALONE)
        assert same(weights(tmp_path / "one"), weights(tmp_path / "two"))
        assert torch.are_deterministic_algorithms_enabled()
        train_scorer(phantom_study, tmp_path / "three", plan(1, samples=tmp_path / "kept"), CPU, ALONE)
        assert not torch.are_deterministic_algorithms_enabled()
        assert len(list((tmp_path / "kept").iterdir())) == 1, "three runs share the crops"

    def test_tensorboard_gets_the_same_values_as_the_lines(self, phantom_study: Study, run_folder: Path) -> None:
        accumulator = pytest.importorskip(
            "tensorboard.backend.event_processing.event_accumulator", reason="TensorBoard is not installed"
        )
        train_scorer(phantom_study, run_folder, plan(2, training=TrainingPlan(epochs=2, tensorboard=True)), CPU, ALONE)
        events = accumulator.EventAccumulator(str(run_folder / "tensorboard"))
        events.Reload()
        lines = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
        logged = [(event.step, pytest.approx(event.value, rel=1e-4)) for event in events.Scalars("loss")]
        assert logged == [(line["epoch"], line["loss"]) for line in lines]

    def test_a_run_is_not_overwritten(self, phantom_study: Study, run_folder: Path) -> None:
        train_scorer(phantom_study, run_folder, plan(1), CPU, ALONE)
        with pytest.raises(TrainError, match="a run in this folder already"):
            train_scorer(phantom_study, run_folder, plan(1), CPU, ALONE)

    def test_a_run_folder_describes_itself(self, phantom_study: Study, run_folder: Path) -> None:
        train_scorer(phantom_study, run_folder, plan(1, loss="soft", difference=0.5), CPU, ALONE)
        config = json.loads((run_folder / "config.json").read_text())
        assert config["plan"]["loss"] == "soft"
        assert {"fit", "crowd", "near"} <= config["plan"].keys(), "keys of earlier versions"
        assert config["plan"]["fit"]["epochs"] == 1
        assert config["versions"]["torch"] == torch.__version__
        split = load_split(run_folder)
        assert set(split.train) | set(split.test) == set(phantom_study.cases())
        _, about = load_scorer_network(run_folder, CPU)
        assert about["scales"] == ["ERO", "JSN"]


ONE_AND_TWO_PROCESSES = """
import os, sys
from pathlib import Path
import numpy as np
import torch
import trainer.training.scorer_training as scorer_training
from ratui.study import Study
from tests.trainer.synthetic import turn_dropout_off
from trainer.models.scorer import build_scorer
from trainer.training.loop import TrainingPlan
from trainer.training.processes import join_processes

study, one, two, start, port = sys.argv[1:]
torch.set_num_threads(1)
scorer_training.augment_pairs = lambda crops, generator: crops
torch.optim.AdamW = lambda parameters, lr, weight_decay: torch.optim.SGD(parameters, lr=lr)
keep = scorer_training.drop_fixed_scores

def build(about):
    model = build_scorer(about)
    turn_dropout_off(model)
    if not Path(start).exists():
        torch.save(model.state_dict(), start)
    return model

def drop(samples):
    samples = keep(samples)
    lost = np.random.default_rng(1).random(samples.labels.shape[:2]) < 0.5
    samples.labels[lost] = -1  # the processes have different numbers of labels
    return samples

def train(folder):
    cpu = torch.device("cpu")
    fit = TrainingPlan(epochs=1, rate=0.01, channels_last=False)
    plan = scorer_training.RunPlan(fit, batch=40, rater_model="confusion", width=8)
    with join_processes(cpu) as here:
        scorer_training.train_scorer(Study.open(Path(study)), Path(folder), plan, cpu, here)

scorer_training.build_scorer, scorer_training.drop_fixed_scores = build, drop
train(one)
# The variables that torchrun sets. Forked processes need not import PyTorch again, which takes longer than the training.
os.environ.update(WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
children = []
for rank in range(2):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.environ["RANK"] = os.environ["LOCAL_RANK"] = str(rank)
            train(two)
            code = 0
        finally:
            os._exit(code)
    children.append(child)
assert all([os.waitpid(child, 0)[1] == 0 for child in children])
"""


@pytest.mark.slow
def test_two_processes_give_the_result_of_one(phantom_study: Study, tmp_path: Path) -> None:
    """Train without augmentation and dropout, which each process draws for itself, so that gradients are equal.

    Plain gradient descent is used, because Adam turns rounding errors into whole steps. Only parameters are compared: the
    running statistics are larger by far and hardly depend on what was learned. With channels last, gradients of torch's
    batch norm on a CPU have errors of half a percent.
    """
    tests, root = Path(__file__).parents[2], Path(trainer.__file__).parents[1]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{root}{os.pathsep}{tests}"}
    one, two, start = tmp_path / "one", tmp_path / "two", tmp_path / "start.pt"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    script = [sys.executable, "-c", ONE_AND_TWO_PROCESSES, str(phantom_study.path), str(one), str(two), str(start)]
    subprocess.run([*script, str(port)], check=True, env=environment, timeout=300)
    alone, together, before = weights(one), weights(two), torch.load(start)
    assert json.loads((two / "config.json").read_text())["processes"] == 2
    parameters = [name for name in before if "running" not in name and "num_batches" not in name]
    learnt = sum(float((alone[key] - before[key]).square().sum()) for key in parameters) ** 0.5
    apart = sum(float((alone[key] - together[key]).square().sum()) for key in parameters) ** 0.5
    assert learnt > 1e-3
    assert apart < 2e-3 * learnt, (apart, learnt)


class TestCheckpoints:
    def test_code_in_a_checkpoint_is_not_run(self, tmp_path: Path) -> None:
        class Bomb:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return os.system, (f"touch {tmp_path / 'exploded'}",)

        for save in (lambda o, p: torch.save(o, p), lambda o, p: p.write_bytes(pickle.dumps(o))):
            save({"model": Bomb()}, tmp_path / "model.pt")
            with pytest.raises(TrainError, match="checkpoint can't be read safely"):
                load_checkpoint(tmp_path / "model.pt")
        assert not (tmp_path / "exploded").exists()

    @pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04" + b"\0" * 60])
    def test_an_invalid_file_is_rejected(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "model.pt").write_bytes(content)
        with pytest.raises(TrainError):
            load_checkpoint(tmp_path / "model.pt")

    @pytest.mark.parametrize("state", [[1, 2], {"nothing": 1}, {"model": {"a": torch.zeros(2)}}, {"model": 3}])
    def test_a_checkpoint_of_something_else_is_refused(self, tmp_path: Path, state: object) -> None:
        torch.save(state, tmp_path / "model.pt")
        with pytest.raises(TrainError):
            build_detector(tmp_path / "model.pt")
        with pytest.raises(TrainError):
            load_scorer_network(tmp_path, CPU)

    def test_weights_of_a_run_start_another(self, phantom_study: Study, tmp_path: Path) -> None:
        train_detector(phantom_study, tmp_path / "a", plan(1, batch=16), CPU, ALONE)
        model = build_detector(tmp_path / "a" / "model.pt")
        assert same(dict(model.state_dict()), weights(tmp_path / "a"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_gpu_trains_with_mixed_precision(phantom_study: Study, run_folder: Path) -> None:
    train_scorer(phantom_study, run_folder, plan(2), torch.device("cuda", 0), ALONE)
    assert all(torch.isfinite(value).all() for value in weights(run_folder).values())
