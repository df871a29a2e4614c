"""A transaction's way through its states; and everything else that has a state."""

import re

from playwright.sync_api import expect

from product import sample


def life(product, uid, *steps):
    for step in steps:
        product.apply(sample(f"transaction.deposit.{step}", uid=uid))


def stations(page):
    return page.locator("svg.way .name").all_text_contents()


def test_a_transaction_shows_its_way_in_the_order_of_time(page, product):
    life(product, "life", "created", "pending", "awaiting_confirmation", "success")
    page.goto("/?env=test&view=entity&type=transaction&uid=life&kind=deposit")
    picture = page.get_by_role("img", name=re.compile("The steps of this deposit: created, then pending"))
    expect(picture).to_be_visible()
    assert stations(page) == ["created", "pending", "awaiting confirmation", "success"]
    assert page.locator("svg.way .took").all_text_contents() == ["32 s", "11 min 45 s", "52 min 34 s"]
    events = page.get_by_role("list", name="Events, oldest first").get_by_role("listitem")
    expect(events).to_have_count(4)
    expect(events.nth(1)).to_contain_text("created became pending")
    expect(page.get_by_role("main")).to_contain_text("0.02999761 BTC")


def test_the_picture_marks_what_is_late_what_contradicts_and_what_is_flagged(page, product):
    life(product, "odd", "created", "success", "pending", "aml_flagged")
    product.apply(sample("transaction.deposit.success", uid="odd", amount="9.5"))
    page.goto("/?env=test&view=entity&type=transaction&uid=odd&kind=deposit")
    expect(page.locator("svg.way .station.conflict")).to_have_count(1)
    expect(page.locator("svg.way .tick.stale")).to_have_count(1)
    expect(page.locator("svg.way .flag")).to_contain_text("aml flagged")
    expect(page.get_by_role("main")).to_contain_text("Its events contradict each other about: amount.")


def test_what_lies_ahead_of_an_open_transaction_is_shown_as_expected(page, product):
    life(product, "open", "created")
    page.goto("/?env=test&view=entity&type=transaction&uid=open&kind=deposit")
    expect(page.locator("svg.way .station.ahead")).to_have_count(3)
    life(product, "open", "pending")
    expect(page.locator("svg.way .station.ahead")).to_have_count(2)


def test_a_uid_of_several_transactions_asks_which(page, product):
    page.watch.expected.append("409")
    product.apply(sample("transaction.deposit.success", uid="both"))
    product.apply(sample("transaction.transfer.success", uid="both"))
    page.goto("/?env=test&view=entity&type=transaction&uid=both")
    expect(page.get_by_role("link", name="Deposit", exact=True)).to_be_visible()
    page.get_by_role("link", name="Transfer", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Transfer")
    expect(page).to_have_url(re.compile("kind=transfer"))


def test_an_account_shows_how_it_stands_and_what_happened(page, product):
    account = sample("accounts.created")["data"]["uid"]
    product.apply(sample("accounts.created"))
    product.apply(sample("accounts.frozen"))
    page.goto(f"/?env=test&view=entity&type=account&uid={account}")
    expect(page.get_by_role("heading", level=1)).to_have_text("Account")
    expect(page.get_by_role("main")).to_contain_text("frozen")
    expect(page.get_by_role("list", name="Events, oldest first").get_by_role("listitem")).to_have_count(2)


def test_an_identifier_of_any_characters_is_found(page, product):
    uid = "a/b?c#d%20&e=ü"
    product.apply(sample("transaction.deposit.created", uid=uid))
    page.goto("/")
    page.get_by_role("link", name=uid, exact=True).click()
    expect(page.get_by_role("list", name="Events, oldest first")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text(uid)
