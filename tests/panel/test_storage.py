"""A saved panel comes back the same, or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from crosstrait.errors import DataError, StorageError
from crosstrait.panel import Panel, from_arrays, open_panel, save_panel


def panel(
    *, n_samples: int = 12, n_loci: int = 5, seed: int = 0, width: type = np.float32
) -> Panel:
    rng = np.random.default_rng(seed)
    dosage = rng.uniform(0, 2, (n_samples, n_loci)).astype(width)
    dosage[0, 0] = np.nan
    value = rng.normal(size=(n_samples, 2))
    value[1, 1] = np.nan
    return from_arrays(
        dosage,
        trait_value=value,
        trait_names=["höhe", "yield"],
        ploidy=2,
        sample_id=[f"sämple {i}" for i in range(n_samples)],
        variant_contig=[f"chr{j}" for j in range(n_loci)],
        variant_position=np.arange(n_loci) * 10,
        variant_allele=[["A", "GTT"]] * n_loci,
        trait_se=np.abs(value) / 10,
        sample_group=["f1", "f2"] * (n_samples // 2),
        sample_split=["train", "test"] * (n_samples // 2),
        source="here",
    )


@pytest.mark.parametrize("width", [np.float16, np.float32])
def test_everything_comes_back(width: type, tmp_path: Path) -> None:
    saved = panel(width=width)
    save_panel(saved, tmp_path / "new" / "p.zarr")
    opened = open_panel(tmp_path / "new" / "p.zarr")
    assert opened.identical(saved)
    assert opened["call_dosage"].dtype == width
    assert {str(opened[name].dtype.kind) for name in opened.variables} == {"f", "U", "i"}
    with pytest.raises(ValueError, match="read-only"):
        opened["call_dosage"].values[0, 0] = 1


def test_many_chunks_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crosstrait.panel import storage

    monkeypatch.setattr(storage, "_CHUNK_CELLS", 37)
    saved = panel(n_samples=100, n_loci=9)
    save_panel(saved, tmp_path / "p.zarr")
    assert len(list((tmp_path / "p.zarr" / "call_dosage" / "c").iterdir())) == 25
    assert open_panel(tmp_path / "p.zarr").identical(saved)


def test_xarray_opens_a_saved_panel_without_crosstrait(tmp_path: Path) -> None:
    saved = panel()
    save_panel(saved, tmp_path / "p.zarr")
    with xr.open_zarr(tmp_path / "p.zarr", consolidated=False) as opened:
        assert opened.identical(saved)


def test_nothing_in_a_saved_panel_is_a_pickle(tmp_path: Path) -> None:
    save_panel(panel(), tmp_path / "p.zarr")
    metadata = [path.read_text() for path in (tmp_path / "p.zarr").rglob("zarr.json")]
    assert len(metadata) == 12
    assert not any("pickle" in text or "object" in text for text in metadata)


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_any_damage_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    whole = tmp_path_factory.getbasetemp() / "whole.zarr"
    if not whole.exists():
        save_panel(panel(), whole)
    folder = tmp_path_factory.mktemp("damage") / "p.zarr"
    shutil.copytree(whole, folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    victim = data.draw(st.sampled_from(files))
    content = bytearray(victim.read_bytes())
    if data.draw(st.booleans()):
        victim.unlink()
    elif data.draw(st.booleans()):
        victim.write_bytes(content[: len(content) // 2])
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= 0x01
        victim.write_bytes(content)
    try:
        opened = open_panel(folder)
    except DataError:
        return
    # What passes has lost no content, only perhaps a letter of the name of its source.
    assert opened.drop_attrs().identical(panel().drop_attrs())


def test_a_changed_value_is_told_by_the_digest(tmp_path: Path) -> None:
    import zarr

    save_panel(panel(), tmp_path / "p.zarr")
    zarr.open_group(tmp_path / "p.zarr")["trait_value"][3, 0] = 0.5
    with pytest.raises(DataError, match="has changed since it was saved: its digest was"):
        open_panel(tmp_path / "p.zarr")


def test_a_later_schema_is_refused_by_its_version(tmp_path: Path) -> None:
    path = tmp_path / "p.zarr"
    save_panel(panel(), path)
    metadata = (path / "zarr.json").read_text()
    assert '"schema_version": 1' in metadata
    (path / "zarr.json").write_text(metadata.replace('"schema_version": 1', '"schema_version": 9'))
    with pytest.raises(DataError, match="schema version 9; this crosstrait reads version 1"):
        open_panel(path)


@pytest.mark.parametrize("content", [None, "", "{", '{"zarr_format": 3, "node_type": "group"}'])
def test_a_folder_that_is_no_panel_is_refused(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "p.zarr"
    path.mkdir()
    if content is not None:
        (path / "zarr.json").write_text(content)
    with pytest.raises(DataError, match=r"p\.zarr is (not a whole saved panel|a panel of schema)"):
        open_panel(path)


def test_a_saved_panel_is_not_overwritten(tmp_path: Path) -> None:
    save_panel(panel(), tmp_path / "p.zarr")
    with pytest.raises(StorageError, match="is there already"):
        save_panel(panel(seed=1), tmp_path / "p.zarr")
    assert open_panel(tmp_path / "p.zarr").identical(panel())


def test_a_killed_save_leaves_no_panel_of_that_name(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from crosstrait.panel import from_arrays, save_panel\n"
        "rng = np.random.default_rng(0)\n"
        "panel = from_arrays(rng.random((4000, 2000)), trait_value=rng.random((4000, 1)),\n"
        "                    trait_names=['t'])\n"
        "print('saving', flush=True)\n"
        "while True:\n"
        "    for i in range(1000): save_panel(panel, f'{sys.argv[1]}/{i}.zarr')\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == "saving\n"
        while not list(tmp_path.glob(".*.partial")):
            time.sleep(0.001)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    whole = list(tmp_path.glob("[0-9]*.zarr"))
    assert list(tmp_path.glob(".*.partial")) or whole
    for path in whole:
        open_panel(path)  # its digest is checked
