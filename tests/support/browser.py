"""Debian's Chromium, driven through Playwright, and what a person would see with it."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright

ARGUMENTS = [
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE, DESKTOP = 375, 1280
PATIENCE_MS = 20_000  # a loaded machine paints late
SCREENSHOTS = Path(__file__).parents[2] / "artifacts" / "browser"


def chromium_path() -> str | None:
    """Return the browser of this machine; Playwright's own is never downloaded."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def start_chromium(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)


@dataclass
class Visit:
    """An open page, and what it asked for and complained of."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def screenshot(self, name: str) -> Path:
        """Keep what the whole page looks like."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path, full_page=True, animations="disabled")
        return path


@contextmanager
def visit(
    browser: Browser,
    path: Path,
    *,
    width: int = DESKTOP,
    theme: str = "light",
    javascript: bool = True,
) -> Iterator[Visit]:
    """Open a file; anything else that it asks for is refused, and noted."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
        java_script_enabled=javascript,
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(PATIENCE_MS)
    try:
        page = context.new_page()
        seen = Visit(page)
        own = path.resolve().as_uri()

        def ask(route: Any) -> None:
            route.continue_() if route.request.url == own else route.abort()

        page.route("**/*", ask)
        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                seen.complaints.append(message.text)
                if message.type in ("error", "warning")
                else None
            ),
        )
        page.goto(own)
        yield seen
    finally:
        context.close()


# Every piece of text that is painted: its words, colour, size and weight, and where it is.
_TEXTS = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    if (!node.textContent.trim() || parent.closest("script, style, title, desc")) { continue; }
    if (!parent.checkVisibility({ visibilityProperty: true })) { continue; }
    const style = getComputedStyle(parent), range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width < 1 || box.height < 1) { continue; }
      found.push({
        text: node.textContent.trim().slice(0, 60),
        colour: parent.namespaceURI.endsWith("svg") ? style.fill : style.color,
        size: parseFloat(style.fontSize), weight: parseInt(style.fontWeight),
        x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height,
      });
    }
  }
  return found;
}"""


def faint_texts(page: Page) -> list[str]:
    """Return the texts whose contrast is below WCAG 2.2 AA, as painted.

    The ground of a text is the median pixel of its place in a picture of the page without texts.
    """
    texts = page.evaluate(_TEXTS)
    style = page.add_style_tag(
        content="* { color: transparent !important; caret-color: transparent !important; }"
        "svg text { fill: transparent !important; }"
    )
    picture = page.screenshot(full_page=True, animations="disabled")
    style.evaluate("node => node.remove()")
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
    faint = []
    for text in texts:
        x, y = max(0, int(text["x"])), max(0, int(text["y"]))
        part = pixels[y : y + int(text["height"]) + 1, x : x + int(text["width"]) + 1]
        if part.size == 0:  # scrolled out of its box, and measured when it is the page that is wide
            continue
        ground = np.median(part.reshape(-1, 3), axis=0)
        large = text["size"] >= 24 or (text["size"] >= 18.66 and text["weight"] >= 700)
        found = contrast(_rgb(text["colour"]), ground)
        if found < (3.0 if large else 4.5):
            faint.append(f"{text['text']!r}: {found:.2f} ({text['colour']} on {ground})")
    return faint


def _rgb(colour: str) -> np.ndarray:
    """Return "rgb(27, 32, 39)" as numbers; a colour that lets the ground through is refused."""
    parts = colour[colour.index("(") + 1 : -1].split(",")
    assert len(parts) == 3, f"the colour {colour} is not opaque"
    return np.array([float(part) for part in parts])


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """Return the contrast ratio of WCAG 2.2, 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(rgb: np.ndarray) -> float:
    share = np.asarray(rgb, dtype=float) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
