"""`wellhead page` in a browser, with 50 nodes and 2,000 pods: the first picture, and frames while it changes.

The browser draws without a graphics processor here, by the machine's own: what it takes elsewhere is less.
"""

from __future__ import annotations

import statistics
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bench.measure import Result, median
from tests.page import objects
from tests.page.browser import Browser, of, page
from tests.patience import until

_NODES, _PODS = 50, 2000
_OPENED, _FRAMES = 5, 240

_PICTURE = "return performance.getEntriesByName('picture')[0]?.startTime ?? 0"
# Another way is looked at ten times a second meanwhile; each is drawn anew.
_RUN = """
const [frames, done] = [arguments[0], arguments[1]];
const times = [];
let way = 0;
const timer = setInterval(() => {
  const buttons = document.querySelectorAll('.outcomes button');
  buttons[way++ % buttons.length].click();
}, 100);
const tick = (time) => {
  times.push(time);
  if (times.length <= frames) requestAnimationFrame(tick);
  else { clearInterval(timer); done(times); }
};
requestAnimationFrame(tick);
"""


def measure() -> list[Result]:
    """Takes half a minute; nothing where there is no browser."""
    try:
        with TemporaryDirectory() as directory:
            return _measured(Path(directory))
    except pytest.skip.Exception as missing:
        print(f"the page: {missing.msg}")
        return []


def _measured(directory: Path) -> list[Result]:
    cluster = objects.many_nodes(_NODES, 10)
    cluster += [
        objects.pod(
            "other", f"pod-{i}", f"node-{i % _NODES + 1}", f"10.244.{i % _NODES + 1}.{i // _NODES + 3}", {}
        )
        for i in range(_PODS - 10)
    ]
    browser = Browser(directory)
    try:
        with page("-f", str(objects.write(directory, cluster))) as link:
            first = []
            for _ in range(_OPENED):
                browser.open(link)
                first.append(float(until(lambda: browser.ask(_PICTURE))))
            folded = _frames(browser)
            browser.open(of(link, open="fold/without-endpoints") + "&open=fold/with-endpoints", height=1400)
            until(lambda: len(browser.picture()["cards"]) > _NODES)
            before = _busy(browser)
            opened = _frames(browser)
            busy = 1000 * (_busy(browser) - before) / _FRAMES
            _, size = browser.collected()
    finally:
        browser.close()
    with_what = f"{_NODES} nodes, {_PODS} pods"
    changing = "another way is looked at ten times a second; no graphics processor"
    return [
        median("Page: first picture after it is opened", first, "ms", with_what),
        Result("Page: frames a second, nodes folded", *folded, changing),
        Result("Page: frames a second, all nodes open", *opened, changing),
        Result("Page: its work for a frame, all nodes open", busy, "ms", "time of the main thread, of 16.7"),
        Result("Page: its scripts' memory", size / 1e6, "MB", with_what),
    ]


def _frames(browser: Browser) -> tuple[float, str]:
    browser.driver.set_script_timeout(120)
    times = browser.driver.execute_async_script(_RUN, _FRAMES)
    return 1000 / statistics.mean(b - a for a, b in pairwise(times)), "/s"


def _busy(browser: Browser) -> float:
    """Seconds that the page has worked for."""
    browser.devtools("Performance.enable")
    metrics = browser.devtools("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))


if __name__ == "__main__":
    for each in measure():
        print(f"{each.name}: {each.value:.4g} {each.unit} ({each.method})")
