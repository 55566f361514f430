"""Takes the pictures of docs/page/ anew, as root: `python -m tests.page.screenshots`."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from tests.cluster.lab import CLIENT, EXTERNAL_IP, INTERNAL_IP
from tests.page import objects, tools
from tests.page.browser import Browser, of, page
from tests.page.shop import Shop, opened
from tests.patience import until

INTO = tools.ROOT / "docs" / "page"
SCHEMES = ("light", "dark")


def main() -> None:
    INTO.mkdir(exist_ok=True)
    with TemporaryDirectory() as directory:
        browser = Browser(Path(directory))
        try:
            with opened("shop") as shop:
                for scheme in SCHEMES:
                    _cluster(browser, shop, scheme)
            file = objects.write(Path(directory), objects.many_nodes())
            with page("-f", file.name, directory=file.parent) as link:
                for scheme in SCHEMES:
                    browser.open(link, color_scheme=scheme)
                    _take(browser, f"fifty-nodes-{scheme}", 560)
        finally:
            browser.close()
    for each in sorted(INTO.glob("*.webp")):
        print(f"{each.relative_to(tools.ROOT)}: {each.stat().st_size / 1000:.0f} kB")


def _cluster(browser: Browser, shop: Shop, scheme: str) -> None:
    views = {
        "clusterip": {"from": "pod/default/busybox", "to": "svc/clusterip"},
        "nodeport-cluster": {"to": f"{EXTERNAL_IP['node-2']}:{shop.node_port('nodeport')}"},
        "nodeport-local": {"to": "svc/nodeport-local"},
        "loadbalancer-local": {"to": "svc/loadbalancer"},
    }
    for name, view in views.items():
        browser.open(of(shop.link, ns="default", **view), color_scheme=scheme)
        _take(browser, f"{name}-{scheme}", 600)
    browser.open(
        of(shop.link, to="svc/nodeport", ns="default", edit="externalTrafficPolicy:Local"),
        color_scheme=scheme,
    )
    browser.seeing(CLIENT, "dropped", side=1)
    _take(browser, f"beside-{scheme}", 850)
    browser.open(of(shop.link, **views["nodeport-cluster"]), color_scheme=scheme)
    until(lambda: browser.picture()["ways"])
    browser.click(".send")
    browser.until_text(".outcome", "As predicted")
    hold = """
    const slider = document.querySelector('.player input');
    slider.value = 3.3;
    slider.dispatchEvent(new Event('input', {bubbles: true}));
    return document.querySelector('.packet-label text').textContent;
    """
    until(lambda: browser.ask(hold), lambda text: text.startswith(f"{INTERNAL_IP['node-2']}:"))
    _take(browser, f"proof-{scheme}", 720)
    browser.open(of(shop.link, to="svc/loadbalancer", ns="default"), width=360, color_scheme=scheme)
    _take(browser, f"narrow-{scheme}", 1180)


def _take(browser: Browser, name: str, height: int) -> None:
    until(lambda: browser.picture()["ways"])
    until(lambda: not browser.faults())
    browser.size(int(browser.ask("return innerWidth")), height)
    browser.ask("document.activeElement?.blur()")
    browser.screenshot(INTO / f"{name}.webp", height)


if __name__ == "__main__":
    main()
