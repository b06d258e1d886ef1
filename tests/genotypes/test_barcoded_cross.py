"""The raw files of the 2022 cross: several files, probabilities, one matrix held once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from crosstrait.genotypes import read
from support.raw_cross import write_raw_cross


@pytest.mark.parametrize("zipped", [False, True])
def test_files_are_put_together_in_the_order_of_their_numbers(zipped: bool, tmp_path: Path) -> None:
    probability = np.random.default_rng(0).random((23, 6))
    write_raw_cross(tmp_path, probability, n_files=11, zipped=zipped)
    genotypes = read(tmp_path)
    assert genotypes.dosage.dtype == np.float16
    np.testing.assert_allclose(genotypes.dosage, probability, atol=5e-4)
    assert genotypes.sample_id.tolist() == [str(i) for i in range(23)]
    assert genotypes.variant_id.tolist() == [f"snp{j + 1}" for j in range(6)]
    assert genotypes.variant_contig.tolist() == ["chr01"] * 3 + ["chr02"] * 3
    assert genotypes.variant_allele[0].tolist() == ["A", "G"]


def test_one_of_the_files_can_be_read_alone(tmp_path: Path) -> None:
    write_raw_cross(tmp_path, np.full((10, 4), 0.5), n_files=2)
    assert read(tmp_path / "geno_data_2.txt").sample_id.tolist() == ["5", "6", "7", "8", "9"]


def test_reading_takes_little_more_memory_than_the_matrix(tmp_path: Path) -> None:
    n_samples, n_loci = 4000, 5000
    row = np.random.default_rng(0).random(n_loci)
    write_raw_cross(tmp_path, np.broadcast_to(row, (2, n_loci)), decimals=1)
    line = (tmp_path / "geno_data_1.txt").read_text().split("\n")[0].partition("\t")[2]
    with (tmp_path / "geno_data_1.txt").open("w") as file:
        for i in range(n_samples):
            file.write(f"{i}\t{line}\n")
    code = (
        "import json, resource, sys\n"
        "from crosstrait.genotypes import read\n"
        "read(sys.argv[1])\n"  # what the libraries take, before the peak is looked at
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "before = peak()\n"
        "dosage = read(sys.argv[2]).dosage\n"
        "print(json.dumps([dosage.shape, dosage.nbytes, peak() - before]))\n"
    )
    small = tmp_path / "small"
    write_raw_cross(small, np.full((400, 500), 0.5))
    done = subprocess.run(
        [sys.executable, "-c", code, small, tmp_path], capture_output=True, text=True, check=True
    )
    shape, size, peak = json.loads(done.stdout)
    assert shape == [n_samples, n_loci]
    assert size == 2 * n_samples * n_loci
    blocks = 24 << 20  # of a megabyte of text, and what parsing makes of them
    assert peak < 1.1 * size + blocks < 2 * size
