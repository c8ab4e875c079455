"""YAML in which nothing is read otherwise than it looks.

YAML 1.1 reads ``010`` as 8 and ``1:30`` as 90, and of a key that stands there twice only the last
counts (https://yaml.org/type/int.html). All of that is refused, with its line. YAML 1.1 reads
``off`` as false (https://yaml.org/type/bool.html); here it is the word.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from pizarra.errors import BadInput
from pizarra.model.sentence import N_, Sentence

_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII)
# PyYAML lets the errors of what it builds through: `!!bool x`, `!!timestamp x`, `!!int ''`
_NO_YAML = (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError, TypeError)


class _Loader(yaml.SafeLoader):
    """PyYAML's loader of plain values, without what YAML 1.1 reads in a way of its own."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        known: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                if key.value in known:
                    why = Sentence("{text!r} stands there twice", text=key.value)
                    raise self._refusal(key, why, N_("Leave one of the two lines."))
                known.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_decimal(self, node: yaml.ScalarNode) -> int:
        text = str(self.construct_scalar(node))
        if not _DECIMAL.fullmatch(text):
            why = Sentence("{text!r} would be read as another number than it looks", text=text)
            raise self._refusal(
                node, why, N_("Write its digits only, without a 0 in front: 12 or 90.")
            )
        return int(text)

    def _refusal(self, node: yaml.Node, why: str, hint: str) -> BadInput:
        line = node.start_mark.line + 1
        return BadInput("{path}, line {line}: {why}.", hint, path=self.name, line=line, why=why)


_BOOL = "tag:yaml.org,2002:bool"
# `off` and `on` are words of policies, as in YAML 1.2: `after_reset: off` is no boolean
_Loader.yaml_implicit_resolvers = {
    first: [one for one in known if one[0] != _BOOL]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    _BOOL,
    re.compile(r"(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE)\Z"),
    list("yYnNtTfF"),
)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_decimal)


def load_yaml(text: str, path: str) -> object:
    """The value that a text holds; ``path`` is what errors call the text. Raises BadInput."""
    try:
        loader = _Loader(text)
        loader.name = path
        return loader.get_single_data()
    except _NO_YAML as error:
        why = " ".join(str(error).split())
        raise BadInput("{path} is no YAML: {why}", path=path, why=why) from None
