"""Recall and precision of near duplicates on planted copies, and time and memory by the number of pictures.

    python benchmarks/near_duplicates.py DIR --copies 60 --out found.csv     # planted copies of each kind
    python benchmarks/near_duplicates.py DIR --scale 10000,100000            # drawn descriptors

Each of `--copies` photographs a kind gets one copy, planted into the whole collection. Half of the lesions (by the hash
of their name) is for choosing thresholds, the other half is reported; pairs of different lesions are written to `--out`
to be looked at: a collection may hold copies that nobody knows of.
"""

import argparse
import hashlib
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from planted_copies import KINDS, two_changes
from statsmodels.stats.proportion import proportion_confint

from derm_ml.data.decoding import decode_image, decode_whole
from derm_ml.data.duplicates import WHOLE, describe_picture, scored_pairs
from derm_ml.data.duplicates.descriptor import ROW
from derm_ml.data.duplicates.view import OUTSIDE, SIDE
from derm_ml.data.groups import join_groups
from derm_ml.data.sources import open_source

CHANGES = {**KINDS, "two_changes": two_changes}
LONGEST = 600  # px, at which copies are made


def described(task: tuple[bytes, str, int]) -> np.ndarray:
    """The row of a file, or of its copy of a kind."""
    content, kind, seed = task
    cv2.setNumThreads(1)
    if not kind:
        return describe_picture(decode_image(content, (), WHOLE).whole)  # as the check does
    picture = np.ascontiguousarray(decode_whole(content, LONGEST))
    return describe_picture(decode_image(CHANGES[kind](picture, np.random.default_rng(seed)), (), WHOLE).whole)


def planted(args: argparse.Namespace) -> None:
    """Print recall by kind and what was found among the collection's own pictures."""
    source = open_source(args.collection)
    ids = source.records["image_id"].tolist()
    lesions = source.records["group"].astype(str).to_numpy()
    names = list(CHANGES)
    drawn = np.random.default_rng(args.seed).permutation(len(ids))[: args.copies * len(names)]
    kinds = np.array([names[k % len(names)] for k in range(len(drawn))])
    own = [(source.read(name), "", 0) for name in ids]
    copies = [
        (source.read(ids[row]), kind, args.seed + k) for k, (row, kind) in enumerate(zip(drawn, kinds, strict=True))
    ]
    start = time.perf_counter()
    with ProcessPoolExecutor(args.workers) as pool:
        rows = np.stack(list(pool.map(described, own + copies, chunksize=32)))
    print(f"described {len(rows):,} pictures in {time.perf_counter() - start:.0f} s")
    start, used = time.perf_counter(), time.process_time()
    found = scored_pairs(rows)
    print(f"searched in {time.perf_counter() - start:.0f} s, {time.process_time() - used:.0f} s of processor time")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak {peak:,.0f} MiB; rows of {rows.shape[1]:,} bytes")
    table = pd.DataFrame(found, columns=["first", "second", "score"])
    border = len(ids)
    ids = [Path(name).stem for name in ids]
    lesion = np.concatenate([lesions, lesions[drawn]])
    chosen = np.array([hashlib.sha256(name.encode()).digest()[0] % 2 == 0 for name in lesion])
    hit = np.zeros(len(drawn), bool)
    copy = table[(table["second"] >= border) & (table["first"] < border)]
    true = copy["first"].to_numpy() == drawn[copy["second"].to_numpy() - border]
    hit[copy["second"].to_numpy()[true] - border] = True
    for part, use in (("for choosing", chosen[border:]), ("reported", ~chosen[border:])):
        print(f"recall, lesions {part}:")
        for kind in names:
            mine = hit[(kinds == kind) & use]
            low, high = proportion_confint(mine.sum(), len(mine), method="wilson")
            print(f"  {kind:18} {mine.mean():.3f} [{low:.3f}, {high:.3f}] of {len(mine)}")
    table["lesion_first"], table["lesion_second"] = lesion[table["first"]], lesion[table["second"]]
    other = table[table["lesion_first"] != table["lesion_second"]]
    among = other[(other["second"] < border)]
    print(f"pairs of different lesions: {len(other):,}, of them {len(among):,} among the collection's own pictures;")
    print(f"pairs of a copy and its original {int(hit.sum()):,}, of one lesion {len(table) - len(other):,}")
    inside = table[table["second"] < border]
    codes = join_groups(pd.Series(lesions), list(zip(inside["first"], inside["second"], strict=True)))
    print(f"largest group joined: {np.bincount(codes).max():,} pictures")
    if args.out:
        named = other.assign(first=[_named(k, ids, drawn, kinds) for k in other["first"]])
        named["second"] = [_named(k, ids, drawn, kinds) for k in other["second"]]
        named["reported"] = ~(chosen[other["first"]] | chosen[other["second"]])
        named.sort_values("score", ascending=False).to_csv(args.out, index=False)


def _named(row: int, ids: list[str], drawn: np.ndarray, kinds: np.ndarray) -> str:
    return ids[row] if row < len(ids) else f"{ids[drawn[row - len(ids)]]} {kinds[row - len(ids)]}"


def scaled(args: argparse.Namespace) -> None:
    """Print time and peak memory of the search among drawn rows: two real pictures turned and laid on each other."""
    source = open_source(args.collection)
    ids = source.records["image_id"].tolist()[:2000]
    base = np.stack([described((source.read(name), "", 0)) for name in ids]).view(ROW).reshape(-1)
    for count in (int(text) for text in args.scale.split(",")):
        rng = np.random.default_rng(args.seed)
        rows = base[rng.integers(len(base), size=count)]
        for row, other in zip(rows, rng.integers(len(base), size=count), strict=True):
            second = _turned(base[other]["copy"], float(rng.uniform(0, 360)))
            mixed = 0.7 * _turned(row["copy"], float(rng.uniform(0, 360))) + 0.7 * second
            row["copy"] = np.where(row["copy"] == OUTSIDE, OUTSIDE, np.clip(np.round(mixed), -120, 120))
        start, used = time.perf_counter(), time.process_time()
        found = scored_pairs(rows.view(np.uint8).reshape(count, -1))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        spent = f"{time.perf_counter() - start:.0f} s, {time.process_time() - used:.0f} s of processor time"
        print(f"{count:,} pictures: {spent}, peak {peak:,.0f} MiB, {len(found):,} pairs", flush=True)


def _turned(copy: np.ndarray, angle: float) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), angle, 1.3)
    values = np.where(copy == OUTSIDE, 0, copy).astype(np.float32)
    return np.asarray(cv2.warpAffine(values, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection")
    parser.add_argument("--copies", type=int, default=60, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scale", default="", help="numbers of pictures, with commas")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    scaled(options) if options.scale else planted(options)
