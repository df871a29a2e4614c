"""Every view is current within two seconds of a change that the receiver's API shows; what has not changed is not
touched, nothing is asked twice at a time, and nobody asks for a page that nobody sees. The page's clock is the test's:
no test depends on how fast the machine is."""

import json
import re
import urllib.request

import pytest
from playwright.sync_api import expect

from product import sample, until

WITHIN = 2000
ACCOUNT = "c3275a32-0b71-401c-aa25-b5771f22e0b0"
ENTITY = "entity&type=transaction&kind=deposit&uid=first"


@pytest.fixture
def first(product):
    return product.apply(sample("transaction.deposit.created", uid="first"))


@pytest.fixture
def visit(page):
    """Opens a view and stops its clock."""
    def visit(view, ready):
        page.clock.install()
        page.goto(f"/?env=test&view={view}")
        expect(page.get_by_role("main")).to_contain_text(ready)
        stop(page)

    return visit


def stop(page):
    page.clock.pause_at(page.evaluate("Date.now()") / 1000 + 1)
    page.watch.settled()


def passes(page, milliseconds):
    page.clock.run_for(milliseconds)


def again(product, uid="first"):
    """The same event once more, until the log says so."""
    product.send(sample("transaction.deposit.created", uid=uid))
    until(lambda: any(event["entity"]["uid"] == uid and event["deliveries"] > 1 for event in product.events()))


def act(product, path):
    request = urllib.request.Request(f"{product.url}/api/test/{path}", data=b'{"why":"elsewhere"}',
                                     headers={"content-type": "application/json", "idempotency-key": "k"})
    urllib.request.urlopen(request, timeout=15).close()


def success(product):
    product.apply(sample("transaction.deposit.success", uid="first", amount="7.25"))


def resend(product):
    act(product, f"events/{product.events()[0]['id']}/resend")


