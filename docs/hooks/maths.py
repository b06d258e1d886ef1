"""Formulas as MathML, made when the site is built: no script and no font is needed to read them."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\(?P<open>[(\[])(?P<latex>.*?)\\[)\]]</(?P=tag)>',
    re.DOTALL,
)


def on_page_content(content: str, *, page: Any, **_: Any) -> str:
    """Replace the formulas that `pymdownx.arithmatex` marked."""

    def to_mathml(match: re.Match[str]) -> str:
        latex = html.unescape(match["latex"]).strip()
        display = "block" if match["open"] == "[" else "inline"
        try:
            mathml = convert(latex, display=display)
        except Exception as error:
            raise PluginError(f"{page.file.src_uri}: cannot set {latex!r}: {error}") from error
        return f"<{match['tag']} class='formula'>{mathml}</{match['tag']}>"

    return _FORMULA.sub(to_mathml, content)
