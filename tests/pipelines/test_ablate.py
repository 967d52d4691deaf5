"""A small ablation from its pretrainings to its tables, gone on with, and grown."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from ablations import PLAN, SMALL

from derm_ml.config import AblateConfig, PretrainConfig
from derm_ml.errors import UserError
from derm_ml.pipelines import ablate, planned_arm, planted
from derm_ml.pipelines.plan import Planned, read_plan
from derm_ml.report.ablation import write_ablation
from derm_ml.tracking.base import RecordingTracker


@pytest.fixture(scope="module")
def ablated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablated")
    (folder / "plan.toml").write_text(PLAN)
    config = AblateConfig(**SMALL, plan=str(folder / "plan.toml"), label_fractions="0.3,1")
    tracker = RecordingTracker()
    return ablate.run(config, tracker, folder / "run"), tracker, folder, config


def test_every_arm_is_pretrained_on_every_split_and_its_heads_are_run(ablated):
    ablation, tracker, folder, _ = ablated
    assert ablation.arms == ("plain", "views", "untrained", "pixels", "views-last")
    assert ablation.references == ("plain",)
    assert len(ablation.comparison.runs) == 5 * 2 * 2 * 2 * 2
    assert [child.run_id for child in tracker.children] == [
        f"recording/{arm}-split{split}" for split in (0, 1) for arm in ablation.arms
    ]
    views = tracker.children[1]
    assert len(views.metric("probe/auroc")) == 2
    assert views.metric("alignment")[0] > 0
    assert ("file", "encoder/encoder.safetensors") in views.calls
    assert views.metric("latents/rate")[0] > 0
    assert [len(curves) for curves in ablation.curves.values()] == [2, 2, 0, 0, 2]
    assert [each["epoch"] for each in ablation.curves["views"][1]] == [1, 2]
    assert (folder / "run" / "views-split1" / "last.safetensors").is_file()


def test_arms_that_differ_in_their_features_share_one_pretraining(ablated):
    ablation, _, folder, _ = ablated
    assert ablation.curves["views-last"] == ablation.curves["views"]
    assert not (folder / "run" / "views-last-split1" / "last.safetensors").exists()
    (stages, last) = (
        ablation.comparison.of(arm, ablation.comparison.places[0], 0)[0] for arm in ("views", "views-last")
    )
    assert not np.allclose(stages.val_probabilities, last.val_probabilities)


def test_arms_that_differ_in_what_is_erased_share_one_pretraining_and_tell_less(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(planted, "DRAWS", (8, 8))  # quicker
    text = PLAN[: PLAN.index("[arms.views]")] + "[arms.erased]\nerase = 'artefacts'\n[arms.untrained]\n"
    config = replace(plan(text + "encoder = 'random'\nerase = 'artefacts'\n"), splits=1, seeds=1, protocols="identical")
    made = ablate.run(config, RecordingTracker(), tmp_path / "run")
    assert [arm.encoder for arm in read_plan(config)] == ["plain", "plain", "untrained"]
    assert made.curves["plain"] == made.curves["erased"]
    told = {arm: found[0]["artefact/vignette"] for arm, found in made.artefacts.items()}
    assert told["erased"] < told["plain"] - 0.1


def test_chosen_on_validation_then_told_on_test_without_training_again(ablated, monkeypatch, tmp_path):
    ablation, _, folder, config = ablated
    monkeypatch.setattr(planned_arm, "train_arm", lambda *args: pytest.fail("trained again"))
    tracker = RecordingTracker()
    again = ablate.run(replace(config, resume="recording", images="test", workers=2), tracker, folder / "run")
    assert tracker.children == []  # what is finished stays as it was
    assert "measured on test images" in write_ablation(again, tmp_path)
    assert len(again.comparison.runs) == len(ablation.comparison.runs)


def test_splits_are_added_and_those_of_before_stay_as_they_were(plan, tmp_path, monkeypatch):
    config = replace(plan("[arms.pixels]\nencoder = 'pixels'\n[arms.majority]\nencoder = 'majority'\n"), splits=1)
    both = ablate.run(replace(config, splits=2), RecordingTracker(), tmp_path / "both").comparison.runs
    ablate.run(config, RecordingTracker(), tmp_path / "grown")
    trained = []
    train_arm = planned_arm.train_arm
    monkeypatch.setattr(planned_arm, "train_arm", lambda *args: trained.append(args[2]) or train_arm(*args))
    tracker = RecordingTracker()
    grown = ablate.run(replace(config, splits=2, resume="recording"), tracker, tmp_path / "grown").comparison.runs
    assert [child.run_id for child in tracker.children] == ["recording/pixels-split1", "recording/majority-split1"]
    assert len(trained) == len(grown) / 2
    for whole, part in zip(both, grown, strict=True):
        assert (whole.arm, whole.seed, whole.split, whole.place) == (part.arm, part.seed, part.split, part.place)
        np.testing.assert_array_equal(whole.test_probabilities, part.test_probabilities)


def test_a_finished_run_is_told_on_test_images_and_takes_more_splits_from_the_command_line(
    monkeypatch, tmp_path, capsys
):
    from mlflow import MlflowClient

    from derm_ml.cli.main import main

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    given = {"MLFLOW_TRACKING_URI": uri, "DERM_ML_RUNS": tmp_path / "runs", "DERM_ML_REPORTS": tmp_path / "reports"}
    for name, value in given.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    (tmp_path / "plan.toml").write_text("[arms.pixels]\nencoder = 'pixels'\n[arms.majority]\nencoder = 'majority'\n")
    words = ["ablate", str(tmp_path / "plan.toml"), "--data", SMALL["data"], "--image-size", "32", "--epochs", "1"]
    words += ["--protocols", "identical", "--experiment", "e"]
    assert main(words) == 0
    assert "measured on val images" in capsys.readouterr().out
    client = MlflowClient(uri)
    run = client.search_runs([client.get_experiment_by_name("e").experiment_id], "attributes.run_name = 'ablate'")[0]
    assert main([*words, "--resume", run.info.run_id, "--images", "test"]) == 0
    assert "measured on test images" in capsys.readouterr().out
    found = client.get_run(run.info.run_id)
    assert (found.info.status, found.data.tags["ablate.images"]) == ("FINISHED", "test")
    assert main([*words, "--resume", run.info.run_id, "--splits", "2"]) == 0
    assert "from 1 to 2 splits" in capsys.readouterr().err
    tags = client.get_run(run.info.run_id).data.tags
    assert (tags["ablate.splits"], tags["ablate.grown"]) == ("2", "from 1 to 2 splits")
    assert main([*words, "--resume", run.info.run_id]) == 2
    assert "it has 2 splits already, not 1" in capsys.readouterr().err


def test_the_tables_hold_every_arm_against_the_first(ablated, tmp_path):
    ablation = ablated[0]
    text = write_ablation(ablation, tmp_path)
    assert "measured on val images" in text
    arms, differences = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("arms", "differences"))
    runs = pd.read_csv(tmp_path / "runs.csv")
    assert len(arms) == 5 * 4
    assert len(differences) == 4 * 4
    place = (runs["protocol"] == "identical") & (runs["labels"] == "100 %")
    means = runs[place].groupby("arm")["macro AUROC"].mean()
    told = differences[(differences["protocol"] == "identical") & (differences["labels"] == "100 %")]
    for _, row in told.iterrows():
        expected = means[row["arm"]] - means["plain"]
        assert float(row["macro AUROC"].split()[0]) == pytest.approx(expected, abs=0.0006)
    for name, title in (("artefacts", "Artefacts planted"), ("artefact_costs", "loses by an artefact")):
        probed = pd.read_csv(tmp_path / f"{name}.csv")
        if "minus" in probed:
            told = probed[probed["minus"] == "plain"].set_index("arm")
            probed = probed[probed["minus"].isna()].drop(columns="minus")
            means = [
                np.mean([each["artefact_cost/hair"] for each in ablation.artefacts[arm]]) for arm in ("views", "plain")
            ]
            assert float(told.loc["views", "hair"].split()[0]) == pytest.approx(means[0] - means[1], abs=0.0006)
            assert (tmp_path / "artefact_costs.png").is_file()
        assert list(probed["arm"]) == ["plain", "views", "untrained", "views-last"]
        assert list(probed.columns) == ["arm", "hair", "ink", "ruler", "vignette", "cast"]
        assert title in text
    latents = pd.read_csv(tmp_path / "latents.csv", index_col="figure")
    assert list(latents.columns) == ["plain", "views"]  # views-last has the encoder of views
    assert {"rate", "total correlation", "sample distance"} <= set(latents.index)
    assert "Latents and samples" in text
    paired = pd.read_csv(tmp_path / "latent_differences.csv", index_col="figure")
    rates = [np.mean([each["rate"] for each in ablation.latents[arm]]) for arm in ("views", "plain")]
    assert float(paired.loc["rate", "views"].split()[0]) == pytest.approx(rates[0] - rates[1], abs=0.0006)
    assert (tmp_path / "1_minus_plain.png").is_file()
    assert (tmp_path / "probe_against_cpu_time.png").is_file()
    assert (tmp_path / "labels.png").is_file()


def test_an_arm_that_cannot_be_built_is_told_before_anything_is_trained(plan, tmp_path, monkeypatch):
    config = plan(PLAN + '[arms.given]\nencoder = "imagenet"\nbackbone = "derm_small"\n')
    monkeypatch.setattr("derm_ml.pipelines.planned_arm.train", None)
    with pytest.raises(UserError, match="derm_small"):
        ablate.run(config, RecordingTracker(), tmp_path / "folder")


def test_another_device_makes_another_ablation():
    found = [ablate._recipe(PretrainConfig(), torch.device(kind)) for kind in ("cpu", "cuda")]
    assert [each["backbone"] for each in found] == ["derm_medium", "derm_large"]
    assert found[0]["precision"] != found[1]["precision"]


def test_a_figure_that_one_split_lacks_is_left_out(ablated, tmp_path):
    ablation = ablated[0]
    first, second = ablation.artefacts["plain"]
    fewer = ({name: value for name, value in first.items() if "hair" not in name}, second)
    write_ablation(replace(ablation, artefacts={**ablation.artefacts, "plain": fewer}), tmp_path)
    costs = pd.read_csv(tmp_path / "artefact_costs.csv")
    assert (costs.loc[costs["arm"] == "plain", "hair"] == "-").all()
    assert "hair" not in costs.columns or set(costs.loc[costs["minus"] == "plain", "hair"].dropna()) <= {"-"}
    assert costs.loc[costs["minus"] == "plain", "ink"].str.contains(" p ").all()


def test_an_interrupted_one_goes_on_and_gives_the_same(ablated, monkeypatch):
    ablation, _, folder, config = ablated
    for path in (folder / "run" / "cells").glob("views-identical-*-split1-*"):
        path.unlink()
    trained = []
    monkeypatch.setattr(planned_arm, "encoder_record", lambda *args: trained.append(args) or record(*args))
    from derm_ml.pipelines.encoder_record import encoder_record as record

    again = ablate.run(replace(config, resume="recording"), RecordingTracker(), folder / "run")
    assert len(trained) == 1  # out of its checkpoint, without an epoch
    for old, new in zip(ablation.comparison.runs, again.comparison.runs, strict=True):
        assert (old.arm, old.seed, old.split, old.place) == (new.arm, new.seed, new.split, new.place)
        assert old.last("val/loss") == pytest.approx(new.last("val/loss"), abs=1e-6)


def test_defaults_that_have_changed_are_another_plan(ablated, monkeypatch):
    _, _, folder, config = ablated
    before = Planned.pretraining
    monkeypatch.setattr(Planned, "pretraining", lambda *given: replace(before(*given), latent_dim=5))
    with pytest.raises(UserError, match="another plan"):
        ablate.run(replace(config, resume="recording"), RecordingTracker(), folder / "run")


def test_another_plan_cannot_be_gone_on_with(ablated):
    _, _, folder, config = ablated
    (folder / "other.toml").write_text(PLAN.replace("epochs = 2", "epochs = 3"))
    other = replace(config, resume="recording", plan=str(folder / "other.toml"))
    with pytest.raises(UserError, match="another plan"):
        ablate.run(other, RecordingTracker(), folder / "run")
