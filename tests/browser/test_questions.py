"""Questions that mean something else than they say are answered in words, never misleadingly."""

import re

import pytest
from playwright.sync_api import expect

from product import sample

DEPOSIT = "80009100-efc7-49b3-b008-08903fa748c4"


def rows(page):
    return page.locator("main tbody tr")


def search(page, text):
    page.get_by_role("combobox", name="Search the log").fill(text)
    page.keyboard.press("Enter")


@pytest.mark.parametrize(("view", "link"), [("nope", "Log"), ("balance", "Balances"), ("constructor", "Log")])
def test_a_view_that_there_is_not_is_said_to_be_none_and_the_nearest_offered(page, view, link):
    page.goto(f"/?env=test&view={view}")
    main = page.get_by_role("main")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not found")
    expect(main).to_contain_text(f"There is no view “{view}”.")
    main.get_by_role("link", name=link).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(link)


def test_a_time_that_is_none_is_refused_in_words_and_shown_as_it_was_given(page, product):
    page.watch.expected.append("400")
    product.apply(sample("transaction.deposit.created", uid="d"))
    page.goto("/?env=test&from=yesterday")
    expect(page.get_by_role("alert")).to_contain_text("`from` is a time like 2026-11-23T05:29:04Z")
    chip = page.get_by_role("list", name="Filters that are set").get_by_role("listitem")
    expect(chip).to_contain_text("yesterday")
    expect(page.get_by_role("main")).not_to_contain_text("NaN")
    chip.get_by_role("button", name="Remove filter From").click()
    expect(rows(page)).to_have_count(1)


def test_balances_are_not_everybodys_where_an_account_is_misspelt(page, product):
    page.watch.expected.append("400")
    product.apply(sample("transaction.deposit.success", uid="d"))
    page.goto("/?env=test&view=balances&acount=zzz")
    expect(page.get_by_role("alert")).to_contain_text("Unknown parameter acount: did you mean account?")
    expect(rows(page)).to_have_count(0)


@pytest.mark.parametrize(("question", "says"), [
    ("famly=deposits", "Unknown parameter famly: did you mean family?"),
    ("family=depsits", "Unknown family depsits: did you mean deposits?"),
    ("effect=aplied", "Unknown effect aplied: did you mean applied?"),
])
def test_a_filter_that_there_is_not_is_refused_and_the_nearest_named(page, product, question, says):
    page.watch.expected.append("400")
    product.apply(sample("transaction.deposit.created", uid="d"))
    page.goto(f"/?env=test&{question}")
    expect(page.get_by_role("alert")).to_contain_text(says)
    expect(rows(page)).to_have_count(0)
    page.get_by_role("button", name=re.compile("Remove filter")).click()
    expect(rows(page)).to_have_count(1)


def test_a_type_that_nothing_has_gets_a_hint(page, product):
    product.apply(sample("transaction.deposit.success", uid="d"))
    page.goto("/?env=test&event=transaction.deposit.sucess")
    expect(page.get_by_role("main")).to_contain_text("No events match these filters.")
    expect(page.get_by_role("main")).to_contain_text("did you mean transaction.deposit.success?")


def test_a_status_and_an_asset_are_found_in_any_case(page, product):
    product.apply(sample("transaction.deposit.success", uid="d", assetType="BTC"))
    product.apply(sample("transaction.deposit.pending", uid="e", assetType="ETH"))
    page.goto("/?env=test&status=Success&asset=btc")
    expect(rows(page)).to_have_count(1)


def test_what_is_attributed_by_account_sub_account_and_chain_is_found(page, product):
    product.apply(sample("transaction.deposit.success", uid="mine", accountId="acc-1", subAccountId="sub-1", chain="TRON"))
    product.apply(sample("transaction.deposit.success", uid="other", accountId="acc-2", subAccountId="sub-2", chain="BITCOIN"))
    for label, value in (("Account", "acc-1"), ("Sub-account", "sub-1"), ("Chain", "tron")):
        page.goto("/?env=test")
        page.locator("summary", has_text="Filters").click()
        box = page.get_by_label(label, exact=True)
        box.fill(value)
        box.press("Tab")
        expect(rows(page), label).to_have_count(1)
        expect(rows(page)).to_contain_text(["mine"])
        expect(page.get_by_role("list", name="Filters that are set")).to_contain_text(label)


def test_a_searched_deposit_is_the_family(page, product):
    product.apply(sample("transaction.deposit.created", uid="d"))
    product.apply(sample("transaction.transfer.created", uid="t"))
    page.goto("/?env=test")
    search(page, "deposit")
    expect(page).to_have_url(re.compile("[?&]family=deposits"))
    expect(rows(page)).to_have_count(1)


@pytest.mark.parametrize("text", [DEPOSIT, DEPOSIT[:8], f"{DEPOSIT[:12]}…", DEPOSIT[:9].upper()])
def test_a_uid_is_found_by_itself_and_by_its_beginning(page, product, text):
    product.apply(sample("transaction.deposit.created", uid=DEPOSIT))
    product.apply(sample("transaction.transfer.created", uid="another"))
    page.goto("/?env=test")
    search(page, text)
    expect(page).to_have_url(re.compile(f"[?&]entity={DEPOSIT}"))
    expect(rows(page)).to_have_count(1)


def test_an_event_is_found_by_the_beginning_of_its_id(page, product):
    event = product.apply(sample("transaction.deposit.created", uid="d"))
    page.goto("/?env=test")
    search(page, event["id"][:8])
    expect(page.get_by_role("heading", level=1)).to_have_text("transaction.deposit.created")


def test_of_several_that_begin_so_one_is_chosen(page, product):
    for uid in ("order-1", "order-2"):
        product.apply(sample("transaction.deposit.created", uid=uid))
    page.goto("/?env=test")
    search(page, "order-")
    options = page.get_by_role("listbox", name="Search by").get_by_role("option")
    expect(options).to_have_text(["Entityorder-2", "Entityorder-1"])
    options.last.click()
    expect(page).to_have_url(re.compile("[?&]entity=order-1"))
    expect(rows(page)).to_have_count(1)
