"""One event: what came, what it did, who was notified."""

import json
import re

from playwright.sync_api import expect

from product import sample, until


def section(page, name):
    return page.get_by_role("region", name=name, exact=True)


def test_an_event_shows_body_effect_why_deliveries_and_notification(page, product):
    body = sample("transaction.deposit.success", uid="shown", amount=0.1)
    raw = json.dumps(body, separators=(",", ":")).replace('"amount":0.1', '"amount":0.450000000000000001').encode()
    assert product.send(raw) == 200
    event = until(product.events)[0]
    assert product.send(raw) == 200
    page.goto(f"/?env=test&view=event&id={event['id']}")
    expect(page.get_by_role("heading", level=1)).to_have_text("transaction.deposit.success")
    expect(page.get_by_role("main")).to_contain_text("First seen as success")
    expect(page.get_by_role("main")).to_contain_text("It changed the state.")
    expect(page.get_by_role("link", name="shown", exact=True)).to_be_visible()

    shown = section(page, "Body")
    expect(shown).to_contain_text(re.compile(r'"uid": "shown",\s+"status": "SUCCESS"'))
    expect(shown).to_contain_text('"amount": 0.450000000000000001')
    shown.get_by_role("button", name="Raw").click()
    assert shown.locator("pre").text_content() == raw.decode()

    expect(section(page, "Deliveries")).to_contain_text("2 deliveries of the same content")
    expect(section(page, "Deliveries").get_by_role("listitem")).to_have_count(2)

    notification = section(page, "Notification")
    expect(notification).to_contain_text("[test] Deposit of 0.450000000000000001 BTC has arrived")
    expect(notification.get_by_label("The e-mail's text")).to_contain_text("Identifier: shown")
    expect(notification.get_by_label("Notification for programs")).to_contain_text(f'"id": "{event["id"]}"')
    expect(notification.get_by_label("Notification for programs")).to_contain_text("0.450000000000000001")


def test_an_event_that_nobody_was_notified_of_says_so(page, product):
    product.apply(sample("transaction.deposit.success", uid="late"))
    stale = product.apply(sample("transaction.deposit.pending", uid="late"))
    page.goto(f"/?env=test&view=event&id={stale['id']}")
    expect(section(page, "Notification")).to_contain_text("There is nothing to notify of: the effect is stale.")


def test_the_body_is_copied_byte_for_byte(open_page, product):
    event = product.apply(sample("transaction.deposit.created", uid="copied"))
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"/?env=test&view=event&id={event['id']}")
    section(page, "Body").get_by_role("button", name="Copy").click()
    # The button itself says so for a moment only.
    expect(page.locator("#announcer")).to_have_text("Copied.")
    raw = product.get(f"/api/test/events/{event['id']}")["raw"]
    assert page.evaluate("navigator.clipboard.readText()") == raw


def test_an_event_that_there_is_not_is_said_in_words(page):
    page.watch.expected.append("404")
    page.goto("/?env=test&view=event&id=nothing")
    expect(page.get_by_role("alert")).to_contain_text("Not found: no event has this id.")
