"""What docstrings hold of reStructuredText, as Markdown: formulas and literal blocks."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_FORMULA = re.compile(r":math:`(?P<latex>[^`]+)`")
_ROLE = re.compile(r":(?:class|func|meth|mod|attr):`~?(?P<name>[^`]+)`")
_JOINT = re.compile(r"^(?P<names>\w+(?:, \w+)+)\n(?P<text>(?: +\S.*\n?|\n(?= ))+)", re.MULTILINE)
_LITERAL = re.compile(r"::$", re.MULTILINE)


class RestructuredText(Extension):
    """Griffe's extension that rewrites each docstring before it is parsed."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of one module, class, function or attribute."""
        if obj.docstring is None:
            return
        text = _FORMULA.sub(lambda match: rf"\({match['latex']}\)", obj.docstring.value)
        text = _ROLE.sub(r"`\g<name>`", text)
        obj.docstring.value = _JOINT.sub(_one_by_one, _LITERAL.sub(":", text))


def _one_by_one(match: re.Match[str]) -> str:
    """Give each of several parameters its own entry, and so its own type and default."""
    text = match["text"].rstrip("\n")
    entries = [f"{name}\n{text}\n" for name in match["names"].split(", ")]
    return "".join(entries) + match["text"][len(text) + 1 :]
