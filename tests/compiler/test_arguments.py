"""Python and C agree on the arguments of a program."""

import ctypes
import re

from gdrun.compiler.build import SOURCES
from gdrun.compiler.program_cache import UpdateArguments


def test_the_structure_has_the_fields_of_updates_c_in_their_order() -> None:
    source = re.sub(r"/\*.*?\*/", "", (SOURCES / "updates.c").read_text(), flags=re.DOTALL)
    found = re.search(r"struct update_arguments \{(.*?)\};", source, re.DOTALL)
    assert found
    fields = []
    for declaration in found[1].split(";")[:-1]:
        for name in declaration.split(","):
            kind = ctypes.c_void_p if "*" in name else ctypes.c_int64
            fields.append((re.findall(r"\w+", name)[-1], kind))
    assert UpdateArguments._fields_ == tuple(fields)
