"""Finished runs of a comparison, kept on disk as they finish: an interrupted comparison goes on after the last."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from derm_ml.errors import UserError
from derm_ml.results import ArmRun, Place


class Cells:
    """One file a run, plain arrays and JSON, in a folder that belongs to one comparison.

    Args:
        identity: what the comparison is; going on with it under another one is refused.
        resume: files of before are used. Without it a folder is expected to be new.
        growing: a number in the identity that may be larger than before, never smaller; "" for none.

    Attributes:
        before: what that number was at the last time, where there was one.

    Raises:
        UserError: resumed with other settings or data, or there is nothing to resume.
    """

    def __init__(self, folder: Path, identity: Mapping[str, object], *, resume: bool, growing: str = "") -> None:
        self.folder, self.before = folder, 0
        facts = folder / "identity.json"
        text = json.dumps(identity, sort_keys=True, indent=1)
        if resume:
            if not facts.is_file():
                raise UserError(f"{folder}: nothing to resume from: resume on the machine that ran it, or start anew")
            before = json.loads(facts.read_text())
            now = json.loads(text)
            other = [key for key in now if key != growing and before.get(key) != now[key]]
            if other:
                raise UserError(f"resume: the comparison was started with another {other[0]}: give the same")
            self.before = before[growing] if growing else 0
            if growing and now[growing] < self.before:
                raise UserError(
                    f"resume: it has {self.before} {growing} already, not {now[growing]}: give all, or more"
                )
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(facts, text.encode())

    def has(self, name: str) -> bool:
        """Whether there is a finished run's file."""
        return self._path(name).is_file()

    def get(self, name: str) -> ArmRun | None:
        """A finished run; None when there is none, or its file is damaged (it is then trained again)."""
        if not self.has(name):
            return None
        try:
            with self._path(name).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                facts = json.loads(str(arrays["facts"]))
                named = facts.pop("history", None)
                if named is None:  # written by 0.1.0, whose arrays had the metrics' names
                    history = {key[8:]: arrays[key] for key in arrays.files if key.startswith("history/")}
                else:
                    history = {name: arrays[f"history/{number}"] for number, name in enumerate(named)}
                names = ("val_probabilities", "test_probabilities", "external_probabilities")
                kept = {key: arrays[key] for key in names if key in arrays.files}
        except (BadZipFile, ValueError, KeyError, OSError):
            return None
        place = Place(**facts.pop("place"))
        return ArmRun(place=place, history=history, **facts, **kept)

    def put(self, name: str, run: ArmRun) -> None:
        """Write a finished run: whole, or not at all."""
        facts = {
            key: getattr(run, key)
            for key in ("arm", "split", "seed", "lr", "weight_decay", "feed", "origin", "seconds", "edge")
        }
        # by number: a metric's name may hold a class's, which need not be fit for a file's
        arrays: dict[str, np.ndarray] = {f"history/{i}": values for i, values in enumerate(run.history.values())}
        arrays |= {"val_probabilities": run.val_probabilities, "test_probabilities": run.test_probabilities}
        if run.external_probabilities is not None:
            arrays["external_probabilities"] = run.external_probabilities
        more = {"place": run.place._asdict(), "history": list(run.history)}
        packed = BytesIO()
        np.savez(packed, facts=np.array(json.dumps(facts | more)), **arrays)  # type: ignore[arg-type]
        write_whole(self._path(name), packed.getvalue())

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"


def write_whole(path: Path, content: bytes) -> None:
    """Whole or not at all, also when the machine stops: by a file beside it that takes its name once it is on disk."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
