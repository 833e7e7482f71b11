"""Print what installs the lowest version that pyproject.toml allows of every dependency.

Those of the extra `parquet` are among them: newer ones need a newer numpy.
"""

import re
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
for dependency in (*project["dependencies"], *project["optional-dependencies"]["parquet"]):
    print(re.sub(r">=([\w.]+).*", r"==\1", dependency))
