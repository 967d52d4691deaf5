"""The design of a comparison: its splits with their encoders, and the runs in the order they are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple, Protocol

from derm_ml.config import CompareConfig
from derm_ml.errors import NoEncoder, UserError
from derm_ml.models.backbones import choose_backbone
from derm_ml.pipelines.arms import PRETRAINED, EncoderFiles
from derm_ml.pipelines.protocols import candidates
from derm_ml.pipelines.setup import Setting, prepare_setting
from derm_ml.progress import note_line
from derm_ml.results import Place
from derm_ml.tracking.base import NullTracker, Tracker


class Encoders(Protocol):
    """Where pretrained encoders are found."""

    def find(
        self, backbone: str, size: int, fingerprint: str, split_id: str, *, plain: bool = False, method: str = ""
    ) -> str:
        """The reference of the best one pretrained on exactly this data and split.

        Args:
            backbone: its architecture; empty: any.
            plain: of plain VAEs only.
            method: what pretrained it (VAE, VAE + InfoNCE, ...); empty: any.

        Raises:
            NoEncoder: there is none.
        """

    def champion(self, size: int, fingerprint: str, split_id: str) -> str:
        """The reference of the registry's champion where it can be run on this data and split, else empty."""

    def resolve(self, reference: str) -> EncoderFiles: ...


class Split(NamedTuple):
    """One split of the data, and the encoders that were pretrained on its training images."""

    seed: int
    setting: Setting
    encoders: Mapping[
        str, EncoderFiles
    ]  # of the arms vae and plain, and of champion where it is another than the vae's


class Cell(NamedTuple):
    """One run to be made."""

    arm: str
    split: Split
    seed: int
    place: Place
    name: str  # of the nested run, and of its file

    @property
    def tags(self) -> dict[str, str]:
        """Of the nested run: what it can be searched by."""
        place = {"protocol": self.place.protocol, "mode": self.place.mode, "label_fraction": f"{self.place.fraction:g}"}
        return {"arm": self.arm, "seed": str(self.seed), "split": str(self.split.seed), **place}


def prepare_splits(config: CompareConfig, tracker: Tracker, encoders: Encoders) -> tuple[str, list[Split]]:
    """Every split with its encoders; what is missing is said before anything is trained."""
    splits, missing, backbone, wanted = [], [], "", ""
    methods: dict[str, str] = {}
    for number, seed in enumerate(config.split_seeds):
        setting = prepare_setting(replace(config, split_seed=seed), NullTracker() if number else tracker)
        backbone = choose_backbone(config.backbone, setting.device)
        if config.vae_backbone != "auto":
            wanted = backbone if config.vae_backbone == "same" else config.vae_backbone
        dataset, found = setting.dataset, dict[str, EncoderFiles]()
        place = (config.image_size, dataset.fingerprint, dataset.split_id)
        try:
            for arm in (each for each in config.arm_names if each in PRETRAINED):
                given = config.encoder if arm == "vae" else "auto"
                reference = given
                if given == "auto":
                    reference = encoders.find(wanted, *place, plain=arm == "plain", method=methods.get(arm, ""))
                found[arm] = encoders.resolve(reference)
                _check_architecture(found[arm], wanted, backbone)
                wanted = wanted or found[arm].facts.get("backbone", "")  # the same for every arm and split
                methods.setdefault(arm, found[arm].facts.get("method", ""))  # an arm has one, whatever the split
        except NoEncoder as error:
            missing.append((seed, error))
            continue
        champion = encoders.champion(*place) if "vae" in found and not number else ""
        if champion and champion != found["vae"].uri:
            found["champion"] = encoders.resolve(champion)
        splits.append(Split(seed, setting, found))
    if len({each.setting.dataset.split_id for each in splits}) < len(splits):
        raise UserError(
            f"splits={config.splits}: this data comes with its own split, so that every split_seed gives the same one, "
            "and intervals over splits would be of nothing: give splits=1, or take the split column out"
        )
    if missing and config.splits == 1:
        raise missing[0][1]
    if missing:
        seeds = ", ".join(str(seed) for seed, _ in missing)
        raise UserError(
            f"for the splits of split_seed {seeds} an encoder is missing: it must not have seen the split's test "
            f"images, so each needs its own, with -P split_seed={missing[0][0]} (and so on): {missing[0][1]}"
        )
    return backbone, splits


def _check_architecture(files: EncoderFiles, wanted: str, backbone: str) -> None:
    """Where an architecture is asked for, no other is compared by mistake."""
    found = files.facts.get("backbone", wanted)
    if wanted and found != wanted:
        raise UserError(
            f"encoder {files.uri} is a {found}, and vae_backbone={wanted} (ImageNet's is {backbone}): give "
            f"vae_backbone={found}, or another encoder"
        )


def plan_runs(config: CompareConfig, splits: list[Split]) -> Iterator[Cell]:
    """The runs in the order they are made; the verdict's place first."""
    seeds = range(config.seed, config.seed + config.seeds)
    places = [
        Place(protocol, mode, fraction)
        for mode in config.mode_names
        for protocol in config.protocol_names
        for fraction in config.fractions
    ]
    tuned = sum(place.protocol == "tuned" for place in places) * len(config.arm_names) * len(splits)
    total = len(places) * len(config.arm_names) * len(splits) * len(seeds)
    note_line(f"{total} runs, and {tuned * len(candidates(config))} short ones to tune them")
    varied = {"protocol": config.protocol_names, "mode": config.mode_names, "fraction": config.fractions}

    def cell(arm: str, split: Split, seed: int, place: Place) -> Cell:
        """Named by what varies in this comparison: `vae-seed0`, or `vae-tuned-10pc-split1-seed0`."""
        parts = {"protocol": place.protocol, "mode": place.mode, "fraction": f"{100 * place.fraction:g}pc"}
        told = [text for key, text in parts.items() if len(varied[key]) > 1]
        told += [f"split{split.seed}"] if len(splits) > 1 else []
        return Cell(arm, split, seed, place, "-".join([arm, *told, f"seed{seed}"]))

    for place in places:
        for split in splits:
            for arm in config.arm_names:
                yield from (cell(arm, split, seed, place) for seed in seeds)
    if "champion" in splits[0].encoders:  # for promotion alone: the rule compares under one protocol with all labels
        protocol = "identical" if "identical" in config.protocol_names else "tuned"
        place = Place(protocol, config.mode_names[0], config.fractions[0])
        yield from (cell("champion", splits[0], seed, place) for seed in seeds)
