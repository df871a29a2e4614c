"""The page in a real browser, on the real product.

    cargo build
    apt-get install --no-install-recommends chromium
    python3 -m venv .venv && .venv/bin/pip install -r tests/requirements.txt
    .venv/bin/python -m pytest tests/browser

`BITPOWR_BINARY` names another binary than target/debug/bitpowr-webhooks, `CHROMIUM` another browser than
/usr/bin/chromium. `SCREENSHOTS=1` also writes docs/images.
"""

import os
import time

import pytest
from playwright.sync_api import expect, sync_playwright

from product import PATIENCE, Product

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--no-first-run", "--disable-lcd-text"]
WIDE = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}

# A view asks every 1.5 seconds, and for a receiver that is away every 3: what a test expects has five times as long.
expect.set_options(timeout=15_000)


class Watch:
    """What went wrong on a page, and where its requests went. A refusal that a test provokes is announced in
    `expected`: the browser writes it into the console as an error."""

    def __init__(self, page):
        self.expected = []
        self.wrong = []
        self.requests = []
        self._page = page
        self._unanswered = set()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"uncaught: {error}"))
        page.on("request", self._asked)
        page.on("requestfinished", lambda request: self._unanswered.discard(request))
        page.on("requestfailed", lambda request: self._unanswered.discard(request))

    def _asked(self, request):
        self.requests.append(request.url)
        self._unanswered.add(request)

    def settled(self):
        """Waits until everything is answered, and what follows from it is on the page."""
        quiet, end = 0, time.monotonic() + PATIENCE
        while quiet < 3:
            self._page.wait_for_timeout(100)
            quiet = 0 if self._unanswered else quiet + 1
            assert time.monotonic() < end, f"not answered: {self._unanswered}"

    def _console(self, message):
        if message.type in ("error", "warning"):
            self.wrong.append(f"{message.type}: {message.text}")

    def verdict(self, origin):
        wrong = [text for text in self.wrong if not any(part in text for part in self.expected)]
        assert not wrong, "\n".join(wrong)
        foreign = [url for url in self.requests if not url.startswith((f"{origin}/", "data:"))]
        assert not foreign, f"requests left the origin: {foreign}"


@pytest.fixture
def product():
    product = Product()
    yield product
    product.stop()


@pytest.fixture(scope="session")
def chromium():
    """Starts browsers."""
    with sync_playwright() as playwright:
        yield lambda *more: playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *more])


@pytest.fixture(scope="session")
def browser(chromium):
    browser = chromium()
    yield browser
    browser.close()


@pytest.fixture
def open_page(browser, product):
    """Opens pages of any size and colour scheme; each has its `watch`, which is asked at the end."""
    opened = []

    def open_page(**options):
        context = browser.new_context(base_url=product.url, **{"viewport": WIDE, "locale": "en-GB"} | options)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.watch = Watch(page)
        opened.append(page)
        return page

    yield open_page
    for page in opened:
        page.context.close()
    for page in opened:
        page.watch.verdict(product.url)


@pytest.fixture
def page(open_page):
    return open_page()
