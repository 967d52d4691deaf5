"""Print the commit that a git directory is at, without git; nothing where it cannot be told. No project code."""

import sys
from pathlib import Path

folder = Path(sys.argv[1])
head = (folder / "HEAD").read_text().strip() if (folder / "HEAD").is_file() else ""
name = head.removeprefix("ref: ")
if name == head:
    commit = head
elif (folder / name).is_file():
    commit = (folder / name).read_text().strip()
else:
    packed = (folder / "packed-refs").read_text().splitlines() if (folder / "packed-refs").is_file() else []
    commit = next((line.split()[0] for line in packed if line.endswith(" " + name)), "")
print(commit)
