"""Make the pictures of the page in the browser: `python docs/images/make_app.py`. Needs gfpup[app,dev] and Chromium.

They show examples/photos restored by `classical`, which needs no weights, in a window of 1280 px and on a phone.
"""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.sync_api import sync_playwright

HERE: Final = Path(__file__).resolve().parent
PHOTOS: Final = HERE.parents[1] / "examples" / "photos"
FLAGS: Final = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
FREE: Final = ["--detector", "cascade", "--background", "none"]
PATIENCE_MS: Final = 120_000


def main() -> None:
    """Restore, compare, and write both pictures."""
    with tempfile.TemporaryDirectory() as root:
        runs = Path(root) / "runs"
        gfpup = [sys.executable, "-m", "gfpup"]
        methods = ["-m", "--backend", "identity,classical", "--metrics", "ssim", "--no-report", "--tracking", "none", "--quiet"]
        subprocess.run([*gfpup, "run", "--input", str(PHOTOS), *methods, *FREE, "--output", str(runs)], check=True)
        command = [*gfpup, "app", "--no-browser", "--folder", f"{root}/page", "--open", str(runs), "--", *FREE]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as page:
            assert page.stderr is not None
            address = page.stderr.readline().split(" is at ")[1].split()[0]
            try:
                with sync_playwright() as driver:
                    program = shutil.which("chromium") or shutil.which("chromium-browser")
                    browser = driver.chromium.launch(executable_path=program, args=FLAGS)
                    restore(browser, address)
                    compare(browser, address, runs)
                    browser.close()
            finally:
                page.send_signal(signal.SIGINT)


def opened(browser: Any, address: str, width: int, height: int) -> Any:
    """The page in a new window."""
    page = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce").new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address)
    page.wait_for_selector("#restore")
    return page


def restore(browser: Any, address: str) -> None:
    """Two photos dropped, one restored, before and after."""
    page = opened(browser, address, 1280, 1780)
    page.set_input_files("#drop input[type=file]", sorted(map(str, PHOTOS.glob("*.jpg")))[:2])
    page.wait_for_selector("#photo img")
    page.locator("#method input[value=classical]").check()
    page.locator("#restore").click()
    page.locator("#slider img").last.wait_for()
    page.wait_for_timeout(1500)
    save(page.screenshot(), "app_restore.webp")


def compare(browser: Any, address: str, runs: Path) -> None:
    """A sweep on a phone."""
    page = opened(browser, address, 390, 1240)
    page.get_by_role("tab", name="Compare").click()
    page.locator("#folders textarea").fill(str(runs))
    page.locator("#open").click()
    page.wait_for_selector("#grid img")
    # The folder is a temporary one of this machine.
    page.evaluate("document.querySelector('#folders textarea').value = 'runs/'")
    hints = "for (const it of document.querySelectorAll('.hint p')) it.textContent = it.textContent.replace(/\\/\\S+/, 'runs/')"
    page.evaluate(hints)
    page.wait_for_timeout(1500)
    save(page.screenshot(), "app_compare.webp")


def save(png: bytes, name: str) -> None:
    """Write a screenshot as a small WebP."""
    Image.open(io.BytesIO(png)).convert("RGB").save(HERE / name, quality=72, method=6)


if __name__ == "__main__":
    main()
