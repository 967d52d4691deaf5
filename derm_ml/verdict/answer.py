"""The answer in words: three lines, what stands against them, and what was not shown."""

from __future__ import annotations

from dataclasses import dataclass

from derm_ml.results import Place
from derm_ml.verdict.audits import Audit, audit, void
from derm_ml.verdict.calls import HERE, Call, GapReading, calls, read_gap
from derm_ml.verdict.measures import ACCURACY, AUROC, GAP, LOSS, Measures

WORDS = ("better", "better here", "worse", "worse here", "not shown")
NAMES = {
    "plain": "a plain VAE",
    "imagenet": "ImageNet transfer",
    "pixels": "8 x 8 mean colours",
    "random": "random weights",
}


@dataclass(frozen=True)
class Answer:
    """What a report opens with.

    Attributes:
        lines: the three answers. warnings: what stands against them. not_shown: limits.
        calls: of every arm against ImageNet at the first place. readings: of every arm's gap, at every protocol.
    """

    lines: tuple[str, str, str]
    warnings: tuple[str, ...]
    not_shown: tuple[str, ...]
    audits: tuple[Audit, ...]
    calls: dict[str, list[Call]]
    readings: tuple[GapReading, ...]


def answer(measures: Measures) -> Answer:
    """All of it, spoken on the comparison's first place."""
    comparison = measures.comparison
    place = comparison.places[0]
    audits = audit(measures, place)
    out = void(audits)
    rivals = [arm for arm in comparison.arms if arm != "imagenet"]
    found = {arm: calls(measures, arm, "imagenet", place, out) for arm in rivals} if _has(measures, "imagenet") else {}
    readings = tuple(read_gap(measures, arm, each) for each in _protocols(measures) for arm in comparison.arms)
    both = "vae" in found
    missing = "The vae and imagenet arms were not both run: the question is not answered."
    return Answer(
        lines=(
            _beats(found["vae"], comparison.vae_method) if both else missing,
            _overfits(measures, found["vae"], out) if both else _gaps(readings),
            _worth(measures, place, out) + _added(measures, place, out),
        ),
        warnings=_warnings(measures, audits),
        not_shown=_limits(measures),
        audits=tuple(audits),
        calls=found,
        readings=readings,
    )


def _warnings(measures: Measures, audits: list[Audit]) -> tuple[str, ...]:
    """What the arms differ in beside their pretraining's images, then audits that failed."""
    comparison = measures.comparison
    failed = tuple(f"{each.name}: NO. {each.sentence}" for each in audits if not each.holds)
    if comparison.vae_recipe == "composed" and _has(measures, "vae"):
        failed = (
            f"The vae arm is not the paper's plain VAE but {comparison.vae_method} (objective: "
            f"{comparison.vae_objective}): what it gains may be due to what the plain VAE does not have.",
            *failed,
        )
    if comparison.one_architecture:
        return failed
    own = "vae" if _has(measures, "vae") else "plain"
    control = f"the arm random is the {own} arm's network, untrained" if _has(measures, "random") else "run random too"
    return (
        f"The {own} arm's encoder is a {comparison.vae_backbone}, ImageNet's a {comparison.backbone}: a difference "
        f"between them may be the architecture's as well as the pretraining's ({control}).",
        *failed,
    )


def _has(measures: Measures, arm: str) -> bool:
    return arm in measures.comparison.arms


def _protocols(measures: Measures) -> list[Place]:
    """The places of the first mode and all labels, a protocol each."""
    first = measures.comparison.places[0]
    return [each for each in measures.comparison.places if each[1:] == first[1:]]


def _beats(found: list[Call], method: str) -> str:
    by_name = {call.measure.name: call for call in found if call.measure is not GAP}
    main = by_name[AUROC.name]
    opening = {
        "better": f"Yes, the {method} beats ImageNet transfer",
        "worse": f"No, ImageNet transfer is better than the {method}",
        "not shown": "Neither is shown to be better",
        "better here": f"On this split, with this encoder, the {method} beats ImageNet transfer",
        "worse here": f"On this split, with this encoder, ImageNet transfer is better than the {method}",
    }[main.word]
    text = f"{opening} on test macro AUROC ({method} minus ImageNet {main.difference.text()}{_because(main)})"
    others = [f"{_listed(by_name, word)} {word}" for word in WORDS if _listed(by_name, word)]
    return f"{text}; of the other measures the {method}'s: {'; '.join(others)}."


def _because(call: Call) -> str:
    if call.word != "not shown":
        return ""
    return f"; {call.why}; a difference of {call.detectable:.3f} would have been found with 80 % power"


def _listed(by_name: dict[str, Call], word: str) -> str:
    chosen = [call for name, call in by_name.items() if call.word == word and name != AUROC.name]
    return ", ".join(f"{call.measure.name} ({call.difference.text()})" for call in chosen)


