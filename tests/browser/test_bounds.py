"""What a webhook brings may be long, deep or broken: it is shown in part, in its place, and takes nothing with it."""

import json
import re

import pytest
from playwright.sync_api import expect

from product import sample

MOST = 128 * 1024
DEEPEST = 60_000
NODES = """() => {
  const walker = document.createTreeWalker(document);
  let nodes = 0;
  while (walker.nextNode()) nodes += 1;
  return nodes;
}"""


def nested(levels, inside=b""):
    return b"[" * levels + inside + b"]" * levels


def filled(uid, fill):
    """A deposit whose body has exactly as many bytes as are taken; `fill(room)` is the JSON that makes it so."""
    whole = json.dumps(sample("transaction.deposit.success", uid=uid, note=0), separators=(",", ":"))
    before, after = whole.split('"note":0')
    room = MOST - len(before) - len(after) - len('"note":')
    body = f'{before}"note":{fill(room)}{after}'.encode()
    return body + b" " * (MOST - len(body))


def ones(room):
    return f"[{'1,' * ((room - 3) // 2)}1]"


def thickets(room):
    """As deep as is read, again and again."""
    one = "[" * 117 + "]" * 117
    return f"[{one}{(',' + one) * ((room - 2) // (len(one) + 1) - 1)}]"


def one_text(room):
    return f'"{"x" * (room - 2)}"'


def cards(page):
    return page.get_by_role("list", name="Quarantined bodies").locator("> li")


def section(page, name):
    return page.get_by_role("region", name=name, exact=True)


def answered(page, pattern, change):
    """Changes the receiver's answers to a question."""
    def answer(route):
        body = route.fetch().json()
        change(body)
        route.fulfill(body=json.dumps(body), content_type="application/json")

    page.route(pattern, answer)


@pytest.mark.parametrize("deep", [nested(DEEPEST),
                                  b'{"event":"transaction.deposit.success","data":{"uid":"a","note":%b}}' % nested(DEEPEST)],
                         ids=["arrays", "within a body"])
def test_a_body_of_a_great_depth_is_one_card_among_others(page, product, deep):
    page.watch.expected.append("409")
    for body in (b'{"event":"first"', deep, b'{"event":"last"'):
        product.quarantine(body)
    page.goto("/?env=test&view=quarantine")
    expect(cards(page)).to_have_count(3)
    for body, card in zip((b'{"event":"last"', deep, b'{"event":"first"'), cards(page).all()):
        card.locator("summary").click()
        expect(card.locator("pre")).to_be_visible()
        assert "".join(card.locator("pre").text_content().split()).startswith(body[:9].decode())
        card.get_by_role("button", name="Retry").click()
        dialog = page.get_by_role("dialog", name="Retry this body?")
        dialog.get_by_label("Why?").fill("a new version is deployed")
        dialog.get_by_role("button", name="Retry").click()
        expect(dialog.get_by_role("alert")).to_contain_text("This was refused.")
        dialog.get_by_role("button", name="Cancel").click()
    assert page.evaluate(NODES) < 1000
    longest = page.locator("pre").evaluate_all("blocks => Math.max(...blocks.map((block) => block.textContent.length))")
    assert longest < 1_000_000
    cards(page).nth(1).get_by_role("button", name="Show all").click()
    assert cards(page).nth(1).locator("pre").text_content() == deep.decode()


def test_a_body_is_made_when_it_is_opened(page, product):
    product.quarantine(b'{"event":"kept"')
    page.goto("/?env=test&view=quarantine")
    expect(cards(page)).to_have_count(1)
    expect(page.locator("main pre")).to_have_count(0)
    page.locator("summary", has_text="Body").click()
    expect(page.locator("main pre")).to_have_text('{"event":"kept"')
    page.locator("summary", has_text="Body").click()
    page.locator("summary", has_text="Body").click()
    expect(page.locator("main pre")).to_have_count(1)


def test_many_bytes_are_shown_in_part_and_stay_as_they_were_opened(page, product):
    many = b"\xff" * 20_000
    product.quarantine(many)
    page.goto("/?env=test&view=quarantine")
    page.locator("summary", has_text="Body, as bytes").click()
    card = cards(page).first
    expect(card).to_contain_text("Only the first 4,096 of 20,000 bytes are shown.")
    assert len(card.locator("pre").text_content().splitlines()) == 256
    card.get_by_role("button", name="Show all").click()
    expect(card.locator("pre")).to_be_focused()
    assert len(card.locator("pre").text_content().splitlines()) == 1250
    product.send(many)
    expect(card).to_contain_text("2 deliveries")
    assert len(card.locator("pre").text_content().splitlines()) == 1250


