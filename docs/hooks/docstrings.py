"""What docstrings hold of reStructuredText, as Markdown: formulas and literal blocks."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

_FORMULA = re.compile(r":math:`(?P<latex>[^`]+)`")
_ROLE = re.compile(r":(?:class|func|meth|mod|attr):`~?(?P<name>[^`]+)`")
_LITERAL = re.compile(r"::$", re.MULTILINE)


class RestructuredText(Extension):
    """Griffe's extension that rewrites each docstring before it is parsed."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of one module, class, function or attribute."""
        if obj.docstring is None:
            return
        text = _FORMULA.sub(lambda match: rf"\({match['latex']}\)", obj.docstring.value)
        text = _ROLE.sub(r"`\g<name>`", text)
        obj.docstring.value = _LITERAL.sub(":", text)
