"""YAML text → values: loaded safely and within bounds, with the numbers of YAML 1.2.

So `1e-3` is a number, `010` is ten, and `1:30` is text, not ninety.

A text is read in two steps, nodes and then values. The first refuses everything that could make the
second run out of time or memory: too many values, numbers of a megabyte, and anchors with aliases.
"""

import json
import re
from collections.abc import Collection
from datetime import date
from typing import Any

import yaml

from gdrun.errors import excerpt

MAX_CHARACTERS = 1_000_000  # of a text
MAX_VALUES = 10_000  # of a text
MAX_NUMBER_LENGTH = 1_000  # characters of any value that isn't text
MAX_BITS = 200  # of a whole number that `kind` shows
TOO_MANY = f"more than {MAX_VALUES:,} values, too many for a config"
TOO_DEEP = "more levels of brackets or indentation than can be read"

# What PyYAML's constructors raise, beside errors of its own, where a value doesn't fit its tag:
# `!!int ""`, `!!bool maybe`, `!!timestamp x`, 2001-99-99, sixty to the power of two hundred.
CONSTRUCTION_ERRORS = (ValueError, LookupError, AttributeError, ArithmeticError, TypeError)


class RefusedError(yaml.MarkedYAMLError):
    """YAML that is valid, but has more in it than a config may have."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with bounds, and with the numbers of YAML 1.2."""

    _composed = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._composed += 1
        if self._composed > MAX_VALUES:
            raise _refused(TOO_MANY, getattr(parent, "start_mark", None))
        event: yaml.NodeEvent = self.peek_event()  # type: ignore[no-untyped-call]
        if event.anchor is not None:
            what = "alias *" if isinstance(event, yaml.AliasEvent) else "anchor &"
            raise _refused(f"the {what}{excerpt(event.anchor)}", event.start_mark)
        node = super().compose_node(parent, index)
        if isinstance(node, yaml.ScalarNode) and node.tag != "tag:yaml.org,2002:str":
            if node.tag == "tag:yaml.org,2002:merge":
                raise _refused("the merge key <<", node.start_mark)
            if len(node.value) > MAX_NUMBER_LENGTH:
                raise _refused(f"a number of {len(node.value):,} characters", node.start_mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except CONSTRUCTION_ERRORS:
            noun = node.tag.removeprefix("tag:yaml.org,2002:")
            came = repr(excerpt(node.value)) if isinstance(node, yaml.ScalarNode) else "this"
            raise yaml.constructor.ConstructorError(
                None, None, f"{came} is no {noun}", node.start_mark
            ) from None


def _whole_number(_: _Loader, node: yaml.ScalarNode) -> int:
    text = node.value.replace("_", "")
    return int(text, 16 if "x" in text.lower() else 10)


INT, FLOAT, STR = (f"tag:yaml.org,2002:{noun}" for noun in ("int", "float", "str"))
NUMBERS = {
    INT: r"^([-+]?\d[\d_]*|0x[\da-fA-F_]+)$",
    FLOAT: r"^([-+]?(\d[\d_]*(\.[\d_]*)?|\.\d[\d_]*)([eE][-+]?\d+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$",
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag not in NUMBERS]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, _form in NUMBERS.items():
    _Loader.add_implicit_resolver(_tag, re.compile(_form), list("-+.0123456789"))
_Loader.add_constructor(INT, _whole_number)


def compose(text: str) -> yaml.Node | None:
    """The nodes of a YAML text, which know their lines and columns; None for an empty text.

    Raises:
        RefusedError: it is too large or too deep, or has an anchor, an alias or a merge key.
        yaml.YAMLError: it isn't valid YAML.
    """
    if len(text) > MAX_CHARACTERS:
        raise _refused(f"more than {MAX_CHARACTERS:,} characters, too many for a config", None)
    try:
        return _Loader(text).get_single_node()
    except RecursionError:
        raise _refused(TOO_DEEP, None) from None
    except CONSTRUCTION_ERRORS:
        raise yaml.YAMLError("an escape or a directive is out of range") from None


def keep_text(
    node: yaml.Node | None, path: tuple[str, ...], keys: Collection[tuple[str, ...]]
) -> None:
    """Let the values of some keys be the text as it is written, such as NO, 1957 or 010.

    Args:
        node: a value, or all of a text.
        path: the key that it belongs to, and the keys above.
        keys: those whose values are text or lists of texts.
    """
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            keep_text(value, (*path, str(key.value)), keys)
    elif path in keys:
        in_list = isinstance(node, yaml.SequenceNode)
        for item in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            is_none = isinstance(item, yaml.ScalarNode) and item.value in ("", "~", "null")
            if isinstance(item, yaml.ScalarNode) and (in_list or not is_none):
                item.tag = STR


def construct(node: yaml.Node | None) -> Any:
    """The value of composed nodes.

    Raises:
        RefusedError: it is too deep.
        yaml.YAMLError: it holds something else than plain values.
    """
    try:
        return None if node is None else _Loader("").construct_document(node)
    except RecursionError:
        raise _refused(TOO_DEEP, None) from None


def kind(value: Any) -> str:
    """A value that isn't text, or what kind of value it is, in a few words."""
    match value:
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case set():
            return "a set"
        case str():
            return "text"
        case None | bool():
            return json.dumps(value)
        case int() if value.bit_length() > MAX_BITS:  # Python refuses to write out very long ones
            return "a number of more than 60 digits"
        case date():
            return value.isoformat()
        case _ if getattr(value, "ndim", 0) and hasattr(value, "columns"):
            return "a DataFrame"
        case _ if getattr(value, "ndim", 0):  # of numpy or PyTorch, and as large as it likes
            return "an array"
    return excerpt(repr(value))


def _refused(what: str, mark: Any) -> RefusedError:
    return RefusedError(problem=f"holds {what}", problem_mark=mark)
