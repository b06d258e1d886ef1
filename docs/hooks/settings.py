"""Tables of settings, made from the config classes when the site is built.

A line ``::: settings package.module.Config`` of a page becomes a table of names, what they take,
defaults, what ``--tune`` searches and what they mean, which is the class's own docstring.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping
from typing import Any, get_args

from griffe import Docstring, DocstringSectionAttributes
from mkdocs.exceptions import PluginError
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from crosstrait.models.search_space import Choice, Range

_DIRECTIVE = re.compile(r"^::: settings (?P<path>[\w.]+)$", re.MULTILINE)
_LIMITS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}"}
_NAMES = {int: "whole number", float: "number", bool: "true or false", str: "text"}


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Put the tables where a page asks for them."""

    def table(match: re.Match[str]) -> str:
        module, _, name = match["path"].rpartition(".")
        try:
            config = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise PluginError(f"{page.file.src_uri}: no settings at {match['path']}") from error
        return _table(config, where=page.file.src_uri)

    return _DIRECTIVE.sub(table, markdown)


def _table(config: Any, *, where: str) -> str:
    fields = {name: field for name, field in config.model_fields.items() if name != "type"}
    if not fields:
        return "It has no settings."
    meanings = _meanings(config)
    for name in set(fields) - set(meanings):  # some are told of where another is explained
        teller = next((other for other, text in meanings.items() if f"`{name}`" in text), None)
        if teller is not None:
            meanings[name] = f"see `{teller}`"
    absent = sorted(set(fields) - set(meanings))
    if absent:
        raise PluginError(f"{where}: {config.__name__} does not say what {absent} mean")
    searched = getattr(config, "search_space", {})
    heading = ["setting", "takes", "default", *(["searched by `--tune`"] if searched else [])]
    rows = [
        [
            f"`{name}`",
            _takes(field),
            _default(field),
            *([_range(searched.get(name))] if searched else []),
            meanings[name],
        ]
        for name, field in fields.items()
    ]
    lines = [[*heading, "meaning"], ["---"] * (len(heading) + 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _meanings(config: Any) -> dict[str, str]:
    """Return what the docstrings of a config and of those it extends say of each setting."""
    found: dict[str, str] = {}
    for kind in reversed(config.__mro__):
        sections = Docstring(inspect.cleandoc(kind.__doc__ or "")).parse("numpy")
        for section in sections:
            if isinstance(section, DocstringSectionAttributes):
                for attribute in section.value:
                    text = " ".join(attribute.description.split())
                    text = text.replace("``", "`").replace("|", r"\|")
                    names = attribute.name.split(", ")
                    own = text.split("; ")  # "a, b" are often explained one after the other
                    texts = own if len(own) == len(names) > 2 else [text] * len(names)
                    found |= {n: t[0].upper() + t[1:] for n, t in zip(names, texts, strict=True)}
    return found


def _takes(field: FieldInfo) -> str:
    choices = [choice for part in _parts(field.annotation) for choice in get_args(part)]
    if "Literal" in str(field.annotation):
        return ", ".join(f"`{choice!r}`" for choice in choices if isinstance(choice, str)).replace(
            "'", '"'
        )
    kinds = [_kind(part) for part in _parts(field.annotation) if part is not type(None)]
    kind = " or ".join(dict.fromkeys(kinds))
    limits = [
        shown.format(f"{getattr(limit, name):g}").replace(" ", "&nbsp;")
        for limit in field.metadata
        for name, shown in _LIMITS.items()
        if kind != "list" and getattr(limit, name, None) is not None
    ]
    return " ".join([kind, ", ".join(limits)]).strip()


def _kind(part: Any) -> str:
    if part in _NAMES:
        return _NAMES[part]
    if hasattr(part, "model_fields") or "dict" in str(part) or "Mapping" in str(part):
        return "table"
    return "path" if "Path" in str(part) else "list"


def _parts(annotation: Any) -> tuple[Any, ...]:
    is_union = "|" in str(annotation) or "Union" in str(annotation)
    return get_args(annotation) if is_union else (annotation,)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "-"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(str(getattr(item, 'type', item)) for item in value)}]`"
    if isinstance(value, Mapping):
        return "empty"
    if isinstance(value, BaseModel):
        return "its defaults"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value:g}`"


def _range(searched: Range | None) -> str:
    if searched is None:
        return ""
    if isinstance(searched, Choice):
        return ", ".join(str(value) for value in searched.values)
    return f"{searched.low:g} to {searched.high:g}{', log' if searched.log else ''}"
