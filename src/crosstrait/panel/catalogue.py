"""The public data sets: who made them, where they are, what they must hash to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crosstrait.panel.checksum import Checksum


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """One file of a data set.

    Attributes
    ----------
    name
        Its name in the data set's folder. The user's own copy may be compressed where this one
        is not, and the other way round.
    what
        What it holds.
    url
        A public address of the file, fixed to one version.
    sha256
        SHA-256 of its content, decompressed.
    n_bytes
        Size of that content.
    needed
        Whether the panel is made of it; other files serve for comparison.
    """

    name: str
    what: str
    url: str
    sha256: str
    n_bytes: int
    needed: bool = True

    def find(self, folder: Path) -> Path | None:
        """Return where the file is in ``folder``, compressed or not, if it is there."""
        plain = self.name.removesuffix(".gz")
        names = (self.name, plain, f"{plain}.gz")
        return next((folder / name for name in names if (folder / name).is_file()), None)

    def checksum(self, name: str) -> Checksum:
        """Return what a copy called ``name`` must hash to."""
        return Checksum("sha256", self.sha256, self.n_bytes if name.endswith(".gz") else None)


@dataclass(frozen=True, kw_only=True)
class RecordArchive:
    """A zip archive in a Zenodo record, which itself says what the archive must hash to.

    Attributes
    ----------
    record
        Address of the record's metadata: JSON with ``files``, each with ``key``, ``checksum``
        (``md5:<hex>``) and ``links.self``.
    key
        Name of the archive in the record.
    holding
        The files that make the data set.
    max_bytes
        The most that the archive may unpack to.
    """

    record: str
    key: str
    holding: tuple[str, ...]
    max_bytes: int


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A public data set that can be named instead of a path.

    Attributes
    ----------
    name, title
        How to call it, and what it is.
    citation, doi
        The article to cite.
    licence
        What its makers allow, as far as that is stated.
    home
        Where its makers publish it, for those who fetch it by hand.
    n_samples, n_loci, n_traits
        What the panel holds.
    files
        Its files, each at its own address; or
    archive
        its files in one archive.
    """

    name: str
    title: str
    citation: str
    doi: str
    licence: str
    home: str
    n_samples: int
    n_loci: int
    n_traits: int
    files: tuple[DataFile, ...] = ()
    archive: RecordArchive | None = None

    @property
    def needed(self) -> tuple[str, ...]:
        """The names of the files that the panel is made of."""
        if self.archive is not None:
            return self.archive.holding
        return tuple(file.name for file in self.files if file.needed)

    def missing_from(self, folder: Path) -> list[str]:
        """Return the names of the needed files that ``folder`` lacks."""
        if self.archive is not None:
            return [name for name in self.needed if not (folder / name).is_file()]
        return [file.name for file in self.files if file.needed and file.find(folder) is None]


_YEAST_FILES = "https://raw.githubusercontent.com/Arcadia-Science/2025-g-p-atlas"
_EPIK_FILES = "https://raw.githubusercontent.com/cmarti/epik_analyses"

_BLOOM = (
    'Bloom et al. 2013, "Finding the sources of missing heritability in a yeast cross", '
    "Nature 494:234-237"
)
_NGUYEN_BA = (
    'Nguyen Ba et al. 2022, "Barcoded bulk QTL mapping reveals highly polygenic and epistatic '
    'architecture of complex traits in yeast", eLife 11:e73983'
)

