"""The published split of the 2022 cross."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crosstrait.genotypes import read


@pytest.mark.parametrize("validation", ["val", "valid", "validation"])
def test_parts_follow_each_other_as_dosages(validation: str, tmp_path: Path) -> None:
    np.save(tmp_path / "geno_train.npy", np.array([[-1.0, 1.0], [0.0, np.nan]]))
    np.save(tmp_path / f"geno_{validation}.npy", np.array([[0.5, -0.5]], dtype=np.float32))
    np.save(tmp_path / "geno_test.npy", np.array([[1, 1]], dtype=np.int8))
    genotypes = read(tmp_path)
    np.testing.assert_array_equal(
        genotypes.dosage, np.float32([[0, 1], [0.5, np.nan], [0.75, 0.25], [1, 1]])
    )
    assert genotypes.sample_id.tolist() == ["train_0", "train_1", "validation_0", "test_0"]
    assert genotypes.variant_id.tolist() == ["locus_0", "locus_1"]


def test_one_part_can_be_read_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "geno_train.npy", np.zeros((2, 3)))
    np.save(tmp_path / "geno_test.npy", np.ones((1, 3)))
    assert read(tmp_path / "geno_test.npy").sample_id.tolist() == ["test_0"]


def test_many_rows_cross_the_blocks_unharmed(tmp_path: Path) -> None:
    coded = np.random.default_rng(0).uniform(-1, 1, (9000, 2)).astype(np.float32)
    np.save(tmp_path / "geno_train.npy", coded)
    np.testing.assert_array_equal(read(tmp_path).dosage, (coded + 1) / 2)
