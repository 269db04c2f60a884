"""The page in a real browser: it draws, complains of nothing, and follows the theme and the width of the window."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kerasbert.reports import write_run_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
]
DARK, LIGHT = 0, 1

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome on this machine")


def browse(page: Path, profile: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={profile}", *flags, page.as_uri()]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=240, env={**os.environ, "HOME": str(profile)}
    )


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_the_page_is_drawn_without_an_error(run_dir, tmp_path, theme):
    from PIL import Image

    page, picture = write_run_report(run_dir), tmp_path / "page.png"
    flags = (f"--screenshot={picture}", "--window-size=1200,3000", f"--blink-settings=preferredColorScheme={theme}")
    done = browse(page, tmp_path / "profile", *flags)
    assert "CONSOLE" not in done.stderr
    assert picture.is_file(), done.stderr
    with Image.open(picture) as image:
        pixels = image.convert("RGB")
    assert pixels.size == (1200, 3000)
    background = sum(pixels.getpixel((3, 3))) / 3
    assert background > 230 if theme == LIGHT else background < 30
    blue = [(r, g, b) for _, (r, g, b) in pixels.getcolors(1 << 24) if b > r + 80]
    assert len(blue) > 100, "the curves and the matrix are there"


def test_an_error_would_be_found(tmp_path):
    """The control for the test above: a violation of the page's policy is logged."""
    page = tmp_path / "page.html"
    page.write_text("<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'\"><script>1</script>")
    done = browse(page, tmp_path / "profile", f"--screenshot={tmp_path / 'page.png'}")
    assert "CONSOLE" in done.stderr


def test_a_narrow_window_scrolls_only_within_its_figures(run_dir, tmp_path):
    page = write_run_report(run_dir)
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text(encoding="utf-8"))
    measure = "document.title = `${document.documentElement.scrollWidth} in ${window.innerWidth}`"
    page.write_text(text.replace("</body>", f"<script>{measure}</script></body>"), encoding="utf-8")
    done = browse(page, tmp_path / "profile", "--dump-dom", "--window-size=420,900")
    title = re.search(r"<title>(\d+) in (\d+)</title>", done.stdout)
    assert title, done.stderr
    assert int(title[2]) <= 520
    assert int(title[1]) <= int(title[2])