CATALOGUE: tuple[Dataset, ...] = (
    Dataset(
        name="byxrm",
        title="The BY x RM yeast cross of 2013",
        citation=_BLOOM,
        doi="10.1038/nature11867",
        licence="none stated with the files, which were published with the article: cite it",
        home="http://genomics-pubs.princeton.edu/YeastCross_BYxRM/",
        n_samples=1008,
        n_loci=11_623,
        n_traits=46,
        files=(
            DataFile(
                name="BYxRM_GenoData.txt.gz",
                what="calls B or R of 1,008 segregants at 11,623 loci",
                url=f"{_YEAST_FILES}/c1d52ba79b8202104ac5430e03a2f1a578343e39"
                "/data/yeast_data/orig_data/BYxRM_GenoData.txt.gz",
                sha256="b1bd3528c9e4c9d9d5a0371ca2b96d0a68cb0e944233661b6acdc510d54f878c",
                n_bytes=23_729_508,
            ),
            DataFile(
                name="BYxRM_PhenoData.txt.gz",
                what="46 growth traits, with missing cells",
                url=f"{_YEAST_FILES}/a27e2943018daa5d5bfa51e9091401bc614afd1a"
                "/data/yeast_data/orig_data/BYxRM_PhenoData.txt.gz",
                sha256="f2147bdabf1c2009e0e5c21584fd74184a267ad306fb6522a51bc81b24497f3b",
                n_bytes=797_659,
            ),
            DataFile(
                name="BYxRM_linkage.csv",
                what="the 591 QTL that the article reports",
                url=f"{_YEAST_FILES}/2c79ebeacf3c2afd1bcd17a7c1e19de93a5fe290"
                "/results/yeast_data/41586_2013_BFnature11867_MOESM88_ESM_yeat_linkage_data.csv",
                sha256="3d28f7aff73c9df9222a5728bc02b03464aed26539c2941157dc45548d49bf8e",
                n_bytes=457_698,
                needed=False,
            ),
        ),
    ),
    Dataset(
        name="bbq_li",
        title="The barcoded yeast cross of 2022: growth in lithium, at its 83 QTL",
        citation=(
            f"{_NGUYEN_BA}; the subset of the best genotyped segregants is that of Zhou, "
            "Marti-Gomez, Petti and McCandlish 2025, bioRxiv 10.1101/2025.08.15.670613"
        ),
        doi="10.7554/eLife.73983",
        licence=(
            "measurements: CC0 1.0 (Dryad, doi 10.5061/dryad.1rn8pk0vd); none stated with the "
            "subset's files: cite both articles"
        ),
        home="https://github.com/cmarti/epik_analyses",
        n_samples=19_833,
        n_loci=83,
        n_traits=1,
        files=(
            DataFile(
                name="qtls_li_hq.csv",
                what="a word of 83 letters A or B, fitness and its standard error, a segregant",
                url=f"{_EPIK_FILES}/0047671380835308e806de796771e380f8b426ad/data/qtls_li_hq.csv",
                sha256="5766d9bc6f66c61db9b3dc44b76fda2b487589682204c1743f7c46b973b61b2c",
                n_bytes=2_435_104,
            ),
            DataFile(
                name="qtls_li_hq_loci.csv",
                what="chromosome, position, alleles and gene of each letter",
                url=f"{_EPIK_FILES}/7c3cce41cbfb226f4c71c8003a67e7b43e689609"
                "/results/qtls_li_hq_annotations.csv",
                sha256="eeeb8fd6a30c210ae329ebbdd5c5b5fd265a31e48e4f057858c26fcd1c701c9c",
                n_bytes=9_450,
            ),
            DataFile(
                name="epik_published_cv_curves.csv",
                what="the published test R2 of four Gaussian processes, by training fraction",
                url=f"{_EPIK_FILES}/7c3cce41cbfb226f4c71c8003a67e7b43e689609"
                "/results/qtls_li_hq.cv_curves.csv",
                sha256="1d97b5490765c4ec1f6ee60b5d3885cea077ce7e709003bc709c072875faae43",
                n_bytes=24_082,
                needed=False,
            ),
        ),
    ),
    Dataset(
        name="bbq_18",
        title="The barcoded yeast cross of 2022: 18 environments, at 1,164 unlinked loci, split",
        citation=(
            f"{_NGUYEN_BA}; the split is that of Rijal et al. 2025, arXiv 2504.10388, as remade "
            "in Zenodo record 15313069"
        ),
        doi="10.5281/zenodo.15313069",
        licence=(
            "measurements: CC0 1.0 (Dryad, doi 10.5061/dryad.1rn8pk0vd); for the split see the "
            "Zenodo record"
        ),
        home="https://zenodo.org/records/15313069",
        n_samples=99_950,
        n_loci=1_164,
        n_traits=18,
        archive=RecordArchive(
            record="https://zenodo.org/api/records/15313069",
            key="datasets.zip",
            holding=tuple(
                f"{kind}_{part}.npy"
                for part in ("train", "val", "test")
                for kind in ("geno", "pheno")
            ),
            max_bytes=4 << 30,
        ),
    ),
)
