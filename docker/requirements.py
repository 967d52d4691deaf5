"""Print the requirements of pyproject.toml, or of one of its extras: the one list of dependencies. No project code."""

import sys
import tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]
rows = project["optional-dependencies"][sys.argv[1]] if len(sys.argv) > 1 else project["dependencies"]
print("\n".join(rows))
