"""YAML → values, whoever wrote it: loaded safely, within bounds, with `1e-3` a number.

A text is read in two steps, nodes and then values. Everything that would make the second one
explode is found in the first: aliases that stand for each other, and numbers of a megabyte.
"""

import re
from typing import Any

import yaml

from gdrun.errors import excerpt

LARGEST = 1_000_000  # characters of a text
MOST_VALUES = 10_000  # in a text, aliases counted as what they stand for
LONGEST_NUMBER = 1_000  # characters of anything that isn't text
TOO_MANY = f"more than {MOST_VALUES:,} values, too many for a config"
TOO_DEEP = "more levels of brackets or indentation than can be followed"

# What PyYAML's constructors raise where a value doesn't suit its tag, beside errors of its own:
# `!!int ""`, `!!bool maybe`, `!!timestamp x`, 2001-99-99, sixty to the power of two hundred.
MISFITS = (ValueError, LookupError, AttributeError, ArithmeticError, TypeError)


class RefusedError(yaml.MarkedYAMLError):
    """YAML that is valid but larger or deeper than any config."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, with bounds and the floats of YAML 1.2: in 1.1, `1e-3` is a string."""

    _composed = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._composed += 1
        if self._composed > MOST_VALUES:
            raise _refused(TOO_MANY, getattr(parent, "start_mark", None))
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except MISFITS:
            noun = node.tag.removeprefix("tag:yaml.org,2002:")
            came = repr(excerpt(node.value)) if isinstance(node, yaml.ScalarNode) else "this"
            raise yaml.constructor.ConstructorError(
                None, None, f"{came} is no {noun}", node.start_mark
            ) from None


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*(\.[\d_]*)?|\.\d[\d_]*)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def compose(text: str) -> yaml.Node | None:
    """The nodes of a YAML text, which know their places; None for an empty one.

    Raises:
        RefusedError: it is larger or deeper than any config.
        yaml.YAMLError: it isn't valid YAML.
    """
    if len(text) > LARGEST:
        raise _refused(f"more than {LARGEST:,} characters, too many for a config", None)
    try:
        node = _Loader(text).get_single_node()
        if node is not None:
            _measure(node, {})
    except RecursionError:
        raise _refused(TOO_DEEP, None) from None
    except MISFITS:
        raise yaml.YAMLError("an escape or a directive is out of range") from None
    return node


def construct(node: yaml.Node | None) -> Any:
    """The value that composed nodes stand for; what they merge is moved within them.

    Raises:
        RefusedError: it is deeper than any config.
        yaml.YAMLError: it is more than plain values.
    """
    try:
        return None if node is None else _Loader("").construct_document(node)
    except RecursionError:
        raise _refused(TOO_DEEP, None) from None


def _measure(node: yaml.Node, sizes: dict[int, int]) -> int:
    """How many values a node comes to once its aliases are expanded; 0 marks one being measured.

    A node that aliases name many times is measured once, so that this takes no longer than there
    are nodes; sizes add up to no more than the bound before it is crossed.
    """
    known = sizes.get(id(node))
    if known == 0:
        raise _refused("an alias of what it stands in", node.start_mark)
    if known is not None:
        return known
    sizes[id(node)] = 0
    parts: list[yaml.Node] = []
    match node:
        case yaml.ScalarNode():
            if node.tag != "tag:yaml.org,2002:str" and len(node.value) > LONGEST_NUMBER:
                raise _refused(f"a number of {len(node.value):,} characters", node.start_mark)
        case yaml.SequenceNode():
            parts = node.value
        case yaml.MappingNode():
            parts = [part for pair in node.value for part in pair]
    size = 1
    for part in parts:
        size += _measure(part, sizes)
        if size > MOST_VALUES:
            raise _refused(TOO_MANY, node.start_mark)
    sizes[id(node)] = size
    return size


def _refused(what: str, mark: yaml.Mark | None) -> RefusedError:
    return RefusedError(problem=f"holds {what}", problem_mark=mark)
