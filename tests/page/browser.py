"""A browser that is driven, and pages to look at with it."""

from __future__ import annotations

import base64
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.page import tools
from tests.patience import PATIENCE, until

BIN = Path(sys.executable).parent

# What is in the picture: cards with their lines, and ways with what they lead from and to.
_PICTURE = """
const side = document.querySelectorAll('.side')[arguments[0]];
const text = (element) => [...element.querySelectorAll('text')].map((each) => each.textContent);
return {
  cards: Object.fromEntries([...side.querySelectorAll('.card')].map((each) => [each.dataset.id, text(each)])),
  on: [...side.querySelectorAll('.card.on')].map((each) => each.dataset.id),
  ways: [...side.querySelectorAll('.way')].map((each) =>
    [each.dataset.from, each.dataset.to, each.getAttribute('class').trim()]),
  seen: [...side.querySelectorAll('.verdict .big')].map((each) => each.textContent),
};
"""

# Cards that are over one another, and texts that stick out of theirs.
_FAULTS = """
const found = [];
if (document.documentElement.scrollWidth > innerWidth) found.push(`wide: ${document.documentElement.scrollWidth}`);
for (const svg of document.querySelectorAll('.picture svg')) {
  const cards = [...svg.querySelectorAll('.card')].map((each) => [each, each.querySelector('.body').getBoundingClientRect()]);
  cards.forEach(([card, box], index) => {
    for (const [other, its] of cards.slice(index + 1))
      if (box.left < its.right && its.left < box.right && box.top < its.bottom && its.top < box.bottom)
        found.push(`${card.dataset.id} over ${other.dataset.id}`);
    for (const text of card.querySelectorAll('text')) {
      const it = text.getBoundingClientRect();
      if (it.width && (it.left < box.left || it.right > box.right || it.top < box.top || it.bottom > box.bottom + 1))
        found.push(`${card.dataset.id}: ${text.textContent}`);
    }
  });
}
return found;
"""  # noqa: E501


class Browser:
    """Chromium without a window. Waits for what makes a thing true, never for a time."""

    def __init__(self, profile: Path) -> None:
        sys.path.append(str(tools.browser()))
        from selenium import webdriver

        self.downloads = profile / "downloads"
        self.downloads.mkdir(parents=True)
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for each in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars"):
            options.add_argument(f"--{each}")
        options.add_argument(f"--user-data-dir={profile}/profile")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(executable_path="/usr/bin/chromedriver")
        self.driver: Any = webdriver.Chrome(options=options, service=service)
        self.devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads))

    def close(self) -> None:
        self.driver.quit()

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, parameters)

    def open(self, link: str, width: int = 1280, height: int = 900, **media: str) -> None:
        """Another page, as somebody sees it who prefers `media` (color_scheme="dark")."""
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.size(width, height)
        features = [
            {"name": f"prefers-{key.replace('_', '-')}", "value": value} for key, value in media.items()
        ]
        self.devtools("Emulation.setEmulatedMedia", features=features)
        self.driver.get(link)

    def size(self, width: int, height: int = 900) -> None:
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def ask(self, script: str, *arguments: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def picture(self, side: int = 0) -> dict[str, Any]:
        shown = self.ask(f"return document.querySelectorAll('.side .picture svg').length > {side}")
        empty: dict[str, Any] = {"cards": {}, "on": [], "ways": [], "seen": []}
        return dict(self.ask(_PICTURE, side)) if shown else empty

    def seeing(self, *seen: str, side: int = 0) -> dict[str, Any]:
        """The picture, once it says that the server sees this."""
        return dict(until(lambda: self.picture(side), lambda found: set(found["seen"]) == set(seen)))

    def text(self, selector: str) -> str:
        """Of all elements that it selects."""
        script = (
            "return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent).join('\\n')"
        )
        return str(self.ask(script, selector))

    def until_text(self, selector: str, wanted: str) -> str:
        return str(until(lambda: self.text(selector), lambda text: re.search(wanted, text) is not None))

    def click(self, selector: str, text: str = "") -> None:
        """The first such element that has the text, once it is there."""
        script = """
        const found = [...document.querySelectorAll(arguments[0])].find((each) =>
          each.textContent.includes(arguments[1]) && !each.disabled);
        if (found) found.dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true}));
        return Boolean(found);
        """
        until(lambda: self.ask(script, selector, text), bool)

    def choose(self, selector: str, value: str) -> None:
        """An option of a `select`, once it is there."""
        script = """
        const list = document.querySelector(arguments[0]);
        if (![...(list?.options ?? [])].some((each) => each.value === arguments[1])) return false;
        list.value = arguments[1];
        list.dispatchEvent(new Event('change', {bubbles: true}));
        return true;
        """
        until(lambda: self.ask(script, selector, value), bool)

    def press(self, *keys: str) -> None:
        """Keys of the keyboard, by their names or what they write."""
        from selenium.webdriver import ActionChains, Keys

        for key in keys:
            ActionChains(self.driver).send_keys(getattr(Keys, key, key)).perform()

    def faults(self) -> list[str]:
        """What can't be read in the pictures."""
        return list(self.ask(_FAULTS))

    def errors(self) -> list[str]:
        """What the browser complained about since the page was opened."""
        return [each["message"] for each in self.driver.get_log("browser") if each["level"] == "SEVERE"]

    def collected(self) -> tuple[int, int]:
        """Elements, and bytes of the scripts' objects, without what nobody holds any more."""
        self.devtools("HeapProfiler.collectGarbage")
        self.devtools("Performance.enable")
        found = {each["name"]: each["value"] for each in self.devtools("Performance.getMetrics")["metrics"]}
        return int(found["Nodes"]), int(found["JSHeapUsedSize"])

    def screenshot(self, file: Path, height: int) -> None:
        """The upper part of the page, as WebP."""
        width = int(self.ask("return innerWidth"))
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        taken = self.devtools("Page.captureScreenshot", format="webp", quality=82, clip=clip)
        file.write_bytes(base64.b64decode(taken["data"]))


@contextmanager
def page(*options: str, directory: Path | None = None) -> Iterator[str]:
    """The link of a `wellhead page` that runs meanwhile, there. It ends quietly when it is interrupted."""
    command = [str(BIN / "wellhead"), "page", *options]
    with subprocess.Popen(
        command,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if found := re.search(r"http://\S+#token=\S+", line):
                    yield found[0]
                    break
            else:
                raise AssertionError(said)
        except BaseException:
            process.kill()
            raise
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in rest, rest


def of(link: str, **view: str) -> str:
    """The link to a view of this page."""
    from urllib.parse import urlencode

    return f"{link}&{urlencode(view)}"
