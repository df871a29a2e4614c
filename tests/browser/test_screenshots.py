"""Writes docs/images: `SCREENSHOTS=1 python -m pytest tests/browser/test_screenshots.py`. With the path of a folder
instead of 1 they go there."""

import os
import pathlib

import pytest
from PIL import Image
from playwright.sync_api import expect

from conftest import PHONE
from product import ROOT, sample, until
from test_endpoints import Service

WANTED = os.environ.get("SCREENSHOTS")
FOLDER = ROOT / "docs" / "images" if WANTED == "1" else pathlib.Path(WANTED or ".")
MOST = 150 * 1024
COLOURS = 256
ACCOUNT = "c3275a32-0b71-401c-aa25-b5771f22e0b0"

pytestmark = pytest.mark.skipif(not WANTED, reason="only with SCREENSHOTS=1")


def fill(product):
    """A day as it might be: transactions under way and ended, a late one, a contradiction, a repetition."""
    for event in ("accounts.created", "assets.created", "address.created", "customer.created",
                  "customer.attached_to_address"):
        product.apply(sample(event))
    deposits = {"1f0c6c5e-64c1-4b7c-9b0a-0e6a1c7d2a11": ("0.5", "created pending awaiting_confirmation success"),
                "5b1d2d4e-9a31-44a5-8e55-7d7ac3a4c0b2": ("0.02999761", "created awaiting_confirmation success pending"),
                "c9a4be21-2f6d-4b0e-a1d7-3f5b8a90e7c3": ("1.25", "created pending")}
    for uid, (amount, steps) in deposits.items():
        for step in steps.split():
            product.apply(sample(f"transaction.deposit.{step}", uid=uid, amount=amount))
    for step in ("created", "approved", "awaiting_confirmation", "success"):
        product.apply(sample(f"transaction.transfer.{step}"))
    product.apply(sample("transaction.transfer.failed", uid="e2b7f0a4-77c9-4c55-9d0b-b1f1f4b3d9d4"))
    odd = "80009100-efc7-49b3-b008-08903fa748c4"
    for step in ("created", "pending", "aml_flagged", "success"):
        product.apply(sample(f"transaction.deposit.{step}", uid=odd, amount="0.02999761",
                             **({"updatedAt": "2026-11-05T07:20:10.000Z"} if step == "aml_flagged" else {})))
    product.apply(sample("transaction.deposit.success", uid=odd, amount="9.5"))
    product.apply(sample("transaction.deposit.success", uid=odd, amount="9.5", confirmation=12))
    product.quarantine(b'{"event":"transaction.deposit.success","data":{"uid":"1"')
    return odd


def shoot(page, address, name, ready):
    page.goto(address)
    expect(page.locator(ready).first).to_be_visible()
    page.watch.settled()
    path = FOLDER / f"{name}.png"
    page.screenshot(path=path, animations="disabled")
    # The browser writes 24 bits a pixel; the page has fewer colours.
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE)
    small.save(path, optimize=True)
    assert path.stat().st_size < MOST, f"{name}: {path.stat().st_size} bytes"


def test_screenshots(open_page, product):
    FOLDER.mkdir(parents=True, exist_ok=True)
    odd = fill(product)
    product.apply(sample("transaction.deposit.success", network="MAINNET", uid="live-deposit"), "live")
    success = next(event for event in product.events() if event["event"] == "transaction.transfer.success")
    row = "main tbody tr"
    timeline = f"/?env=test&view=entity&type=transaction&kind=deposit&uid={odd}"
    event = f"/?env=test&view=event&id={success['id']}"
    light, dark = open_page(color_scheme="light"), open_page(color_scheme="dark")
    phone = open_page(color_scheme="light", viewport=PHONE)
    shoot(light, "/?env=test", "log-light", row)
    shoot(light, "/?env=live", "log-live", row)
    shoot(light, event, "event", "pre")
    shoot(light, timeline, "timeline", "svg.way")
    shoot(dark, f"/?env=test&view=ledger&account={ACCOUNT}", "ledger", row)
    shoot(phone, "/?env=test", "phone", row)


def test_screenshot_of_attempts(open_page, product):
    """An event that one service has accepted and another has not."""
    good, ill = Service(), Service()
    ill.status = 503
    for service in (good, ill):
        product.post("/api/test/endpoints", {"url": f"{service.host}/hook", "why": "credit deposits"})
    event = product.apply(sample("transaction.deposit.success"))
    until(lambda: len(product.get(f"/api/test/events/{event['id']}")["attempts"]) == 3)
    shoot(open_page(color_scheme="light"), f"/?env=test&view=event&id={event['id']}", "attempts", "main table tbody tr")