def _overfits(measures: Measures, found: list[Call], out: frozenset[str]) -> str:
    call = next(each for each in found if each.measure is GAP)
    method = measures.comparison.vae_method
    places = _protocols(measures)
    gaps = {arm: read_gap(measures, arm, places[0]) for arm in ("vae", "imagenet")}
    opening = {
        "better": f"Yes, the {method} overfits less",
        "worse": f"No, the {method} overfits more",
        "not shown": "No difference in overfitting is shown",
        "better here": f"On this split, with this encoder, the {method} overfits less",
        "worse here": f"On this split, with this encoder, the {method} overfits more",
    }[call.word]
    text = f"{opening}: gap of the loss {gaps['vae'].gap.text()} against {gaps['imagenet'].gap.text()}, difference "
    text += f"{call.difference.text()}{f' ({call.why})' if call.why else ''}"
    for place in places[1:]:
        other = next(each for each in calls(measures, "vae", "imagenet", place, out) if each.measure is GAP)
        theirs = read_gap(measures, "imagenet", place).gap
        kept = _kept(call.word.removesuffix(HERE), other.word.removesuffix(HERE))
        text += f"; under {place.protocol}, {kept}: {other.difference.text()} (ImageNet's gap {theirs.mean:.3f})"
    margin = measures.comparison.gap_margin
    near = "is" if gaps["vae"].near_zero else "is not shown to be"
    return f"{text}; the {method}'s gap {near} near zero (within {margin:g} nats)."


def _kept(first: str, other: str) -> str:
    """What becomes of a difference in the gap under another protocol."""
    if other == "not shown":
        return "it is not shown" if first != other else "none is shown either"
    if first == other:
        return "it remains"
    shown = {"better": "a smaller one is shown", "worse": "a larger one is shown"}[other]
    return "it turns round" if first != "not shown" else shown


def _gaps(readings: tuple[GapReading, ...]) -> str:
    first = readings[0].place
    found = [f"{each.arm} {each.gap.text()}" for each in readings if each.place == first]
    return f"Gap of the loss: {', '.join(found)}."


def _worth(measures: Measures, place: Place, out: frozenset[str]) -> str:
    """Whether the arm has learnt more than the floors have."""
    arm = "vae" if _has(measures, "vae") else next((each for each in measures.comparison.arms), "")
    if not (_has(measures, "pixels") and arm not in ("", "pixels", "majority")):
        return (
            "Whether that gap is worth having is not said: without the pixels floor nothing tells how little is learnt."
        )
    by_name = {call.measure.name: call for call in calls(measures, arm, "pixels", place, out)}
    call, loss = by_name[AUROC.name], by_name[LOSS.name]
    name = f"the {measures.comparison.vae_method}" if arm == "vae" else NAMES.get(arm, arm)
    word = call.word.removesuffix(HERE)
    if word == "better":
        return (
            f"It has learnt something: {name} beats 8 x 8 mean colours by {call.difference.text()} in macro AUROC "
            f"(log-loss {loss.word})."
        )
    verb = "is worse than" if word == "worse" else "is not shown to beat"
    floor = measures.estimate(GAP, "pixels", place)
    return (
        f"A small gap proves little here: {name} {verb} 8 x 8 mean colours in macro AUROC ({call.difference.text()} "
        f"against them; log-loss {loss.difference.text()}, {loss.word}), whose own gap is {floor.mean:.3f}."
    )


def _added(measures: Measures, place: Place, out: frozenset[str]) -> str:
    """What pretraining adds to the vae arm's own network, and how small a gap that network has untrained."""
    if not (_has(measures, "vae") and _has(measures, "random")):
        return ""
    by_name = {call.measure.name: call for call in calls(measures, "vae", "random", place, out)}
    auroc, gap = by_name[AUROC.name], by_name[GAP.name]
    verb = {"better": "adds to", "worse": "takes from", "not shown": "is not shown to add to"}
    untrained, here = measures.estimate(GAP, "random", place), HERE if auroc.word.endswith(HERE) else ""
    return (
        f" Pretraining {verb[auroc.word.removesuffix(HERE)]} its own network untrained{here}: "
        f"{auroc.difference.text()} in macro AUROC; {gap.difference.text()} in the gap ({gap.word}), which is "
        f"{untrained.mean:.3f} without any pretraining."
    )


def costs(measures: Measures) -> dict[str, dict[str, float]]:
    """What `tuned` changes against `identical`, by arm: gap, accuracy, AUROC, log-loss (mean over all runs)."""
    places = {each.protocol: each for each in _protocols(measures)}
    if set(places) != {"identical", "tuned"}:
        return {}
    return {
        arm: {
            measure.name: measures.estimate(measure, arm, places["tuned"]).mean
            - measures.estimate(measure, arm, places["identical"]).mean
            for measure in (GAP, ACCURACY, AUROC, LOSS)
        }
        for arm in measures.comparison.arms
    }


def _limits(measures: Measures) -> tuple[str, ...]:
    comparison = measures.comparison
    splits, seeds = len(comparison.splits), len(comparison.seeds)
    lines = [f"One collection ({comparison.data}): other cameras, clinics and skin types may give other figures."]
    if splits == 1:
        lines.append(
            "One split of it: intervals hold for its training and its encoder; another split or pretraining may "
            "move the figures by more than they say, so that calls are of this split only (better here, worse here). "
            "splits=3 or more lets them speak of the arms."
        )
    else:
        lines.append(
            f"{splits} splits: intervals are Nadeau and Bengio's, which correct for shared training images only "
            f"approximately, on {splits - 1} degree(s) of freedom."
        )
    if seeds == 1:
        lines.append("One seed: the spread of training is in the intervals only as far as the splits show it.")
    if "tuned" not in {each.protocol for each in comparison.places}:
        lines.append("The tuned protocol was not run: whether a regularised head would close the gap is not told.")
    edges = {run.arm for run in comparison.runs if run.edge}
    if edges:
        lines.append(
            f"Under tuned, the choice of {', '.join(sorted(edges))} lies at an edge of the grid in some runs: a better "
            "recipe may lie beyond it."
        )
    lines.append("Calls are corrected over the six measures, not over arms, label fractions and protocols.")
    return tuple(lines)
