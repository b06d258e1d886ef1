"""Panel and splits as plain arrays and texts, for a machine that shares no disk with this one."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from crosstrait.panel.schema import Panel

_HEADER = "header.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class Parcel:
    """The variables of a panel, without what xarray knows about them.

    Attributes
    ----------
    arrays
        The values of each variable by name; none holds Python objects.
    dims
        The names of its dimensions.
    attrs
        Of the panel; numbers and texts.
    """

    arrays: Mapping[str, NDArray[Any]]
    dims: Mapping[str, tuple[str, ...]]
    attrs: Mapping[str, Any]


def pack(panel: Panel) -> Parcel:
    """Return the arrays of ``panel``, not copied."""
    return Parcel(
        arrays={str(name): np.asarray(v.values) for name, v in panel.variables.items()},
        dims={str(name): tuple(map(str, v.dims)) for name, v in panel.variables.items()},
        attrs={
            str(name): value.item() if isinstance(value, np.generic) else value
            for name, value in panel.attrs.items()
        },
    )


def unpack(parcel: Parcel) -> Panel:
    """Return the panel, which shares the arrays of ``parcel``."""
    variables = {name: (parcel.dims[name], values) for name, values in parcel.arrays.items()}
    return xr.Dataset(variables, attrs=dict(parcel.attrs))


def to_bytes(parcel: Parcel) -> bytes:
    """Return ``parcel`` as one file in numpy's npz format, without pickles."""
    header = json.dumps({"dims": parcel.dims, "attrs": parcel.attrs})
    written = io.BytesIO()
    named: dict[str, Any] = {**parcel.arrays, _HEADER: np.array(header)}
    np.savez(written, allow_pickle=False, **named)
    return written.getvalue()


def from_bytes(content: bytes) -> Parcel:
    """Return what `to_bytes` was given, with read-only arrays."""
    with np.load(io.BytesIO(content), allow_pickle=False) as opened:
        header = json.loads(str(opened[_HEADER]))
        arrays = {name: opened[name] for name in header["dims"]}
    for values in arrays.values():
        values.flags.writeable = False
    dims = {name: tuple(names) for name, names in header["dims"].items()}
    return Parcel(arrays=arrays, dims=dims, attrs=header["attrs"])
