"""From a balance over its ledger to the webhook that made it."""

import datetime

from playwright.sync_api import expect

from product import sample


def test_a_balance_leads_to_its_ledger_and_the_webhook_that_made_it(page, product):
    product.apply(sample("transaction.deposit.created", uid="money", amount="0.100000000000000001"))
    made = product.apply(sample("transaction.deposit.success", uid="money", amount="0.100000000000000001"))
    page.goto("/?env=test&view=balances")
    row = page.locator("main tbody tr")
    expect(row).to_have_count(1)
    expect(row.locator("td[data-label=Balance]")).to_have_text("0.100000000000000001")
    row.get_by_role("link", name="Ledger of BTC").click()
    lines = page.locator("main tbody tr")
    expect(lines).to_have_count(2)
    expect(lines.first.locator("td[data-label=Change]")).to_contain_text("received 0.100000000000000001")
    expect(lines.first.locator("td[data-label=Rule]")).to_have_text("deposit.success")
    expect(lines.first.get_by_role("link", name="money", exact=True)).to_be_visible()
    lines.first.get_by_role("link", name=made["id"]).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("transaction.deposit.success")


def test_balances_are_shown_as_of_a_moment(page, product):
    product.apply(sample("transaction.deposit.success", uid="first", amount="1"))
    between = datetime.datetime.now(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    product.apply(sample("transaction.deposit.success", uid="second", amount="2"))
    balance = page.locator("main tbody td[data-label=Balance]")
    page.goto("/?env=test&view=balances")
    expect(balance).to_have_text("3")
    page.goto(f"/?env=test&view=balances&at={between}")
    expect(balance).to_have_text("1")
    expect(page.get_by_text("Values as of")).to_be_visible()
    page.get_by_role("button", name="Now").click()
    expect(balance).to_have_text("3")
