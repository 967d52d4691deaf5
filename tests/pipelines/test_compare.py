"""Compare on real, small data: the protocols, the design, a resume, external images."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from derm_ml.config import CompareConfig, HeadConfig
from derm_ml.data.dataset import prepare
from derm_ml.errors import NoEncoder, UserError
from derm_ml.models.backbones import build_encoder
from derm_ml.models.heads import FeatureExtractor
from derm_ml.pipelines import compare, finetune, planted, protocols
from derm_ml.pipelines.external import class_map
from derm_ml.pipelines.full import FullTraining
from derm_ml.pipelines.setup import Setting
from derm_ml.results import Place
from derm_ml.tracking.base import RecordingTracker
from derm_ml.training.trainer import Precision

SMALL = {
    "data": "synthetic:n=160,size=40,seed=1", "image_size": 32, "backbone": "test_efficientnet", "epochs": 2,
    "arms": "random,pixels,majority", "seeds": 2,
}  # fmt: skip
ALL = Place("identical", "frozen", 1.0)


class NoEncoders:
    """A registry with nothing in it."""

    def find(self, backbone, size, fingerprint, split_id, *, plain, method=""):
        raise NoEncoder("no encoder is registered")

    def champion(self, size, fingerprint, split_id):
        return ""

    def resolve(self, reference):
        raise AssertionError(reference)


def run(folder, tracker=None, **changes):
    return compare.run(CompareConfig(**{**SMALL, **changes}), tracker or RecordingTracker(), NoEncoders(), folder)


@pytest.fixture(scope="module")
def designed(tmp_path_factory):
    tracker = RecordingTracker()
    folder = tmp_path_factory.mktemp("designed")
    return run(folder, tracker, splits=2, label_fractions="0.3,1", protocols="identical,tuned"), tracker, folder


def test_every_cell_of_the_design_is_run_once(designed):
    comparison, tracker, _ = designed
    assert len(comparison.runs) == 3 * 2 * 2 * 2 * 2
    assert comparison.places[0] == ALL
    assert len({(r.arm, r.split, r.seed, r.place) for r in comparison.runs}) == len(comparison.runs)
    assert len(tracker.children) == len(comparison.runs)
    first, second = comparison.splits
    assert first.identity != second.identity
    for facts in comparison.splits:
        assert not set(facts.train_groups) & set(facts.test_groups)


def test_under_identical_every_arm_is_fed_alike_and_it_is_logged(designed):
    comparison, tracker, _ = designed
    feeds = {}
    for each in comparison.runs:
        if each.place.protocol == "identical":
            feeds.setdefault((each.split, each.seed, each.place), set()).add(each.feed)
    assert all(len(found) == 1 for found in feeds.values())
    assert len({next(iter(found)) for found in feeds.values()}) == len(feeds)  # seeds, splits and fractions differ
    assert (
        "tags",
        {"protocol.identical": "8 groups of arms, each fed alike (SHA-256 of what was fed)"},
    ) in tracker.calls
    tags = [values for kind, values in tracker.children[0].calls if kind == "tags" and "fed" in values]
    assert tags[0]["fed"] == comparison.runs[0].feed


def test_an_arm_that_is_fed_otherwise_is_found_out(tmp_path, monkeypatch):
    from derm_ml.pipelines.features import HeadTraining

    plain = HeadTraining.__init__

    def other_order(self, train, val, classes, config, seed):
        plain(self, train, val, classes, config, seed + (train.features.shape[1] == 192))  # the pixels arm

    monkeypatch.setattr(HeadTraining, "__init__", other_order)
    with pytest.raises(RuntimeError, match="not fed alike"):
        run(tmp_path, protocols="identical")


@pytest.mark.parametrize("change", [{"lr": 3e-3}, {"batch_size": 32}])
def test_another_recipe_is_another_feed(designed, tmp_path, change):
    other = run(tmp_path, protocols="identical", seeds=1, **change)
    assert other.of("pixels", ALL)[0].feed != designed[0].of("pixels", ALL, 0)[0].feed


def test_tuned_takes_the_best_of_the_same_sixteen_by_validation_loss(designed):
    comparison, _, _ = designed
    tuned = Place("tuned", "frozen", 1.0)
    grid = {(each.lr, each.weight_decay) for each in protocols.candidates(CompareConfig(**SMALL))}
    assert len(grid) == 16
    for arm in ("random", "pixels"):
        for split in (0, 1):
            chosen = {(each.lr, each.weight_decay) for each in comparison.of(arm, tuned, split)}
            assert len(chosen) == 1
            assert chosen <= grid
            plain, best = (comparison.of(arm, place, split)[0].last("val/loss") for place in (ALL, tuned))
            assert best <= plain + 0.02  # the plain recipe's neighbours are in the grid


def test_test_figures_are_logged_when_everything_is_trained(designed):
    _, tracker, _ = designed
    for child in tracker.children:
        kinds = [(step, "test/auroc" in values) for kind, (step, values) in _metrics(child)]
        assert [step for step, test in kinds if test] == [2]
        assert kinds[-1][1]


def _metrics(child):
    return [call for call in child.calls if call[0] == "metrics"]


def test_fewer_labels_are_fewer_images(designed):
    comparison, _, _ = designed
    few = comparison.of("pixels", Place("identical", "frozen", 0.3))[0]
    assert few.last("train/accuracy") != comparison.of("pixels", ALL)[0].last("train/accuracy")


class Stopped(Exception):
    pass


class StopsAfter(RecordingTracker):
    """Its fifth nested run ends with an exception."""

    def child(self, name, tags=None, *, resume=False):
        if len(self.children) == 4:
            raise Stopped
        return super().child(name, tags, resume=resume)


def test_an_interrupted_comparison_goes_on_after_its_last_run(tmp_path):
    whole = run(tmp_path / "whole", protocols="identical")
    with pytest.raises(Stopped):
        run(tmp_path / "cut", StopsAfter(), protocols="identical")
    kept = sorted(path.name for path in (tmp_path / "cut" / "cells").glob("*.npz"))
    assert len(kept) == 4
    made = []

    class Counting(RecordingTracker):
        @contextmanager
        def child(self, name, tags=None, *, resume=False):
            with super().child(name, tags, resume=resume) as each:
                yield each
            made.append((name, [values for _, (_, values) in _metrics(each)]))

    again = run(tmp_path / "cut", Counting(), protocols="identical", resume="that-run")
    assert sum(any("val/loss" in values for values in logged) for _, logged in made) == 2
    assert len(made) == 6  # those of before get their test figures now
    for one, other in zip(whole.runs, again.runs, strict=True):
        np.testing.assert_array_equal(one.test_probabilities, other.test_probabilities)
        assert (one.arm, one.seed, one.feed) == (other.arm, other.seed, other.feed)
        np.testing.assert_array_equal(one.history["gap/loss"], other.history["gap/loss"])
    with pytest.raises(UserError, match="another epochs"):
        run(tmp_path / "cut", protocols="identical", resume="that-run", epochs=3)
    with pytest.raises(UserError, match="nothing to resume from"):
        run(tmp_path / "nowhere", protocols="identical", resume="that-run")


def test_a_damaged_file_is_trained_again(tmp_path):
    first = run(tmp_path, protocols="identical", seeds=1, arms="pixels,majority")
    (path,) = (tmp_path / "cells").glob("pixels*.npz")
    path.write_bytes(path.read_bytes()[:300])
    again = run(tmp_path, protocols="identical", seeds=1, arms="pixels,majority", resume="x")
    np.testing.assert_array_equal(first.runs[0].val_probabilities, again.runs[0].val_probabilities)


def test_an_encoder_is_needed_for_every_split_before_anything_is_trained(tmp_path):
    tracker = RecordingTracker()
    with pytest.raises(UserError, match="splits of split_seed 0, 1.*needs its own"):
        run(tmp_path, tracker, arms="vae,pixels", splits=2)
    assert tracker.children == []


def test_full_fine_tuning_feeds_every_encoder_the_same_augmented_images(tmp_path):
    weights = tmp_path / "other.safetensors"
    save_file(build_encoder("test_efficientnet", 32, 9).backbone.state_dict(), weights)
    told = {"arms": "random,imagenet,pixels", "imagenet_weights": str(weights)}
    made = run(tmp_path, modes="frozen,full", protocols="identical", seeds=1, epochs=1, **told)
    full = Place("identical", "full", 1.0)
    assert {each.place for each in made.runs} == {ALL, full}
    random, imagenet, pixels = (made.of(arm, full)[0] for arm in ("random", "imagenet", "pixels"))
    assert random.feed == imagenet.feed != pixels.feed  # a floor has no weights to fine-tune: its head is fed features
    assert not np.allclose(random.val_probabilities, imagenet.val_probabilities)


def test_full_fine_tuning_moves_the_encoder_and_starts_at_the_weights_it_was_given(tmp_path):
    device = torch.device("cpu")
    setting = Setting(prepare(SMALL["data"], 32, 0), device, Precision(device))
    encoder = build_encoder("test_efficientnet", 32, 0)
    before = {name: value.clone() for name, value in encoder.named_parameters() if value.requires_grad}
    rows = {split: setting.dataset.rows(split, labelled=True) for split in ("train", "val")}
    training = FullTraining(FeatureExtractor(encoder), setting, rows["train"], rows["val"], HeadConfig(epochs=1), 0)
    now = dict(training.trainer.objective.model.extractor.encoder.named_parameters())
    assert all(torch.equal(now[name], value) for name, value in before.items())
    training.step()
    now = dict(training.trainer.objective.model.extractor.encoder.named_parameters())
    assert [name for name, value in before.items() if torch.equal(now[name], value)] == []


def test_external_images_are_scored_under_our_names(tmp_path):
    rows = [("solar,keratosis"), ("nevus,nevus"), ("melanoma,melanoma"), ("vascular,")]
    names = tmp_path / "names.csv"
    names.write_text("external,class\n" + "\n".join(rows).replace("solar", "keratosis"))
    made = run(
        tmp_path / "a",
        protocols="identical",
        seeds=1,
        external="synthetic:n=80,size=40,seed=7",
        external_classes=str(names),
    )
    assert made.external.left_out["of a class that has no counterpart"] > 0
    assert set(made.external.labels) <= {0, 1, 2}
    for each in made.runs:
        assert each.external_probabilities.shape == (len(made.external.labels), 4)
    assert len(made.external.labels) + sum(made.external.left_out.values()) == 80


def test_erased_features_are_each_splits_own_fitted_once_for_all_that_is_scored_and_the_floor_keeps_its_own(
    designed, tmp_path, monkeypatch
):
    monkeypatch.setattr(planted, "DRAWS", (1, 1))  # quicker
    fitted, before = [], finetune.artefact_erasure
    monkeypatch.setattr(finetune, "artefact_erasure", lambda *given: fitted.append(given) or before(*given))
    tracker = RecordingTracker()
    told = {"protocols": "identical", "external": "synthetic:n=80,size=40,seed=7"}
    made = run(tmp_path / "a", tracker, splits=2, erase="artefacts", **told)
    assert len(fitted) == 2 * 2  # splits x seeds of the random arm
    assert (made.readout, designed[0].readout) == ("stages without artefacts", "stages")
    for split in (0, 1):
        (pixels, known), (random, plain) = (
            [each.of(arm, ALL, split)[0].test_probabilities for each in (made, designed[0])]
            for arm in ("pixels", "random")
        )
        np.testing.assert_array_equal(pixels, known)
        assert not np.allclose(random, plain)


def test_images_that_are_in_the_data_are_no_external_evidence(tmp_path):
    with pytest.raises(UserError, match="no image is left to score: 160 also in the data itself"):
        run(tmp_path, external=SMALL["data"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "not external,class"),
        ("external,class\nx,nevus\nx,nevus\n", "twice"),
        ("external,class\nx,mole\n", "'mole' is no class of the data"),
        ("external,class\nz,nevus\n", "class 'x' has no row"),
    ],
)
def test_a_map_of_classes_that_does_not_fit_is_one_line(tmp_path, text, words):
    path = tmp_path / "map.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        class_map(str(path), {"x"}, ("nevus", "melanoma"))


def test_class_names_that_differ_want_a_map():
    assert class_map("", {"nevus"}, ("nevus", "melanoma")) == {"nevus": "nevus"}
    with pytest.raises(UserError, match="give external_classes"):
        class_map("", {"NV"}, ("nevus", "melanoma"))
    with pytest.raises(UserError, match="no such file"):
        class_map("/nowhere.csv", {"NV"}, ("nevus", "melanoma"))
