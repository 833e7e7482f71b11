"""Print what installs the lowest version that pyproject.toml allows of every dependency."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
for dependency in project["dependencies"]:
    print(re.sub(r">=([\w.]+).*", r"==\1", dependency))
