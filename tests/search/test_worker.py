"""One worker's life on a study, with a task that takes no time and a tracker that keeps everything in memory."""

import contextlib

import pytest
import torch
from optuna.trial import TrialState

from derm_ml.search.record import save_record, share_saved, trials_table
from derm_ml.search.run import search, told
from derm_ml.search.samplers import SeededSampler
from derm_ml.search.space import Range
from derm_ml.search.storage import open_storage, studies_uri
from derm_ml.search.study import Goal, index_of, open_study
from derm_ml.search.worker import KEPT, Worker
from derm_ml.tracking.base import RecordingTracker
from derm_ml.training.trainer import NonFiniteLoss

pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed")  # ask and tell, here only
AUROC = (Goal("probe/auroc", "maximize"),)


class Tracker(RecordingTracker):
    """Nested runs by name, as MLflow has them; says how each ended."""

    def __init__(self, run_id="search"):
        super().__init__(run_id)
        self.runs, self.endings = {}, {}

    @contextlib.contextmanager
    def child(self, name, tags=None, *, resume=False):
        run = self.runs.setdefault(name, RecordingTracker(name)) if resume else RecordingTracker(name)
        assert resume or name not in self.runs
        self.runs[name] = run
        run.set_tags(tags or {})
        try:
            yield run
        except BaseException as error:
            self.endings[name] = f"{type(error).__name__}: {error}"
            raise
        self.endings[name] = "FINISHED"

    def tags(self, name):
        return {key: value for kind, row in self.runs[name].calls if kind == "tags" for key, value in row.items()}


class Quick:
    """The value is 1 - (log10 beta)^2 / 10 after 4 epochs, and grows towards it; `on` says what else happens."""

    entry, epochs = "pretrain", 4

    def __init__(self, on=lambda number, epoch, folder: None, goals=AUROC):
        self.goals, self.space, self.on = goals, {"beta": Range(0.01, 100), "lr": Range(1e-4, 1e-2)}, on
        self.number, self.again, self.kept, self.registered = -1, [], [], []

    def train(self, params, run, folder, watch, again):
        self.number += 1
        self.again.append(again)
        folder.mkdir(parents=True, exist_ok=True)
        metrics = {}
        for epoch in range(1, self.epochs + 1):
            (folder / "last.safetensors").write_text(str(epoch))
            value = 1 - float(torch.tensor(params["beta"]).log10()) ** 2 / 10 - (4 - epoch) / 100
            metrics = {"probe/auroc": value, "probe/gap": params["lr"], "val/elbo": float("nan")}
            run.log_metrics(metrics, epoch)
            self.on(self.number, epoch, folder)
            watch(epoch, metrics)
        return metrics

    def keep(self, run, folder):
        self.kept.append(run.run_id)

    def register(self, params, metrics, run, folder):
        self.registered.append(run.run_id)
        return f"models:/derm-encoder/{len(self.registered)}"


@pytest.fixture
def uri(tmp_path, monkeypatch):
    monkeypatch.delenv("DERM_ML_STUDIES", raising=False)
    monkeypatch.setenv("DERM_ML_HEARTBEAT", "1")
    return studies_uri(tmp_path)


def opened(uri, task):
    return open_study(open_storage(uri), "s", "p", {"data": "d"}, task.goals, task.space)


def worker(uri, task, tracker, tmp_path, seed=0):
    return Worker(opened(uri, task), task, tracker, "search", tmp_path / "search", seed)


def config(**given):
    from derm_ml.config import PretrainConfig

    return PretrainConfig(**{"trials": 12, "study": "s", **given})


def test_a_search_finds_prunes_records_and_registers(uri, tmp_path):
    task, tracker = Quick(), Tracker()
    found = search(config(), task, {"data": "d"}, "p", tracker, tmp_path)
    assert found.counts.spent == 12
    assert found.counts.pruned > 0
    assert found.counts.failed == found.counts.running == found.counts.waiting == 0
    assert 0 < found.saved < 0.8
    assert set(tracker.endings.values()) == {"FINISHED"}
    states = [tracker.tags(name)["trial.state"] for name in sorted(tracker.runs)]
    assert (states.count("complete"), states.count("pruned")) == (found.counts.complete, found.counts.pruned)
    # the last epoch prunes nothing: its trial has been paid for
    assert all(trial.last_step < 4 for trial in found.study.trials(TrialState.PRUNED))
    best = max(found.study.trials(TrialState.COMPLETE), key=lambda trial: trial.value)
    assert found.best["auroc"] == best.value
    assert task.kept[-1] == task.registered[-1] == f"trial-{best.number:04d}"
    assert tracker.metric("best/auroc")[-1] == best.value
    assert tracker.metric("best/auroc") == sorted(tracker.metric("best/auroc"))
    files = {name for kind, name in tracker.calls if kind == "file"}
    assert files >= {f"search/{each}" for each in ("search.html", "trials.csv", "history_of_auroc.png")}
    assert files >= {f"search/{each}_of_auroc.png" for each in ("importance", "contour", "slice")}
    assert len(list((tmp_path / "search").glob("trial-*"))) == KEPT
    assert "12 of 12 trials" in told(found, 12)

    # once more with the same budget: nothing is run, logged or registered again
    calls = len(tracker.calls)
    again = search(config(), task, {"data": "d"}, "p", tracker, tmp_path)
    assert again.best == found.best
    assert len(task.registered) == 1
    assert [call for call in tracker.calls[calls:] if call[0] in ("file", "metrics")] == []


