"""How one picture lies in another: places that look alike vote for one similarity, by pairs of them (RANSAC's way)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from derm_ml.data.duplicates.network import CELL, PLACES, UNIT

KEPT = 48  # mutual matches of two pictures, the most alike
DRAWN = 11  # of these, whose pairs propose a similarity each
ALIKE = 0.35  # likeness of two places below which they are no match
APART = 12.0  # px between two matches that propose
SCALES = (0.45, 2.2)
NEAR = 6.0  # px by which a match may miss, of the larger picture
STIFF = 200.0  # px^2: how much the affine fit keeps to the similarity
_ONE, _OTHER = np.triu_indices(DRAWN, 1)
_PLACES = ((np.arange(PLACES**2) % PLACES) + 1j * (np.arange(PLACES**2) // PLACES)).astype(np.complex64) * CELL + (
    CELL - 1
) / 2 * (1 + 1j)


@dataclass(frozen=True)
class Agreed:
    """Of n pairs: summed likeness of the matches that agree, and their affine map q = linear @ p + shift, px (x, y)."""

    votes: np.ndarray  # float32 [n]
    linear: np.ndarray  # float32 [n, 2, 2]
    shift: np.ndarray  # float32 [n, 2]

    def part(self, keep: np.ndarray) -> Agreed:
        return Agreed(self.votes[keep], self.linear[keep], self.shift[keep])


def agreed(first: np.ndarray, second: np.ndarray) -> Agreed:
    """The map of each pair that most matches agree on.

    Args:
        first, second: int8 [n, p, c], the places of the two pictures by `CopyNetwork`.
    """
    a, b, like = _matches(first, second)
    plain, mirrored = _voted(a, b, like), _voted(np.conj(a), b, like)
    mirror = mirrored[0] > plain[0]
    votes, ratio = (np.where(mirror, m, p) for m, p in zip(mirrored[:2], plain[:2], strict=True))
    agree = np.where(mirror[:, None], mirrored[2], plain[2])
    sign = np.where(mirror, -1, 1)
    linear = np.stack([ratio.real, -sign * ratio.imag, ratio.imag, sign * ratio.real], axis=1).reshape(-1, 2, 2)
    return Agreed(votes.astype(np.float32), *_affine(a, b, agree * like, linear.astype(np.float32)))


def _matches(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places that are each other's most alike: complex64 [n, k] of each picture, px; likeness [n, k], 0 is none."""
    alike = first.astype(np.float32) @ (second.astype(np.float32) / UNIT**2).transpose(0, 2, 1)
    there = alike.argmax(axis=2)
    best = np.take_along_axis(alike, there[:, :, None], axis=2)[:, :, 0]
    mutual = np.take_along_axis(alike.max(axis=1), there, axis=1) == best
    best = np.where(mutual & (best > ALIKE), best, np.float32(0))
    kept = np.argsort(-best, axis=1, kind="stable")[:, :KEPT]
    like, there = np.take_along_axis(best, kept, axis=1), np.take_along_axis(there, kept, axis=1)
    return _PLACES[kept], _PLACES[there], like


def _voted(a: np.ndarray, b: np.ndarray, like: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The similarity b = ratio * a + shift of most votes: votes and ratio, [n] each, and who agrees, bool [n, k]."""
    wide, seen = a[:, _OTHER] - a[:, _ONE], b[:, _OTHER] - b[:, _ONE]
    sound = (like[:, _OTHER] > 0) & (like[:, _ONE] > 0) & (np.abs(wide) > APART) & (np.abs(seen) > APART)
    ratio = np.where(sound, seen, 0) / np.where(sound, wide, 1)
    scale = np.abs(ratio)
    sound &= (scale > SCALES[0]) & (scale < SCALES[1])
    shift = b[:, _ONE] - ratio * a[:, _ONE]
    missed = ratio[:, :, None] * a[:, None] + (shift[:, :, None] - b[:, None])
    near = (NEAR * np.maximum(1, scale)) ** 2
    agree = (missed.real**2 + missed.imag**2 < near[:, :, None]) & (like[:, None] > 0)
    votes = np.where(sound, (agree.astype(np.float32) @ like[:, :, None])[:, :, 0], 0)
    best, each = votes.argmax(axis=1), np.arange(len(votes))
    return votes[each, best], ratio[each, best], agree[each, best]


def _affine(a: np.ndarray, b: np.ndarray, weight: np.ndarray, linear: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weighted least squares fit of the matches, near the given similarity."""
    total = weight.sum(axis=1)
    p, q = (np.stack([z.real, z.imag], axis=2).astype(np.float32) for z in (a, b))
    middle_p, middle_q = ((weight[:, :, None] * v).sum(axis=1) / np.maximum(total, 1e-6)[:, None] for v in (p, q))
    p, q = p - middle_p[:, None], q - middle_q[:, None]
    own = np.einsum("nk,nki,nkj->nij", weight, p, p) + STIFF * np.eye(2, dtype=np.float32)
    across = np.einsum("nk,nki,nkj->nij", weight, q, p) + STIFF * linear
    fit = (across @ np.linalg.inv(own)).astype(np.float32)
    found = total > 0
    linear = np.where(found[:, None, None], fit, np.eye(2, dtype=np.float32))
    moved = middle_q - np.einsum("nij,nj->ni", linear, middle_p)
    return linear.astype(np.float32), np.where(found[:, None], moved, 0).astype(np.float32)