@pytest.mark.parametrize("fill", [ones, thickets, one_text])
def test_a_body_as_large_as_is_taken_is_shown_in_part(open_page, product, fill):
    body = filled("large", fill)
    assert len(body) == MOST
    event = product.apply(body)
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"/?env=test&view=event&id={event['id']}")
    shown = section(page, "Body")
    expect(shown).to_contain_text("Only the first 10,000 of 131,072 characters are shown.")
    expect(shown.get_by_label("Body, indented")).to_contain_text('"event": "transaction.deposit.success"')
    assert len(shown.locator("pre").text_content()) < 500_000
    assert page.evaluate(NODES) < 20_000
    shown.get_by_role("button", name="Raw").click()
    expect(shown).to_contain_text("Only the first 10,000 of 131,072 characters are shown.")
    assert shown.locator("pre").text_content() == body.decode()[:10_000]
    shown.get_by_role("button", name="Show all").click()
    assert shown.locator("pre").text_content() == body.decode()
    assert page.evaluate(NODES) < 2000
    shown.get_by_role("button", name="Pretty").click()
    expect(shown).to_contain_text("All 131,072 characters are shown, unchanged.")
    assert shown.locator("pre").text_content() == body.decode()
    shown.get_by_role("button", name="Copy").click()
    expect(page.locator("#announcer")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == body.decode()


def test_a_body_of_120_levels_is_indented_and_so_is_its_notification(page, product):
    value = 0.5
    for _ in range(118):
        value = [value]
    event = product.apply(sample("transaction.deposit.success", uid="deep", note=value))
    page.goto(f"/?env=test&view=event&id={event['id']}")
    for block in (page.get_by_label("Body, indented"), page.get_by_label("Notification for programs")):
        expect(block).to_contain_text('"uid": "deep"')
        lines = block.text_content().splitlines()
        assert [line.strip() for line in lines].count("[") >= 100
        assert max(len(line) - len(line.lstrip()) for line in lines) <= 40
        expect(block.locator(".json-number").get_by_text("0.5", exact=True)).to_have_count(1)


def test_a_notification_may_be_deeper_than_any_body(page, product):
    event = product.apply(sample("transaction.deposit.success", uid="deeper"))
    deep = json.loads(nested(900, b"7"))
    answered(page, "**/events/*", lambda body: body["told"]["programs"].update(deep=deep))
    page.goto(f"/?env=test&view=event&id={event['id']}")
    expect(page.get_by_label("Notification for programs").locator(".json-number").get_by_text("7", exact=True)).to_have_count(1)


def test_an_answer_that_is_too_deep_to_be_read_is_said_in_words(page, product):
    event = product.apply(sample("transaction.deposit.success", uid="too-deep"))
    page.route("**/events/*", lambda route: route.fulfill(
        body=b'{"told":{"programs":%b}}' % nested(DEEPEST), content_type="application/json"))
    page.goto(f"/?env=test&view=event&id={event['id']}")
    expect(page.get_by_role("alert")).to_contain_text("The receiver's answer could not be read.")


def test_what_cannot_be_shown_is_said_in_its_place(page, product):
    """Each answer is broken in one part; everything beside it is there."""
    page.watch.expected.append("Error")
    account = sample("transaction.deposit.success")["data"]["accountId"]
    event = product.apply(sample("transaction.deposit.success", uid="broken"))
    for body in (b"first", b"second", b"third", b"\xff"):
        product.quarantine(body)

    def break_card(body):
        body["quarantine"][2]["detail"] = 5
        body["quarantine"][0]["raw_base64"] = "%"

    answered(page, "**/quarantine", break_card)
    page.goto("/?env=test&view=quarantine")
    expect(cards(page)).to_have_count(4)
    expect(cards(page).nth(2)).to_contain_text("This body cannot be shown")
    for card in (cards(page).nth(0), cards(page).nth(1), cards(page).nth(3)):
        card.locator("summary").click()
    expect(cards(page).nth(0)).to_contain_text("This part cannot be shown")
    expect(cards(page).nth(1).locator("pre")).to_have_text("third")
    expect(cards(page).nth(3).locator("pre")).to_have_text("first")

    answered(page, "**/events/*", lambda body: body.update(told=None))
    page.goto(f"/?env=test&view=event&id={event['id']}")
    expect(page.get_by_role("main")).to_contain_text("This part cannot be shown")
    for part in ("Body", "Deliveries", "Actions"):
        expect(section(page, part)).to_be_visible()
    expect(page.get_by_role("button", name="Resend…")).to_be_visible()

    answered(page, "**/transactions/*", lambda body: body.update(contradictions=5, conflict=True))
    page.goto("/?env=test&view=entity&type=transaction&kind=deposit&uid=broken")
    expect(page.get_by_role("main")).to_contain_text("This part cannot be shown")
    expect(page.get_by_role("list", name="Events, oldest first").get_by_role("listitem")).to_have_count(1)

    answered(page, "**/ledger?**", lambda body: body["ledger"][0].update(before=None))
    page.goto(f"/?env=test&view=ledger&account={account}")
    row = page.locator("main tbody tr")
    expect(row.locator("td[data-label=Before]")).to_contain_text("This part cannot be shown")
    expect(row.locator("td[data-label=After]")).to_contain_text("0.02999761")

    answered(page, "**/stats?**", lambda body: body.update(from_=body.pop("from")))
    page.goto("/?env=test&view=charts")
    expect(page.get_by_text("This part cannot be shown")).to_have_count(2)
    expect(page.get_by_role("main")).to_contain_text("1 event in this period.")


def test_many_members_are_shown_in_part(page, product):
    product.apply(sample("customer.attached_to_address"))
    customer = sample("customer.attached_to_address")["data"]["uid"]
    many = [f"{number:03}" + "a" * 1000 for number in range(128)]
    answered(page, "**/customers/*", lambda body: body.update(addresses=many))
    page.goto(f"/?env=test&view=entity&type=customer&uid={customer}")
    known = section(page, "What is known")
    expect(known).to_contain_text("Only the first 20 of 128 are shown.")
    expect(known.get_by_role("link", name=re.compile("^0"))).to_have_count(20)
    known.get_by_role("button", name="Show all").click()
    expect(known.get_by_role("link", name=re.compile("^[01]"))).to_have_count(128)
    expect(known.get_by_role("button", name="Show all")).to_have_count(0)