CHANGES = {
    "log, an event": ("log", "first", lambda product: product.apply(sample("transaction.deposit.created", uid="second")), "second"),
    "log, a delivery": ("log", "×1", again, "×2"),
    "event, a delivery": ("event&id={id}", "delivered once", again, "2 deliveries of the same content"),
    "event, an action": ("event&id={id}", "No actions on this event", resend, "elsewhere"),
    "entity": (ENTITY, "first seen as created", success, "created became success"),
    "balances": ("balances", "Balance", success, "7.25"),
    "ledger": (f"ledger&account={ACCOUNT}", "Ledger", success, "received 7.25"),
    "health": ("health", "Quarantine", lambda product: product.quarantine(b"odd"), re.compile("Quarantine1could not be read")),
    "quarantine, a body": ("quarantine", "The quarantine is empty", lambda product: product.quarantine(b"odd"), "The body is not JSON"),
    "actions": ("actions", "No actions yet", resend, "elsewhere"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_view_is_current_within_two_seconds(page, product, first, visit, change):
    view, before, happens, after = CHANGES[change]
    visit(view.format(**first), before)
    expect(page.get_by_role("main")).not_to_contain_text(after)
    happens(product)
    passes(page, WITHIN)
    expect(page.get_by_role("main")).to_contain_text(after)


PAGES = {
    "quarantine": {"quarantine": [{"id": "q{}", "reason": "not_json", "detail": "Number {}.", "deliveries": 1, "raw": "x",
                                   "received_at": "2026-11-23T05:29:04Z", "recorded_at": "2026-11-23T05:29:04Z"}]},
    "actions": {"actions": [{"id": "a{}", "at": "2026-11-23T05:29:04Z", "who": "me", "action": "resend",
                             "why": "Number {}.", "target": {"type": "event", "id": "e"}}]},
    "balances": {"balances": [{"account": "account", "asset": "Number {}.", "balance": "1", "received": "1", "sent": "0",
                               "fees": "0", "pending": "0"}]},
    f"ledger&account={ACCOUNT}": {"ledger": [{
        "asset": "BTC", "shard": 0, "number": "{}", "rule": "Number {}.", "recorded_at": "2026-11-23T05:29:04Z",
        "change": {"received": "1", "sent": "0", "fees": "0", "pending": "0"}, "before": {"received": "0"},
        "after": {"received": "1"}, "transaction": None, "event_id": None}]},
}


@pytest.mark.parametrize("view", PAGES)
def test_further_pages_are_as_current_as_the_first(page, view):
    """A list of four pages, of one entry each."""
    version = 1
    name = view.split("&")[0]

    def answer(route):
        cursor = re.search(r"cursor=(\d)", route.request.url)
        at = int(cursor.group(1)) if cursor else 1
        body = json.dumps(PAGES[view]).replace("{}", f"{at}-{version}" if at > 1 else "1")
        route.fulfill(body=f'{body[:-1]}, "cursor": {json.dumps(str(at + 1) if at < 4 else None)}}}',
                      content_type="application/json")

    page.route(f"**/api/test/{name}?**", answer)
    page.route(f"**/api/test/{name}", answer)
    page.clock.install()
    page.goto(f"/?env=test&view={view}")
    more = page.get_by_role("button", name="Load more")
    for number in ("2-1", "3-1"):
        more.click()
        expect(page.get_by_role("main")).to_contain_text(f"Number {number}.")
        expect(more).to_be_focused()
    stop(page)
    version = 2
    passes(page, WITHIN)
    for number in ("1", "2-2", "3-2"):
        expect(page.get_by_role("main")).to_contain_text(f"Number {number}.")
    expect(page.get_by_role("main")).not_to_contain_text("Number 4")


def test_the_history_of_an_entity_is_current_on_all_its_pages(page, product, first, visit):
    events = [{**first, "id": f"e{number}", "why": f"number {number}"} for number in range(1, 5)]

    def answer(route):
        at = 2 if "cursor=" in route.request.url else 0
        body = route.fetch(url=route.request.url.split("&cursor")[0]).json()
        found = events[at:at + 2]
        body.update(history=found, cursor="2" if at + 2 < len(events) else None)
        route.fulfill(body=json.dumps(body), content_type="application/json")

    page.route("**/transactions/*", answer)
    visit(ENTITY, "number 1")
    page.get_by_role("button", name="Load more").click()
    expect(page.get_by_role("main")).to_contain_text("number 4")
    events[3]["why"] = "number 4, another word"
    passes(page, WITHIN)
    expect(page.get_by_role("main")).to_contain_text("number 4, another word")
    expect(page.get_by_role("main")).to_contain_text("number 1")


def synthetic(number, **changes):
    """One of many events of the log, the higher the newer, a second each."""
    at = f"2026-11-23T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000Z"
    return {"id": f"{number:05}", "environment": "test", "event": f"number.{number}", "family": "legacy", "entity": None,
            "kind": None, "effect": "applied", "why": "because", "status": None, "asset": None, "amount": None,
            "deliveries": 1, "received_at": at, "recorded_at": at, "occurred_at": at, **changes}


class Log:
    """A receiver's log of as many events as a test needs."""

    def __init__(self, page, events):
        self.events = events
        page.route("**/api/test/events?**", self._answer)

    def _answer(self, route):
        query = dict(re.findall(r"[?&](\w+)=([^&]*)", route.request.url.replace("%3A", ":")))
        found = [event for event in sorted(self.events, key=lambda event: event["id"], reverse=True)
                 if query.get("from", "") <= event["recorded_at"] < query.get("to", "~")
                 and query.get("effect", event["effect"]) == event["effect"]
                 and event["id"] < query.get("cursor", "~")]
        shown = found[:int(query["limit"])]
        cursor = shown[-1]["id"] if len(found) > len(shown) else None
        route.fulfill(body=json.dumps({"events": shown, "cursor": cursor}), content_type="application/json")


def test_the_rows_that_somebody_sees_are_current_however_old(page, visit):
    log = Log(page, [synthetic(number) for number in range(200)])
    visit("log", "number.199")
    for shown in (100, 150):
        page.get_by_role("button", name="Load older").click()
        expect(page.locator("main tbody tr")).to_have_count(shown)
    row = page.locator("main tr[data-key='00070']")
    row.scroll_into_view_if_needed()
    log.events[70]["deliveries"] = 3
    passes(page, WITHIN)
    expect(row).to_contain_text("×3")
    # Further ones are not counted.
    log.events[70]["deliveries"] = 256
    passes(page, WITHIN)
    expect(row).to_contain_text("×256+")
    expect(row.get_by_label("256 or more deliveries")).to_be_visible()
    page.locator("main tbody tr").last.scroll_into_view_if_needed()
    passes(page, WITHIN)
    page.watch.settled()
    expect(page.locator("main tbody tr")).to_have_count(150)


def test_a_row_whose_effect_has_changed_leaves_a_log_of_another_effect(page, visit):
    log = Log(page, [synthetic(number) for number in range(20)])
    visit("log&effect=applied", "number.19")
    expect(page.locator("main tbody tr")).to_have_count(20)
    log.events[3]["effect"] = "ambiguous"
    passes(page, WITHIN)
    expect(page.locator("main tbody tr")).to_have_count(19)
    expect(page.locator("main tr[data-key='00003']")).to_have_count(0)


def test_the_log_has_no_hole_after_an_absence(page, visit):
    log = Log(page, [synthetic(number) for number in range(60)])
    visit("log", "number.59")
    log.events += [synthetic(number) for number in range(60, 760)]
    passes(page, WITHIN)
    rows = page.locator("main tbody tr")
    expect(rows.first).to_contain_text("number.759")
    before = rows.count()
    assert f"number.{760 - before}" in rows.last.text_content()
    page.get_by_role("button", name="Load older").click()
    # The moment of the last row is read once more.
    expect(rows).to_have_count(before + 49)
    assert f"number.{760 - before - 49}" in rows.last.text_content()


VIEWS = {
    "log": "1 event shown", "event&id={id}": "deposit.created", ENTITY: "first seen", "balances": "BTC", f"ledger&account={ACCOUNT}": "BTC",
    "charts": "1 event in this period", "health": "OK: nothing is stuck", "quarantine": "not_json", "actions": "elsewhere",
}


@pytest.fixture
def view_of(product, visit):
    """Opens a view of which something is there."""
    def view_of(view):
        product.apply(sample("transaction.deposit.created", uid="first"))
        product.quarantine(b"odd")
        resend(product)
        visit(view.format(id=product.events()[0]["id"]), VIEWS[view])

    return view_of


@pytest.mark.parametrize("view", VIEWS)
def test_what_has_not_changed_is_not_touched(page, view, view_of):
    first = []

    def same(route):
        first.append(route.fetch().body())
        route.fulfill(body=first[0], content_type="application/json")

    # The range of a chart goes on with the time of day.
    page.route("**/stats?**", same)
    view_of(view)
    page.evaluate("""() => {
      window.touched = [];
      new MutationObserver((changes) => {
        // How long ago the last event came does change.
        const where = ({ target }) => (target.closest?.(".tile, .tiles") ?? target).outerHTML ?? target.parentNode?.outerHTML;
        touched.push(...changes.filter(({ target, addedNodes }) =>
          ![target, ...addedNodes].some((node) => /^Last event/.test(node.textContent ?? ""))).map(where));
      }).observe(document.getElementById("main"), { subtree: true, childList: true, characterData: true });
    }""")
    before = len(page.watch.requests)
    for _ in range(3):
        passes(page, 31_000 if view == "charts" else WITHIN)
        page.watch.settled()
    assert len(page.watch.requests) >= before + 3
    assert page.evaluate("touched") == []


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_asked_while_the_same_is_not_answered(page, view, view_of):
    view_of(view)
    held = []
    page.route("**/api/**", lambda route: held.append(route) if "health" not in route.request.url or view == "health" else route.continue_())
    passes(page, 31_000 if view == "charts" else WITHIN)
    until(lambda: page.wait_for_timeout(50) or held)
    # Less than after what an answer is given up.
    passes(page, 15_000)
    page.wait_for_timeout(300)
    assert len(held) == len({route.request.url.split("?")[0] for route in held}) == 1
    for route in held:
        route.continue_()
    page.unroute("**/api/**")
    page.watch.settled()


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_that_nobody_sees_asks_nothing(page, view, view_of):
    page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => window.isAway === true });")
    view_of(view)
    page.evaluate("window.isAway = true")
    before = len(page.watch.requests)
    passes(page, 300_000)
    page.watch.settled()
    assert len(page.watch.requests) == before
    page.evaluate("window.isAway = false; document.dispatchEvent(new Event('visibilitychange'))")
    until(lambda: page.wait_for_timeout(50) or len(page.watch.requests) > before)
