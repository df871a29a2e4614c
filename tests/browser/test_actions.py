"""What somebody does by hand: resend, retry, redrive. Each asks first, and each asks why."""

import json

from playwright.sync_api import expect

from product import sample, until


def open_event(page, event):
    page.goto(f"/?env={event['environment']}&view=event&id={event['id']}")


def test_a_resend_asks_why_is_sent_and_is_among_the_actions(page, product):
    event = product.apply(sample("transaction.deposit.success", uid="resent"))
    until(lambda: product.notified(id=event["id"]))
    open_event(page, event)
    page.get_by_role("button", name="Resend…").click()
    dialog = page.get_by_role("dialog", name="Resend this event?")
    expect(dialog).to_contain_text("TEST")
    dialog.get_by_role("button", name="Resend").click()
    expect(dialog).to_contain_text("Enter a reason")
    assert not [line for line in product.lines if "resend" in line], "resent without a reason"
    dialog.get_by_label("Why?").fill("the shop's server was down")
    dialog.get_by_role("button", name="Resend").click()
    expect(dialog).to_be_hidden()
    again = until(lambda: [line for line in product.notified(id=event["id"]) if "resend" in line])
    assert len(again) == 1
    expect(page.get_by_role("region", name="Actions", exact=True)).to_contain_text("the shop's server was down")
    page.get_by_role("link", name="Actions").click()
    row = page.locator("main tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("resend")
    expect(row).to_contain_text("the shop's server was down")
    row.get_by_role("link", name=event["id"]).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("transaction.deposit.success")


def test_a_cancelled_resend_does_nothing(page, product):
    event = product.apply(sample("transaction.deposit.success", uid="kept"))
    open_event(page, event)
    page.get_by_role("button", name="Resend…").click()
    page.get_by_label("Why?").fill("a slip of the hand")
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_timeout(500)
    assert product.get("/api/test/actions")["actions"] == []


def test_what_somebody_has_to_look_at_is_acknowledged_and_says_by_whom_and_why(page, product):
    event = product.apply(sample("transaction.deposit.success", uid="comma", amount="1,5"))
    open_event(page, event)
    page.get_by_role("button", name="Acknowledge…").click()
    dialog = page.get_by_role("dialog", name="Acknowledge this event?")
    dialog.get_by_role("button", name="Acknowledge").click()
    expect(dialog).to_contain_text("Enter a reason")
    dialog.get_by_label("Why?").fill("the customer was paid by hand")
    dialog.get_by_role("button", name="Acknowledge").click()
    expect(dialog).to_be_hidden()
    said = page.get_by_role("main").get_by_text("Acknowledged by")
    [action] = product.get("/api/test/actions")["actions"]
    expect(said).to_contain_text(action["who"])
    expect(said.locator("time")).to_have_attribute("datetime", action["at"])
    expect(said).to_contain_text("the customer was paid by hand")
    expect(page.get_by_role("button", name="Acknowledge…")).to_be_hidden()
    expect(page.get_by_role("main").get_by_text("not counted: the amount is not a number").first).to_be_visible()


def test_an_acknowledgement_does_not_cover_what_has_changed_since(page, product):
    first = product.apply({"event": "accounts.updated", "data": {"uid": "acc", "name": "First"}})
    product.apply({"event": "accounts.updated", "data": {"uid": "acc", "name": "Second"}})
    again = {"event": "accounts.updated", "data": {"uid": "acc", "name": "First"}}

    def deliveries(number):
        until(lambda: product.get(f"/api/test/events/{first['id']}")["deliveries"] == number)

    product.send(again)
    deliveries(2)
    open_event(page, first)
    page.get_by_role("button", name="Acknowledge…").click()
    page.get_by_label("Why?").fill("a typing mistake")
    page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("Acknowledged by")).to_be_visible()
    product.send(again)
    deliveries(3)
    expect(page.get_by_text("It has changed since it was acknowledged by")).to_contain_text("a typing mistake")
    expect(page.get_by_role("button", name="Acknowledge…")).to_be_visible()


def test_what_is_well_needs_no_acknowledgement(page, product):
    open_event(page, product.apply(sample("transaction.deposit.success", uid="fine")))
    expect(page.get_by_role("button", name="Resend…")).to_be_visible()
    expect(page.get_by_role("button", name="Acknowledge…")).to_be_hidden()


def test_a_resend_of_what_nobody_was_notified_of_is_refused_in_words(page, product):
    page.watch.expected.append("409")
    product.apply(sample("transaction.deposit.success", uid="late"))
    stale = product.apply(sample("transaction.deposit.pending", uid="late"))
    open_event(page, stale)
    page.get_by_role("button", name="Resend…").click()
    page.get_by_label("Why?").fill("to see it refused")
    page.get_by_role("dialog").get_by_role("button", name="Resend").click()
    refusal = page.get_by_role("dialog").get_by_role("alert")
    expect(refusal).to_contain_text("This was refused.")
    assert len(refusal.text_content()) > 40


def test_a_click_whose_answer_is_lost_is_done_once(page, product):
    """Every attempt of one click carries the same key; another click carries another."""
    page.watch.expected.append("503")
    event = product.apply(sample("transaction.deposit.success", uid="once"))
    keys = []

    def answer(route):
        keys.append(route.request.headers["idempotency-key"])
        if len(keys) == 1:
            problem = {"type": "about:blank", "title": "Unavailable", "status": 503, "detail": "Later."}
            return route.fulfill(status=503, body=json.dumps(problem), content_type="application/problem+json")
        return route.continue_()

    page.route("**/resend", answer)
    open_event(page, event)
    for reason in ("first", "second"):
        page.get_by_role("button", name="Resend…").click()
        page.get_by_label("Why?").fill(reason)
        page.get_by_role("dialog").get_by_role("button", name="Resend").click()
        expect(page.get_by_role("region", name="Actions", exact=True)).to_contain_text(reason)
    assert len(keys) == 3
    assert keys[0] == keys[1] != keys[2]


