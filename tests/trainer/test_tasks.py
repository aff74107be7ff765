"""Tasks of an experiment: each is computed once, by any process, after a kill as well, and failures are named."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ratui.errors import TrainError
from tests.trainer.toy_experiment import ToyExperiment
from trainer.experiments import claims, engines
from trainer.experiments.claims import hold_claim, read_holder
from trainer.experiments.engines import Engine, parse_cluster_settings, run_experiment
from trainer.experiments.tasks import Start, collect_outcome, compute_tasks

pytestmark = pytest.mark.slow

HOLD = """
import sys, time
from pathlib import Path
from trainer.experiments.claims import hold_claim
with hold_claim(Path(sys.argv[1]), sys.argv[2]) as claim:
    print(claim.is_own, flush=True)
    time.sleep(60)
"""


def quiet(*_: object) -> None:
    pass


@pytest.fixture
def toy(tmp_path: Path) -> ToyExperiment:
    return ToyExperiment(tmp_path, tuple(f"wait-{number}" for number in range(6)))


class TestClaims:
    def test_a_held_claim_is_refused_and_the_kill_of_its_process_frees_it(self, tmp_path: Path) -> None:
        file = tmp_path / "claims" / "cell"
        holder = subprocess.Popen([sys.executable, "-c", HOLD, str(file), "first"], stdout=subprocess.PIPE, text=True)
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "True\n"
            with hold_claim(file, "second") as claim:
                assert not claim.is_own
            held = read_holder(file)
            assert held is not None
            assert (held.host, held.process, held.start) == (socket.gethostname(), str(holder.pid), "first")
        finally:
            holder.kill()
            holder.wait()
        with hold_claim(file, "first") as claim:
            assert claim.is_own
            assert claim.was_abandoned
        assert read_holder(file) is None
        with hold_claim(file, "first") as claim:
            assert claim.is_own
            assert not claim.was_abandoned, "its last holder ended regularly"

    def test_a_claim_of_another_machine_counts_until_it_is_no_longer_renewed(self, tmp_path: Path) -> None:
        file = tmp_path / "cell"
        file.write_text(json.dumps({"host": "elsewhere", "process": 7, "start": "x"}))
        with hold_claim(file, "mine") as claim:
            assert not claim.is_own
        old = time.time() - claims.LEASE - 5
        os.utime(file, (old, old))
        with hold_claim(file, "mine") as claim:
            assert claim.is_own
            assert not claim.was_abandoned, "it was of another start"

    def test_the_holder_renews_its_claim(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(claims, "LEASE", 0.1)
        with hold_claim(tmp_path / "cell", "mine"):
            os.utime(tmp_path / "cell", (0, 0))
            until = time.monotonic() + 10
            while (tmp_path / "cell").stat().st_mtime == 0 and time.monotonic() < until:
                time.sleep(0.01)
            assert (tmp_path / "cell").stat().st_mtime > 0

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"host": "h"}', b"\xff" * 5000])
    def test_damaged_content_is_no_holder(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "cell").write_bytes(content)
        assert read_holder(tmp_path / "cell") is None
        with hold_claim(tmp_path / "cell", "mine") as claim:
            assert claim.is_own


class TestOneProcess:
    def test_parts_share_the_tasks_and_finished_ones_are_kept(self, toy: ToyExperiment) -> None:
        compute_tasks(toy, Start(part=(1, 2)), quiet)
        assert [name for name in toy.names if toy.computed(name)] == ["wait-1", "wait-3", "wait-5"]
        outcome = run_experiment(toy, Start(), Engine(), quiet)
        assert (outcome.finished, outcome.total, outcome.failures, outcome.held) == (6, 6, (), ())
        assert all(len(toy.computed(name)) == 1 for name in toy.names)

    def test_no_process_computes_nothing(self, toy: ToyExperiment) -> None:
        assert run_experiment(toy, Start(), Engine(processes=0), quiet).finished == 0
        assert not toy.computed("wait-0")

    def test_no_task_begins_after_the_time_limit(self, toy: ToyExperiment) -> None:
        outcome = run_experiment(toy, Start(seconds=0.0), Engine(), quiet)
        assert outcome.finished == 0
        assert not outcome.failures

    def test_a_failure_is_named_and_the_others_are_computed_and_the_next_start_tries_again(
        self, tmp_path: Path
    ) -> None:
        toy = ToyExperiment(tmp_path, ("refuse-a", "break-b", "wait-c"))
        outcome = run_experiment(toy, Start(), Engine(), quiet)
        assert outcome.finished == 1
        (refused, reason), (broken, fault) = outcome.failures
        assert (refused, reason) == ("the task refuse-a", "cell: the loss is nan. Lower the rate")
        assert broken == "the task break-b"
        assert "ZeroDivisionError" in fault
        assert "Miller" not in fault
        assert len(run_experiment(toy, Start(), Engine(), quiet).failures) == 2
        assert len(toy.computed("refuse-a")) == 2
        assert len(toy.computed("wait-c")) == 1

    def test_processes_of_one_start_try_a_failed_task_once(self, tmp_path: Path) -> None:
        toy, start = ToyExperiment(tmp_path, ("refuse-a",)), Start()
        for _ in range(2):
            compute_tasks(toy, start, quiet)
        assert len(toy.computed("refuse-a")) == 1

    def test_a_task_that_another_process_holds_is_left_to_it(self, toy: ToyExperiment) -> None:
        file = toy.folder / "claims" / "wait-2"
        with hold_claim(file, "other"):
            outcome = run_experiment(toy, Start(), Engine(), quiet)
        assert outcome.finished == 5
        assert outcome.held == (("the task wait-2", f"process {os.getpid()} on {socket.gethostname()}"),)
        assert not toy.computed("wait-2")

    def test_a_preparation_that_fails_in_another_process_is_the_error(self, toy: ToyExperiment) -> None:
        impossible, start = ToyExperiment(toy.folder, toy.names, is_possible=False), Start()
        with pytest.raises(TrainError, match="nothing to prepare"):
            compute_tasks(impossible, start, quiet)
        with pytest.raises(TrainError, match="nothing to prepare"):
            collect_outcome(impossible, start)
        assert collect_outcome(toy, Start()).total == 6


class TestSeveralProcesses:
    def test_each_task_is_computed_once_and_one_that_kills_its_process_is_named(self, tmp_path: Path) -> None:
        toy = ToyExperiment(tmp_path, ("die-a", *(f"wait-{number}" for number in range(8))))
        outcome = run_experiment(toy, Start(), Engine(processes=2), quiet)
        assert outcome.finished == 8
        assert outcome.failures == (("the task die-a", "the process that computed it was killed"),)
        assert len(toy.computed("die-a")) == 1
        everyone = {process for name in toy.names for process in toy.computed(name)}
        assert all(len(toy.computed(name)) == 1 for name in toy.names)
        assert os.getpid() not in everyone
        assert "the task wait-" in "".join(log.read_text() for log in (tmp_path / "logs").iterdir())

    def test_a_process_that_ends_with_an_error_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        toy = ToyExperiment(tmp_path, ("wait-a",))
        monkeypatch.setattr(engines, "_run_processes", lambda *_: [("process 1", "it ended with SIGKILL")])
        outcome = run_experiment(toy, Start(), Engine(processes=2), quiet)
        assert outcome.failures == (("process 1", "it ended with SIGKILL"),)

    def test_threads_and_gpus_are_divided(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
        given = [engines._share_machine(number, 3) for number in range(3)]
        assert [each["CUDA_VISIBLE_DEVICES"] for each in given] == ["3", "5", "3"]
        assert {each["OMP_NUM_THREADS"] for each in given} == {"1"}
        with engines._environment({"CUDA_VISIBLE_DEVICES": "5", "RATUI_TEST": "1"}):
            assert (os.environ["CUDA_VISIBLE_DEVICES"], os.environ["RATUI_TEST"]) == ("5", "1")
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,5"
        assert "RATUI_TEST" not in os.environ


class TestCluster:
    def test_jobs_of_submitit_compute_the_same_tasks(self, toy: ToyExperiment) -> None:
        pytest.importorskip("submitit")
        compute_tasks(toy, Start(part=(0, 2)), quiet)
        outcome = run_experiment(toy, Start(), Engine(1, "local", {"timeout_min": 2}), quiet)
        assert (outcome.finished, outcome.failures) == (6, ())
        assert all(len(toy.computed(name)) == 1 for name in toy.names)
        assert toy.computed("wait-0") == [os.getpid()]
        assert os.getpid() not in toy.computed("wait-1")

    def test_a_job_whose_time_is_up_is_queued_again_with_the_same_work(self, toy: ToyExperiment) -> None:
        pytest.importorskip("submitit")
        start = Start()
        again = engines._Job(toy, start).checkpoint()
        assert (again.function.experiment, again.function.start) == (toy, start)

    def test_wrong_parameters_are_one_error(self, toy: ToyExperiment) -> None:
        pytest.importorskip("submitit")
        with pytest.raises(TrainError, match="can't be submitted"):
            run_experiment(toy, Start(), Engine(1, "local", {"no_such": 1}), quiet)

    def test_a_missing_package_is_named(self, toy: ToyExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "submitit", None)
        with pytest.raises(TrainError) as raised:
            run_experiment(toy, Start(), Engine(1, "slurm"), quiet)
        assert raised.value.remedy == "pip install 'ratui[cluster]'"

    def test_settings_are_names_with_values(self) -> None:
        assert parse_cluster_settings(["gpus_per_node=2", "slurm_partition=gpu"]) == {
            "gpus_per_node": 2,
            "slurm_partition": "gpu",
        }
        for wrong in ("gpus", "=2", "a b=1", "mem="):
            with pytest.raises(TrainError, match="no setting"):
                parse_cluster_settings([wrong])


def test_sigterm_of_the_program_ends_its_processes(tmp_path: Path) -> None:
    """The program waits for them, so that they can save what they have."""
    script = """
import sys
from pathlib import Path
from ratui.program import run_program
from tests.trainer.toy_experiment import ToyExperiment
from trainer.experiments.engines import Engine, run_experiment
from trainer.experiments.tasks import Start
if __name__ == "__main__":
    toy = ToyExperiment(Path(sys.argv[1]), tuple(f"wait-{n}" for n in range(2000)))
    run_program("test", lambda: run_experiment(toy, Start(), Engine(processes=2), lambda *_: None))
"""
    (tmp_path / "program.py").write_text(script)
    toy = ToyExperiment(tmp_path / "toy", tuple(f"wait-{number}" for number in range(2000)))
    toy.folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = subprocess.Popen([sys.executable, str(tmp_path / "program.py"), str(toy.folder)], env=environment)
    try:
        until = time.monotonic() + 60
        while not toy.result("wait-0").exists() and time.monotonic() < until:
            time.sleep(0.05)
        program.send_signal(signal.SIGTERM)
        assert program.wait(60) == 128 + signal.SIGTERM
    finally:
        program.kill()
    done = sum(toy.result(name).exists() for name in toy.names)
    assert 0 < done < 2000
    time.sleep(0.3)
    assert sum(toy.result(name).exists() for name in toy.names) == done
