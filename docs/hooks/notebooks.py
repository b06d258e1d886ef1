"""Notebooks as pages of the site, with the outputs that they are stored with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

_TABLE_STYLE = re.compile(r"<style scoped>.*?</style>", re.DOTALL)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\.ipynb\)")


def on_files(files: Files, *, config: Any, **_: Any) -> None:
    """Add a page, and its pictures, for each notebook; nothing is executed."""
    folder = Path(config["docs_dir"])
    for notebook in sorted(folder.rglob("*.ipynb")):
        page = notebook.relative_to(folder).with_suffix(".md")
        pictures = f"{page.stem}_files"
        text, resources = MarkdownExporter().from_filename(
            str(notebook), resources={"output_files_dir": pictures}
        )
        text = _TABLE_STYLE.sub("", text).replace('<table border="1" class="dataframe">', "<table>")
        files.append(File.generated(config, page.as_posix(), content=text))
        for name, data in resources["outputs"].items():
            files.append(File.generated(config, (page.parent / name).as_posix(), content=data))


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lead links to a notebook, which work where the files are read as they are, to its page."""
    return _LINK.sub(r"](\g<target>.md)", markdown)
