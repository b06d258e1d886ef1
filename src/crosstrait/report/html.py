"""Pages from templates: one file each, that needs no network, and no JavaScript to be read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from crosstrait.report import numbers


def render_template(name: str, *, page: Mapping[str, Any]) -> str:
    """Fill a template of ``report/templates``; every text is escaped, an absent one refused."""
    environment = Environment(
        loader=PackageLoader("crosstrait.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "fixed": numbers.fixed,
        "spread": numbers.spread,
        "share": numbers.share,
        "count": numbers.count,
        "duration": numbers.duration,
        "spaced": numbers.spaced,
        "significant": numbers.significant,
        "sortable": lambda value: repr(float(value)) if math.isfinite(value) else "",
        "is_number": math.isfinite,
    }
    environment.globals |= {
        "interval": numbers.interval_text,
        "digits_of": numbers.digits_of,
        "nan": math.nan,
    }
    return environment.get_template(name).render(page=page)
