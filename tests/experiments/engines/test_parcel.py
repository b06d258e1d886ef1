from __future__ import annotations

import numpy as np
import xarray as xr

from crosstrait.experiments.engines.parcel import from_bytes, pack, to_bytes, unpack
from crosstrait.panel.simulate import SimulationConfig, simulate


def test_a_panel_comes_out_of_a_parcel_as_it_went_in() -> None:
    panel, _ = simulate(SimulationConfig(n_samples=12, n_loci=6, n_traits=2, n_causal=2))
    for parcel in (pack(panel), from_bytes(to_bytes(pack(panel)))):
        there = unpack(parcel)
        xr.testing.assert_identical(there, panel)
        assert {n: v.dtype for n, v in there.variables.items()} == {
            n: v.dtype for n, v in panel.variables.items()
        }


def test_a_parcel_shares_the_genotypes_of_its_panel() -> None:
    panel, _ = simulate(SimulationConfig(n_samples=12, n_loci=6, n_traits=2, n_causal=2))
    assert np.shares_memory(unpack(pack(panel))["call_dosage"].values, panel["call_dosage"].values)