def test_a_search_stopped_and_gone_on_with_proposes_what_one_in_one_piece_does(tmp_path, monkeypatch):
    def betas(folder, budgets):
        monkeypatch.setenv("DERM_ML_STUDIES", f"sqlite:///{folder}/s.db")
        task, tracker = Quick(), Tracker()
        for budget in budgets:
            worker(studies_uri(folder), task, tracker, folder).work(budget, float("inf"))
        return [trial.params["beta"] for trial in opened(studies_uri(folder), task).trials()]

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert betas(tmp_path / "a", [14]) == betas(tmp_path / "b", [1, 5, 14])


def test_a_diverged_trial_fails_with_its_reason_and_the_search_goes_on(uri, tmp_path):
    def diverge(number, epoch, folder):
        if number in (1, 2):
            raise NonFiniteLoss("non-finite loss at step 3") if number == 1 else torch.OutOfMemoryError("no memory")

    task, tracker = Quick(diverge), Tracker()
    worker(uri, task, tracker, tmp_path).work(5, float("inf"))
    study = opened(uri, task)
    assert study.counts().failed == 2
    assert study.counts().spent == 5
    assert tracker.endings["trial-0001"] == "NonFiniteLoss: non-finite loss at step 3"
    assert tracker.tags("trial-0001")["trial.state"] == "failed"
    table = trials_table(study, task.epochs).set_index("trial")
    assert table.loc[2, "reason"] == "OutOfMemoryError: no memory"
    assert table.loc[1, "state"] == "fail"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ConnectionError])
def test_a_trial_that_is_stopped_is_run_again_in_its_run_from_its_checkpoint(uri, tmp_path, stop):
    def interrupt(number, epoch, folder):
        if number == 2 and epoch == 3:
            raise stop("now")

    task, tracker = Quick(interrupt), Tracker()
    with pytest.raises(stop):
        worker(uri, task, tracker, tmp_path).work(6, float("inf"))
    assert opened(uri, task).counts().waiting == 1
    later = Quick()
    worker(uri, later, tracker, tmp_path).work(6, float("inf"))
    study = opened(uri, later)
    assert study.counts().spent == 6
    assert later.again == [True, False, False, False]
    assert set(tracker.endings.values()) == {"FINISHED"}
    assert len(tracker.runs) == 6
    assert len({index_of(trial) for trial in study.trials()}) == 6


def test_a_value_that_is_not_finite_is_a_failed_trial(uri, tmp_path):
    class Odd(Quick):
        def train(self, *words):
            return {**super().train(*words), "probe/auroc": float("nan")}

    task, tracker = Odd(), Tracker()
    worker(uri, task, tracker, tmp_path).work(2, float("inf"))
    assert opened(uri, task).counts().failed == 2
    assert tracker.endings["trial-0001"].startswith("NonFiniteLoss: the goal is not finite")


def test_workers_that_start_together_do_not_propose_the_same(uri, tmp_path):
    study = opened(uri, Quick())
    study.optuna.sampler = SeededSampler(0)
    found = []
    for _ in range(3):
        study.hand_out(3)
        found.append(study.optuna.ask().suggest_float("beta", 0.01, 100, log=True))
        study.optuna.sampler = SeededSampler(0)  # as another machine's
    assert len(set(found)) == 3


def test_a_trial_taken_over_by_another_worker_is_left_to_it(uri, tmp_path, capsys):
    task = Quick()
    study = opened(uri, task)

    def lose(number, epoch, folder):
        if number == 1 and epoch == 2:
            study.storage.set_trial_state_values(study.trials()[1]._trial_id, TrialState.FAIL)

    task.on = lose
    tracker = Tracker()
    worker(uri, task, tracker, tmp_path).work(3, float("inf"))
    assert "another one has taken the trial over" in capsys.readouterr().err
    assert tracker.endings["trial-0001"] == "FINISHED"
    assert "trial.state" not in tracker.tags("trial-0001")


def test_two_goals_have_a_front_and_no_pruning(uri, tmp_path):
    goals = (Goal("probe/auroc", "maximize"), Goal("probe/gap", "minimize"))
    task, tracker = Quick(goals=goals), Tracker()
    worker(uri, task, tracker, tmp_path).work(8, float("inf"))
    study = opened(uri, task)
    assert study.counts() == (8, 0, 0, 0, 0)
    front = study.optuna.best_trials
    assert study.best()[0].number in {trial.number for trial in front}
    names = {path.name for path in save_record(study, task.epochs, tmp_path / "record")}
    assert {"pareto_front.png", "slice_of_gap.png", "contour_of_auroc.png"} <= names
    page = (tmp_path / "record" / "search.html").read_text()
    assert page.count("plotly.js v") >= 1
    assert 'src="http' not in page


def test_hours_stop_the_search_before_its_trials(uri, tmp_path):
    task = Quick()
    worker(uri, task, Tracker(), tmp_path).work(5, 0.0)
    assert opened(uri, task).counts().spent == 0


def test_a_search_without_a_complete_trial_says_so(uri, tmp_path):
    def diverge(number, epoch, folder):
        raise NonFiniteLoss("non-finite loss")

    found = search(config(trials=2), Quick(diverge), {"data": "d"}, "p", Tracker(), tmp_path)
    with pytest.raises(ValueError, match="no trial came to its end"):
        told(found, 2)


def test_the_share_saved_is_of_epochs_that_were_not_run(uri, tmp_path):
    task = Quick()
    worker(uri, task, Tracker(), tmp_path).work(12, float("inf"))
    table = trials_table(opened(uri, task), task.epochs)
    ran = sum(4 if row.state == "complete" else row.epochs for row in table.itertuples())
    assert share_saved(table, task.epochs) == pytest.approx(1 - ran / 48)
