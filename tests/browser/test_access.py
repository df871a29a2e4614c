"""For everybody: by keyboard, on a phone, in any environment, when the receiver is away."""

import re

import pytest
from playwright.sync_api import expect

from product import sample, until

ACCOUNT = "c3275a32-0b71-401c-aa25-b5771f22e0b0"


def test_an_event_is_opened_resent_and_left_without_the_mouse(page, product):
    for uid in ("first", "second"):
        product.apply(sample("transaction.deposit.success", uid=uid))
    page.goto("/")
    expect(page.locator("main tbody tr")).to_have_count(2)
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("main tbody tr").nth(1).locator("a.opens")).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.get_by_role("link", name="first", exact=True)).to_be_visible()
    page.keyboard.press("r")
    expect(page.get_by_label("Why?")).to_be_focused()
    page.keyboard.type("by keyboard")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("dialog").get_by_role("button", name="Resend")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    until(lambda: [line for line in product.lines if "resend" in line])
    expect(page.get_by_role("button", name="Resend…")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", level=1)).to_have_text("Log")
    expect(page.locator("main tbody tr").nth(1).locator("a.opens")).to_be_focused()


def test_escape_closes_a_dialog_without_leaving_the_page(page, product):
    event = product.apply(sample("transaction.deposit.success", uid="stay"))
    page.goto(f"/?env=test&view=event&id={event['id']}")
    page.get_by_role("button", name="Resend…").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_have_text("transaction.deposit.success")
    expect(page.get_by_role("button", name="Resend…")).to_be_focused()


def test_the_slash_searches_and_the_question_mark_helps(page, product):
    product.apply(sample("transaction.deposit.success", uid="asked"))
    page.goto("/?env=test&view=balances")
    expect(page.locator("main tbody tr")).to_have_count(1)
    page.keyboard.press("/")
    expect(page.get_by_role("combobox", name="Search the log")).to_be_focused()
    page.keyboard.type("j/k?")
    expect(page.get_by_role("combobox", name="Search the log")).to_have_value("j/k?")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_the_first_tab_skips_to_the_content(page):
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def test_every_page_has_one_title_one_first_heading_and_its_landmarks(page, product):
    event = product.apply(sample("transaction.deposit.success", uid="named"))
    views = ["log", "balances", "charts", "health", "quarantine", "actions", f"event&id={event['id']}",
             "entity&type=transaction&uid=named&kind=deposit", f"ledger&account={ACCOUNT}"]
    titles = set()
    for view in views:
        page.goto(f"/?env=test&view={view}")
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        expect(page.get_by_role("navigation", name="Pages").locator("[aria-current=page]")).to_have_count(1)
        expect(page.get_by_role("main")).to_have_count(1)
        page.watch.settled()
        titles.add(page.title())
    assert len(titles) == len(views)
    assert all(title.startswith("test · ") for title in titles)


@pytest.mark.parametrize("width", [320, 360, 390])
def test_a_phone_never_scrolls_sideways(open_page, product, width):
    event = product.apply(sample("transaction.transfer.success", uid="f" * 80, amount="1234567890123456789.123456789012345678"))
    product.apply(sample("transaction.transfer.rejected_by_counterparty"))
    product.apply(sample("accounts.created"))
    product.quarantine(b"\xff" * 300)
    page = open_page(viewport={"width": width, "height": 800}, is_mobile=True, has_touch=True)
    for view in ("log", "balances", f"ledger&account={ACCOUNT}", "charts", "health", "quarantine", "actions",
                 f"event&id={event['id']}", f"entity&type=transaction&uid={'f' * 80}&kind=transfer",
                 f"entity&type=account&uid={ACCOUNT}"):
        page.goto(f"/?env=test&view={view}")
        page.watch.settled()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        assert page.locator("main .trouble:not(.conflict)").count() == 0, view


def test_test_and_live_are_told_apart(page, product):
    product.apply(sample("transaction.deposit.created", uid="play"))
    live = sample("transaction.deposit.created", uid="real", network="MAINNET")
    product.apply(live, "live")
    page.goto("/")
    bar = page.get_by_role("region", name="Environment")
    expect(bar).to_contain_text("TEST")
    expect(bar).to_contain_text("no real money")
    assert page.title().startswith("test · ")
    expect(page.get_by_role("link", name="play", exact=True)).to_be_visible()
    colour = "el => getComputedStyle(el).backgroundColor + getComputedStyle(el).backgroundImage"
    of_test = bar.evaluate(colour)
    bar.get_by_role("link", name="live").click()
    expect(bar).to_contain_text("LIVE")
    expect(bar).to_contain_text("this is real money")
    expect(page).to_have_url(re.compile("env=live"))
    expect(page.get_by_role("link", name="real", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="play", exact=True)).to_have_count(0)
    assert page.title().startswith("LIVE · ")
    assert bar.evaluate(colour) != of_test
    page.goto("/?env=live&view=event&id=" + product.events("live")[0]["id"])
    page.get_by_role("button", name="Resend…").click()
    expect(page.get_by_role("dialog")).to_contain_text("LIVE")


def test_one_environment_has_nothing_to_switch(page):
    page.route("**/config.json", lambda route: route.fulfill(
        body='{"environments":["live"],"stack":"bitpowr-live","version":"0.1.0","auth":null}',
        content_type="application/json"))
    page.goto("/")
    expect(page.get_by_role("region", name="Environment")).to_contain_text("LIVE")
    expect(page.get_by_role("group", name="Switch environment").get_by_role("link")).to_have_count(0)
    expect(page.get_by_role("banner")).to_contain_text("bitpowr-live")


def test_light_and_dark_follow_the_system_and_a_choice_is_kept(open_page):
    page = open_page(color_scheme="dark")
    page.goto("/")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Switch between light and dark").click()
    light = page.evaluate(ground)
    assert light != dark
    page.reload()
    assert page.evaluate(ground) == light
    page.get_by_role("button", name="Switch between light and dark").click()
    assert page.evaluate(ground) == dark


def test_who_prefers_no_motion_gets_none(open_page, product):
    page = open_page(reduced_motion="reduce")
    product.apply(sample("transaction.deposit.created", uid="still"))
    page.goto("/")
    expect(page.locator("main tbody tr")).to_have_count(1)
    assert page.evaluate("document.getAnimations().length") == 0


def test_a_receiver_that_is_away_is_said_calmly_and_comes_back(page, product):
    page.watch.expected.append("ERR_INTERNET_DISCONNECTED")
    product.apply(sample("transaction.deposit.created", uid="before"))
    page.goto("/")
    expect(page.get_by_role("link", name="before", exact=True)).to_be_visible()
    page.context.set_offline(True)
    expect(page.get_by_text("The receiver does not answer.")).to_be_visible()
    expect(page.get_by_role("link", name="before", exact=True)).to_be_visible()
    product.apply(sample("transaction.deposit.created", uid="meanwhile"))
    page.context.set_offline(False)
    expect(page.get_by_text("The receiver does not answer.")).to_have_count(0)
    expect(page.get_by_role("link", name="meanwhile", exact=True)).to_be_visible()
