"""Money that counts for nothing says so where its amount is."""

from playwright.sync_api import expect

from product import sample


def test_an_amount_that_is_not_counted_says_why_in_log_event_and_transaction(page, product):
    event = product.apply(sample("transaction.deposit.success", uid="comma", amount="1,5"))
    words = "not counted: the amount is not a number"
    for where in ("/?env=test", f"/?env=test&view=event&id={event['id']}", "/?env=test&view=entity&type=transaction&uid=comma"):
        page.goto(where)
        expect(page.get_by_role("main").get_by_text(words).first).to_be_visible()


def test_a_transaction_of_unknown_kind_is_called_that(page, product):
    product.apply({"event": "transaction.success", "data": {"uid": "whither", "amount": "3", "assetType": "BTC"}})
    page.goto("/?env=test")
    expect(page.get_by_role("main")).to_contain_text("transaction, kind unknown")
    page.get_by_role("link", name="whither", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Transaction, kind unknown")
    expect(page.get_by_role("main")).to_contain_text("not counted: it is unknown which way the money goes")


def test_a_conflict_shows_both_values_and_the_events_that_said_them(page, product):
    product.apply(sample("transaction.deposit.success", uid="two"))
    product.apply(sample("transaction.deposit.success", uid="two", amount="9.50"))
    page.goto("/?env=test&view=entity&type=transaction&uid=two&kind=deposit")
    sides = page.get_by_role("list", name="Values of amount")
    for value in ("0.02999761", "9.5"):
        said = sides.get_by_role("list", name=f"Events that say {value}", exact=True).get_by_role("listitem")
        expect(said).to_have_count(1)
        expect(said).to_contain_text("transaction.deposit.success")
    page.goto("/?env=test")
    expect(page.get_by_role("main").get_by_text("not counted: its events contradict each other").first).to_be_visible()


def test_a_contradicted_outcome_shows_the_events_of_both_ends(page, product):
    product.apply(sample("transaction.transfer.success", uid="ends"))
    product.apply(sample("transaction.transfer.failed", uid="ends"))
    page.goto("/?env=test&view=entity&type=transaction&uid=ends&kind=transfer")
    expect(page.get_by_role("list", name="Events that say it succeeded")).to_contain_text("transaction.transfer.success")
    expect(page.get_by_role("list", name="Events that say it did not")).to_contain_text("transaction.transfer.failed")
