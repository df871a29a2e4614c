"""The log: alive, narrowed down by the address bar, and sparing."""

import json
import re

from playwright.sync_api import expect

from product import sample, until

DEPOSIT = "80009100-efc7-49b3-b008-08903fa748c4"


def rows(page):
    return page.locator("main tbody tr")


def test_a_new_event_appears_without_reload(page, product):
    page.goto("/")
    expect(page.get_by_text("No events yet.")).to_be_visible()
    page.evaluate("window.sameDocument = true")
    for uid in ("one", "two"):
        product.send(sample("transaction.deposit.created", uid=uid))
        expect(page.get_by_role("link", name=uid, exact=True)).to_be_visible()
    expect(page.locator("#announcer")).to_contain_text("new event")
    assert page.evaluate("window.sameDocument"), "the page was loaded anew"


def test_another_delivery_of_an_event_is_shown_in_its_row(page, product):
    body = sample("transaction.deposit.created", uid="again")
    product.apply(body)
    page.goto("/")
    expect(rows(page)).to_contain_text(["×1"])
    product.send(body)
    expect(rows(page)).to_contain_text(["×2"])


def test_paused_means_that_nothing_appears(page, product):
    product.apply(sample("transaction.deposit.created", uid="first"))
    page.clock.install()
    page.goto("/")
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="Live").click()
    expect(page.get_by_role("button", name="Paused")).to_have_attribute("aria-pressed", "false")
    product.apply(sample("transaction.deposit.created", uid="second"))
    page.clock.run_for(30_000)
    page.watch.settled()
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="Paused").click()
    expect(rows(page)).to_have_count(2)


def test_a_filter_is_in_the_address_bar_and_survives_reload_and_the_way_back(page, product):
    product.apply(sample("transaction.deposit.created", uid="d"))
    product.apply(sample("transaction.transfer.created", uid="t"))
    page.goto("/")
    expect(rows(page)).to_have_count(2)
    page.locator("summary", has_text="Filters").click()
    page.get_by_label("Family").select_option("transfers")
    expect(page).to_have_url(re.compile(r"[?&]family=transfers"))
    expect(rows(page)).to_have_count(1)
    page.reload()
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_role("listitem").filter(has_text="Family")).to_contain_text("transfers")
    page.get_by_role("button", name="Remove filter Family").click()
    expect(rows(page)).to_have_count(2)
    page.go_back()
    expect(page).to_have_url(re.compile(r"[?&]family=transfers"))
    expect(rows(page)).to_have_count(1)
    page.go_forward()
    expect(rows(page)).to_have_count(2)


def test_what_is_pasted_into_the_search_is_recognised(page, product):
    product.apply(sample("transaction.deposit.created", uid=DEPOSIT))
    product.apply(sample("transaction.transfer.created", uid="another"))
    page.goto("/")
    page.get_by_role("combobox", name="Search the log").fill(DEPOSIT)
    expect(page.get_by_role("option").first).to_contain_text("Entity")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(rf"[?&]entity={DEPOSIT}"))
    expect(rows(page)).to_have_count(1)
    page.get_by_role("button", name="Clear all").click()
    expect(rows(page)).to_have_count(2)


def test_a_word_of_no_known_form_is_searched_by_what_has_it(page, product):
    product.apply(sample("transaction.deposit.created", uid="my-deposit", transactionRef="my-order"))
    page.goto("/")
    for text, name in (("my-deposit", "entity"), ("my-order", "reference")):
        page.get_by_role("combobox", name="Search the log").fill(text)
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(rf"[?&]{name}={text}"))
        expect(rows(page)).to_have_count(1)
        page.get_by_role("button", name="Clear all").or_(page.get_by_role("button", name=re.compile("Remove filter"))).first.click()


def test_hash_reference_address_customer_status_and_asset_are_searched_by_the_receiver(page, product):
    deposit = sample("transaction.deposit.created", uid="wanted", customerId="5742dc8e-7694-4f26-9d74-2d1e0d77bbc2")
    product.apply(deposit)
    product.apply(sample("transaction.transfer.created", uid="other", hash="0x1", transactionRef="r", address="a",
                         fromAddress="b", assetType="ETH", customerId=None))
    product.apply(sample("transaction.transfer.success", uid="other-too", hash="0x2", transactionRef="s", address="c",
                         fromAddress="d", assetType="ETH", customerId=None))
    data = deposit["data"]
    page.goto("/")
    expect(rows(page)).to_have_count(3)
    searches = {"Hash": data["hash"], "Reference": data["transactionRef"], "Address": data["address"],
                "Customer": data["customerId"], "Asset": data["assetType"]}
    box = page.get_by_role("combobox", name="Search the log")
    for label, value in searches.items():
        if value is None:
            continue
        box.fill(value)
        page.get_by_role("option").filter(has=page.get_by_text(label, exact=True)).click()
        expect(rows(page), label).to_have_count(1)
        expect(rows(page)).to_contain_text(["wanted"])
        page.get_by_role("button", name=f"Remove filter {label}").click()
        expect(rows(page)).to_have_count(3)
    page.goto("/?env=test&status=success")
    expect(rows(page)).to_have_count(1)


def test_a_page_that_is_empty_though_the_log_goes_on_is_passed_over(page, product):
    """The receiver may answer with an empty page and a cursor: the page goes on by itself, then offers to."""
    product.apply(sample("transaction.deposit.created", uid="found"))
    event = product.events()[0]
    asked = []

    def answer(route):
        cursor = re.search(r"cursor=(\d+)", route.request.url)
        at = int(cursor.group(1)) if cursor else 0
        if "from=" in route.request.url or "limit=50" not in route.request.url:
            return route.continue_()
        # The newest page is asked for again and again beside it.
        if at == len(asked):
            asked.append(at)
        body = {"events": [event] if at == 7 else [], "cursor": str(at + 1) if at < 7 else None}
        return route.fulfill(body=json.dumps(body), content_type="application/json")

    page.route("**/api/test/events?**", answer)
    page.goto("/")
    page.get_by_role("button", name="Search further back").click()
    expect(page.get_by_role("link", name="found", exact=True)).to_be_visible()
    assert asked == list(range(8))


def test_older_events_are_loaded_on_demand(page, product):
    for number in range(60):
        assert product.send(sample("transaction.deposit.created", uid=f"d{number}")) == 200
    until(lambda: len(product.events()) == 60, patience=60)
    page.goto("/")
    expect(rows(page)).to_have_count(50)
    page.get_by_role("button", name="Load older").click()
    expect(rows(page)).to_have_count(60)
    expect(page.get_by_text("This is the beginning of the log.")).to_be_visible()


def test_the_way_back_finds_the_same_rows_at_the_same_place(page, product):
    for number in range(40):
        assert product.send(sample("transaction.deposit.created", uid=f"d{number}")) == 200
    until(lambda: len(product.events()) == 40, patience=60)
    page.goto("/")
    expect(rows(page)).to_have_count(40)
    link = rows(page).nth(35).locator("a.opens")
    href = link.get_attribute("href")
    link.click()
    expect(page.get_by_role("heading", name="transaction.deposit.created")).to_be_visible()
    page.go_back()
    expect(page.locator(f'a.opens[href="{href}"]')).to_be_focused()
    assert page.evaluate("scrollY") > 300
