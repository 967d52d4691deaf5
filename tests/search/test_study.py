"""A study on a real SQLite file: its identity, its budget, and what becomes of killed trials."""

import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
from optuna.trial import TrialState

from derm_ml.errors import UserError
from derm_ml.search.space import Range
from derm_ml.search.storage import KILLS, NothingWaits, open_storage, studies_uri
from derm_ml.search.study import ERROR, Goal, index_of, open_study, reason_of

pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage is supposed")  # ask and tell, here only
GOALS = (Goal("probe/auroc", "maximize"),)
SPACE = {"beta": Range(0.1, 10)}


@pytest.fixture
def uri(tmp_path, monkeypatch):
    monkeypatch.delenv("DERM_ML_STUDIES", raising=False)
    monkeypatch.setenv("DERM_ML_HEARTBEAT", "1")
    return studies_uri(tmp_path)


def opened(uri, name="", facts=None, space=SPACE, goals=GOALS):
    return open_study(
        open_storage(uri), name, "pretrain-x", {"data": "d1", "epochs": "3", **(facts or {})}, goals, space
    )


def test_the_name_is_made_of_what_is_searched(uri):
    first = opened(uri)
    assert first.name == opened(uri).name
    assert first.name.startswith("pretrain-x-")
    assert opened(uri, facts={"epochs": "4"}).name != first.name
    assert opened(uri, goals=(Goal("val/elbo", "maximize"),)).name != first.name


def test_another_search_under_the_same_name_is_one_line(uri):
    opened(uri, "a")
    with pytest.raises(UserError, match="study=a is another search .epochs was 3, now 4.: give what it was"):
        opened(uri, "a", facts={"epochs": "4"})
    with pytest.raises(UserError, match="study=a has another space .beta was 0.1..10, now 0.1..20."):
        opened(uri, "a", space={"beta": Range(0.1, 20)})
    with pytest.raises(UserError, match="study=b: this very search is there already, as study=a"):
        opened(uri, "b")
    with pytest.raises(UserError, match="as study=a"):
        opened(uri)
    assert opened(uri, "b", facts={"seed": "1"}).name == "b"


def test_a_database_that_cannot_be_used_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("DERM_ML_STUDIES", "postgresql://me:secret@127.0.0.1:1/studies")
    with pytest.raises(UserError, match="cannot be used .*start it, or set") as error:
        open_storage(studies_uri(tmp_path))
    assert "secret" not in str(error.value)
    for wrong in ("mysql://x", "nonsense", "postgresql://me@127.0.0.1:port/x"):
        monkeypatch.setenv("DERM_ML_STUDIES", wrong)
        with pytest.raises(UserError, match="write postgresql://"):
            studies_uri(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written .*set DERM_ML_RUNS"):
        open_storage(f"sqlite:///{tmp_path}/file/studies.db")
    for wrong in ("abc", "0", "-1"):
        monkeypatch.setenv("DERM_ML_HEARTBEAT", wrong)
        with pytest.raises(UserError, match="whole seconds"):
            open_storage(f"sqlite:///{tmp_path}/x.db")
    monkeypatch.setenv("DERM_ML_HEARTBEAT", "1")
    (tmp_path / "studies.db").write_text("no database at all, but quite a long text about something else")
    with pytest.raises(UserError, match="cannot be used .*not a database"):
        open_storage(f"sqlite:///{tmp_path}/studies.db")


def test_many_workers_never_start_more_than_the_budget(uri, monkeypatch):
    monkeypatch.setenv("DERM_ML_HEARTBEAT", "60")

    def worker(_):
        study, taken = opened(uri), 0
        while study.counts().spent < 7:
            study.hand_out(7)
            try:
                trial = study.optuna.ask()
            except NothingWaits:
                continue
            study.optuna.tell(trial, trial.suggest_float("beta", 0.1, 10, log=True))
            taken += 1
        return taken

    opened(uri)
    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(worker, range(6))) == 7
    assert opened(uri).counts() == (7, 0, 0, 0, 0)
    opened(uri).hand_out(5)
    assert opened(uri).counts().waiting == 0


def test_a_study_gives_nobody_a_trial_that_was_not_handed_out(uri):
    study = opened(uri)
    with pytest.raises(NothingWaits):
        study.optuna.ask()
    assert study.counts() == (0, 0, 0, 0, 0)


def take(study):
    study.hand_out(10)
    trial = study.optuna.ask()
    return trial, trial.suggest_float("beta", 0.1, 10, log=True)


def fail_stale(study):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optuna.storages.fail_stale_trials(study.optuna)


def test_a_killed_trial_is_run_again_with_its_parameters_and_given_up_in_the_end(uri):
    study = opened(uri)
    trial, beta = take(study)
    index = index_of(study.trials()[trial.number])
    for kill in range(KILLS + 1):
        time.sleep(5.2)  # the grace period: nobody sends its heartbeat
        fail_stale(study)
        counts = study.counts()
        if kill < KILLS:
            assert counts == (0, 0, 0, 0, 1)
            trial, again = take(study)
            assert again == beta
            assert index_of(study.trials()[trial.number]) == index
    assert counts == (0, 0, 1, 0, 0)
    assert "killed 4 times" in reason_of(study.trials()[-1])


def test_a_worker_killed_before_its_first_heartbeat_is_noticed(uri):
    study = opened(uri)
    take(study)
    with study.storage.database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM trial_heartbeats")
    fail_stale(study)
    assert study.counts().running == 1
    time.sleep(5.2)
    fail_stale(study)
    assert study.counts() == (0, 0, 0, 0, 1)


def test_an_interrupted_trial_is_run_again_and_a_failed_one_is_not(uri):
    study = opened(uri)
    trial, beta = take(study)
    trial.report(0.5, 1)
    trial.set_user_attr("interrupted", True)
    study.optuna.tell(trial, state=TrialState.FAIL)
    assert study.counts() == (0, 0, 0, 0, 0)
    study.run_again(trial.number)
    again, same = take(study)
    assert same == beta
    assert study.trials()[again.number].intermediate_values == {1: 0.5}
    again.set_user_attr(ERROR, "NonFiniteLoss: at step 3")
    study.optuna.tell(again, state=TrialState.FAIL)
    assert study.counts() == (0, 0, 1, 0, 0)
    assert reason_of(study.trials()[again.number]) == "NonFiniteLoss: at step 3"


def test_the_deadline_is_common_and_a_new_sitting_has_a_new_one(uri):
    study = opened(uri)
    first = study.deadline(1.0)
    take(study)
    assert opened(uri).deadline(5.0) == first
    assert study.deadline(0) == float("inf")
    study.optuna.tell(0, 0.5)
    assert opened(uri).deadline(2.0) > first
