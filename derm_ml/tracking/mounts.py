"""What a job reads, as bind mounts: each file or folder at its own path, with what symbolic links in it lead to."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from derm_ml.errors import UserError

OWN = ("/", "/bin", "/boot", "/etc", "/lib", "/lib64", "/opt", "/opt/venv", "/run", "/sbin", "/tmp", "/usr", "/var")  # noqa: S108
KERNEL = ("/dev", "/proc", "/sys")  # these and all below
HOPS = 40  # from link to link, as the kernel has it: links may lead round
MOST = 500  # mounts: each is two words of one command


class Mount(NamedTuple):
    """A folder or file of this machine, and where it is in the container.

    These are the same but where a relative link lies in a folder that is itself named through a link.
    """

    source: Path
    target: Path


def mounts(paths: Iterable[Path]) -> list[Mount]:
    """Read-only mounts for absolute paths of files and folders.

    Links in a folder are followed, wherever they lead: a class folder that is one, a pool of linked images. What leads
    to the container's own folders is left dangling.

    Raises:
        UserError: the links lead to more folders than can be mounted.
    """
    found: dict[Path, Mount] = {}
    waiting = [Mount(each, each) for each in paths]
    while waiting:
        mount = waiting.pop(0)
        if mount.target in found or hides_own(mount.target):
            continue
        found[mount.target] = mount
        if len(found) > MOST:
            raise UserError(f"{mount.target}: links lead to more than {MOST} folders: gather the files in fewer")
        waiting += [each for each in dict.fromkeys(_linked(mount)) if each.target not in found]
    return [mount for mount in found.values() if not any(_covers(other, mount) for other in found.values())]


def hides_own(path: Path) -> bool:
    """Whether a mount there would hide what the container needs of its own."""
    return str(path) in OWN or any(path == Path(each) or Path(each) in path.parents for each in KERNEL)


def _linked(mount: Mount) -> Iterator[Mount]:
    """Where the links below a mounted folder lead: a linked folder itself, a linked file's folder; hop by hop."""
    for folder, names in _walk(mount.source):
        inside = mount.target / folder.relative_to(mount.source)
        for name in names:
            link, seen = inside / name, folder / name
            for _ in range(HOPS):
                if not seen.is_symlink():
                    break
                # the container follows the link from where it is mounted, this machine from where it lies
                leads = seen.readlink()
                link = Path(os.path.normpath(link.parent / leads))
                seen = seen.parent / leads
                if seen.is_dir():
                    yield Mount(seen.resolve(), link)
                    break
                if seen.exists():
                    yield Mount(seen.parent.resolve(), link.parent)


def _walk(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Every folder below, and the names of the links in it."""
    waiting = [root] if root.is_dir() else []
    while waiting:
        folder = waiting.pop()
        links = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        links.append(entry.name)
                    elif entry.is_dir(follow_symlinks=False):
                        waiting.append(folder / entry.name)
        except OSError:  # the reader says what cannot be read
            continue
        if links:
            yield folder, links


def _covers(other: Mount, mount: Mount) -> bool:
    """Whether a mount is there already as a part of another, from the same place."""
    if other.target not in mount.target.parents:
        return False
    same = other.source.resolve() / mount.target.relative_to(other.target)
    return same == mount.source.resolve()