def test_a_missing_role_is_said_in_words(page, product):
    page.watch.expected.append("403")
    event = product.apply(sample("transaction.deposit.success", uid="forbidden"))
    problem = {"type": "about:blank", "title": "Forbidden", "status": 403, "code": "role_missing",
               "detail": "This takes the role operator."}
    page.route("**/resend", lambda route: route.fulfill(status=403, body=json.dumps(problem),
                                                        content_type="application/problem+json"))
    open_event(page, event)
    page.get_by_role("button", name="Resend…").click()
    page.get_by_label("Why?").fill("I may not")
    page.get_by_role("dialog").get_by_role("button", name="Resend").click()
    alert = page.get_by_role("dialog").get_by_role("alert")
    expect(alert).to_contain_text("a role is missing")
    expect(alert).to_contain_text("This takes the role operator.")


def test_the_quarantine_shows_the_reason_and_a_refused_retry_says_why(page, product):
    page.watch.expected.append("409")
    product.quarantine(b'{"event":"transaction.deposit.success"')
    product.quarantine(b"\xff\xfe\x00")
    page.goto("/?env=test&view=quarantine")
    cards = page.get_by_role("list", name="Quarantined bodies").locator("> li")
    expect(cards).to_have_count(2)
    unreadable = cards.filter(has_text="not_json")
    expect(unreadable).to_contain_text("The body is not JSON")
    unreadable.locator("summary").click()
    expect(unreadable.locator("pre")).to_have_text('{"event":"transaction.deposit.success"')
    bytes_ = cards.filter(has_text="not_utf8")
    bytes_.locator("summary").click()
    expect(bytes_.locator("pre")).to_contain_text("000000  ff fe 00")
    unreadable.get_by_role("button", name="Retry").click()
    dialog = page.get_by_role("dialog", name="Retry this body?")
    dialog.get_by_label("Why?").fill("a new version is deployed")
    dialog.get_by_role("button", name="Retry").click()
    expect(dialog.get_by_role("alert")).to_contain_text("This was refused.")


HEALTH = {
    "version": "0.1.0", "last_event_at": None, "quarantine": {"count": 0, "more": False},
    "queues": [{"family": "deposits", "waiting": 0, "in_flight": 0, "dead_letters": 0, "oldest_seconds": None},
               {"family": "transfers", "waiting": 4, "in_flight": 1, "dead_letters": 3, "oldest_seconds": 4000}],
    "endpoints": {"active": 0, "failing": 0, "disabled": 0},
}


def test_dead_letters_are_seen_and_sent_through_again(page):
    action = {"id": "a", "environment": "test", "action": "redrive", "who": "me", "why": "mended",
              "target": {"type": "dead_letters", "id": "transfers"}, "at": "2026-11-23T05:29:04Z"}
    asked = []

    def answer(route):
        asked.append(route.request.post_data_json)
        route.fulfill(body=json.dumps({"action": action, "moved": 3, "more": True}), content_type="application/json")

    page.route("**/api/test/health", lambda route: route.fulfill(body=json.dumps(HEALTH), content_type="application/json"))
    page.route("**/api/test/dead-letters/transfers/redrive", answer)
    page.goto("/?env=test&view=health")
    expect(page.get_by_role("main")).to_contain_text("3 deliveries could not be applied")
    expect(page.get_by_role("main")).to_contain_text("waiting for 1 h 6 min")
    expect(page.get_by_role("button", name="Redrive deposits")).to_have_count(0)
    page.get_by_role("button", name="Redrive transfers").click()
    page.get_by_label("Why?").fill("mended")
    page.get_by_role("dialog").get_by_role("button", name="Redrive").click()
    expect(page.get_by_text("3 moved; there are more, so redrive again.").first).to_be_visible()
    assert asked == [{"why": "mended"}]


def test_health_of_a_receiver_that_is_well(page, product):
    product.apply(sample("transaction.deposit.success", uid="well"))
    product.quarantine(b"not json")
    page.goto("/?env=test&view=health")
    expect(page.get_by_role("main")).to_contain_text("OK: nothing is stuck.")
    expect(page.get_by_role("table", name="Queues").locator("tbody tr")).to_have_count(10)
    expect(page.locator(".tile", has_text="Quarantine").locator(".value")).to_have_text("1")


def test_charts_count_what_came(page, product):
    product.apply(sample("transaction.deposit.success", uid="counted"))
    product.apply(sample("transaction.deposit.pending", uid="counted"))
    page.goto("/?env=test&view=charts&range=1h")
    expect(page.get_by_role("img", name="Events by family: deposits 2.")).to_be_visible()
    expect(page.get_by_role("img", name="Events by effect: applied 1, stale 1.")).to_be_visible()
    page.get_by_text("As a table").first.click()
    expect(page.get_by_role("region", name="By family, as a table")).to_contain_text("Deposits")
    page.get_by_role("button", name="7 days").click()
    expect(page.get_by_role("img", name="Events by family: deposits 2.")).to_be_visible()
