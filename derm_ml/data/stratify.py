"""Groups dealt to splits so that each class has its share of images in each: for groups of several classes too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

Held = tuple[tuple[int, int], ...]  # (class, images) of one group
TRIED = 64  # groups of a class, when it is looked for one that can move


@dataclass(frozen=True)
class Holdings:
    """How many images of which class each group holds.

    Attributes:
        held: for each group, in the order it is drawn, its (class, images).
        classes: names. groups, images: how many hold a class, and how many are of it, int64 [classes].
    """

    held: list[Held]
    classes: list[str]
    groups: np.ndarray
    images: np.ndarray

    @classmethod
    def count(cls, group: np.ndarray, code: np.ndarray, classes: list[str]) -> Holdings:
        """From every image's group (numbered in the order drawn, none empty) and class, int64 [n] each."""
        cells, images = np.unique(group * len(classes) + code, return_counts=True)
        owner, kind = np.divmod(cells, max(1, len(classes)))
        bounds = np.searchsorted(owner, np.arange(int(owner.max(initial=-1)) + 2)).tolist()
        pairs = list(zip(kind.tolist(), images.tolist(), strict=True))
        known: dict[Held, Held] = {}  # of a million groups few hold other numbers than all others: one object each
        each = (tuple(pairs[start:end]) for start, end in zip(bounds[:-1], bounds[1:], strict=True))
        held = [known.setdefault(pattern, pattern) for pattern in each]
        size = len(classes)
        return cls(held, classes, np.bincount(kind, minlength=size), np.bincount(code, minlength=size))


def draw_splits(holdings: Holdings, shares: Sequence[float]) -> np.ndarray:
    """The split of each group, int64 [groups]: 1, 2 ... for `shares`, in their order, 0 for the rest.

    Class after class, that of the fewest groups first (Sechidis et al., On the Stratification of Multi-Label Data,
    2011): each split takes groups of the class in the order drawn until it has its share of the class's images, and
    one at least, but leaves one for every split that has none yet. A group that holds more of any class than the split
    still wants is taken only where the split would else have none. What is left is the rest's. At the end, groups
    move where a split lacks a class that it could have.

    Names play no part: of classes with equally many groups and images, the one whose groups are drawn first is first.
    """
    deal = _Deal(holdings, shares)
    of_class: list[list[int]] = [[] for _ in holdings.classes]
    for group, held in enumerate(holdings.held):
        for code, _ in held:
            of_class[code].append(group)
    fewest = [(len(groups), int(holdings.images[code]), groups, code) for code, groups in enumerate(of_class)]
    for _, _, _, code in sorted(fewest):
        deal.class_of(code, of_class[code])
    deal.mend(of_class)
    return np.array([max(split, 0) for split in deal.split], dtype=np.int64)


class _Deal:
    """The state of a deal: each group's split (-1: none yet), and the groups and images of each class by split."""

    def __init__(self, holdings: Holdings, shares: Sequence[float]) -> None:
        self._held, self._splits = holdings.held, range(len(shares) + 1)
        self._wanted: list[list[float]] = [(share * holdings.images).tolist() for share in (0.0, *shares)]
        self.split = [-1] * len(self._held)
        self._images = [[0] * len(holdings.classes) for _ in self._splits]
        self._groups = [[0] * len(holdings.classes) for _ in self._splits]

    def _put(self, group: int, split: int) -> None:
        before = self.split[group]
        for code, images in self._held[group]:
            if before >= 0:
                self._images[before][code] -= images
                self._groups[before][code] -= 1
            self._images[split][code] += images
            self._groups[split][code] += 1
        self.split[group] = split

    def class_of(self, code: int, groups: list[int]) -> None:
        """Deal the groups of one class that have no split yet."""
        left = [group for group in groups if self.split[group] < 0]
        for split in self._splits[1:]:
            taken: set[int] = set()
            for group in left:
                if not self._wants(split, code) or len(left) - len(taken) <= self._owed(code, split):
                    break
                if self._fits(group, split, code):
                    self._put(group, split)
                    taken.add(group)
            if not self._groups[split][code] and len(left) > self._owed(code, split):
                group = min(left, key=lambda each: (self._excess(each, split), each))
                self._put(group, split)
                taken.add(group)
            left = [group for group in left if group not in taken]
        for group in left:
            self._put(group, 0)

    def _wants(self, split: int, code: int) -> bool:
        return not self._groups[split][code] or self._images[split][code] < self._wanted[split][code] - 0.5

    def _owed(self, code: int, split: int) -> int:
        """How many other splits have no group of the class yet."""
        return sum(not self._groups[other][code] for other in self._splits if other != split)

    def _fits(self, group: int, split: int, drawn: int) -> bool:
        """Whether no class is overdrawn; of the class that is drawn the last group may reach beyond the share."""
        wanted, images = self._wanted[split], self._images[split]
        return all(
            n <= max(1, wanted[code]) if code == drawn else images[code] + n <= max(1, wanted[code] + 0.5)
            for code, n in self._held[group]
        )

    def _excess(self, group: int, split: int) -> float:
        """How far the split's share of a class would be passed, at most, in shares."""
        wanted, images = self._wanted[split], self._images[split]
        return max((images[c] + n) / max(wanted[c], 1.0) for c, n in self._held[group])

    def mend(self, of_class: list[list[int]]) -> None:
        """Move groups to splits that lack a class of as many groups as splits, while that leaves fewer lacks."""
        enough = {code: groups for code, groups in enumerate(of_class) if len(groups) >= len(self._splits)}
        while lacks := self._lacks(enough):
            if not any(self._filled(lack, enough, len(lacks)) for lack in lacks):
                break

    def _lacks(self, enough: Iterable[int]) -> list[tuple[int, int]]:
        return [(code, split) for code in enough for split in self._splits if not self._groups[split][code]]

    def _filled(self, lack: tuple[int, int], enough: dict[int, list[int]], fewer_than: int, depth: int = 2) -> bool:
        """Move a group to where its class lacks, and others to where that group is then missed."""
        code, split = lack
        for group in enough[code][:TRIED]:
            source = self.split[group]
            self._put(group, split)
            lacks = self._lacks(enough)
            missed = [each for each in lacks if each[1] == source and each[0] in dict(self._held[group])]
            if len(lacks) < fewer_than or (
                depth and any(self._filled(each, enough, fewer_than, depth - 1) for each in missed)
            ):
                return True
            self._put(group, source)
        return False
