"""The user's own services on the page: added, tested, watched; and what an event's way to them was."""

import http.server
import json
import threading

import pytest
from playwright.sync_api import expect

from product import sample, until


class Service:
    """A service on this machine: answers with `status`, and keeps what came."""

    def __init__(self):
        self.status, self.came = 200, []
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                service.came.append(json.loads(body))
                self.send_response(service.status)
                self.send_header("content-length", "4")
                self.end_headers()
                self.wfile.write(b"read")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.host = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def service():
    service = Service()
    yield service
    service.server.shutdown()


def add(page, service, words=""):
    page.goto("/?env=test&view=endpoints")
    page.get_by_role("button", name="Add endpoint…").click()
    dialog = page.get_by_role("dialog", name="Add an endpoint")
    dialog.get_by_label("URL of your service").fill(f"{service.host}/hook?token=t0p")
    dialog.get_by_label("Only these events").fill(words)
    dialog.get_by_label("Why?").fill("to credit deposits")
    dialog.get_by_role("button", name="Add").click()
    shown = page.get_by_role("dialog", name="The signing secret")
    expect(shown).to_contain_text("whsec_")
    shown.get_by_role("button", name="Close").click()
    expect(shown).to_be_hidden()


def test_an_endpoint_is_added_and_an_event_shows_that_it_got_it(page, product, service):
    add(page, service, "family=deposits,transfers")
    row = page.get_by_role("table", name="Endpoints", exact=True).locator("tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text(f"{service.host}/…")
    expect(row).to_contain_text("family deposits, transfers")
    expect(row).to_contain_text("active")
    assert "t0p" not in page.content(), "a token of the URL is shown"
    event = product.apply(sample("transaction.deposit.success", uid="sent"))
    product.apply(sample("accounts.created", uid="not wanted"))
    until(lambda: service.came)
    assert [body["entity"]["uid"] for body in service.came] == ["sent"]
    page.goto("/?env=test")
    rows = page.locator("main tbody tr")
    expect(rows.filter(has_text="transaction.deposit.success")).to_contain_text("delivered")
    expect(rows.filter(has_text="accounts.created").locator(".col-endpoints")).to_have_text("–")
    rows.filter(has_text="transaction.deposit.success").get_by_role("link", name="transaction.deposit.success").click()
    attempts = page.get_by_role("region", name="Endpoints", exact=True)
    expect(attempts).to_contain_text("Every endpoint that wants this event has accepted it.")
    expect(attempts.locator("tbody tr")).to_have_count(1)
    expect(attempts.locator("tbody tr")).to_contain_text("200")
    expect(attempts.locator("tbody tr")).to_contain_text("read")
    expect(attempts).to_contain_text(f"{service.host}/…")
    # Once more, to this one only.
    attempts.get_by_role("button", name="Resend to").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why?").fill("it was lost there")
    dialog.get_by_role("button", name="Resend").click()
    expect(attempts.locator("tbody tr")).to_have_count(2)
    expect(attempts.locator("tbody tr").last).to_contain_text("resent")
    assert service.came[-1]["id"] == event["id"] and "resend" in service.came[-1]


def test_what_an_endpoint_does_not_accept_is_said_where_one_looks(page, product, service):
    service.status = 503
    add(page, service)
    for number in range(6):
        product.apply(sample("transaction.deposit.success", uid=f"refused-{number}"))
    row = page.get_by_role("table", name="Endpoints", exact=True).locator("tbody tr")
    expect(row).to_contain_text("failing")
    expect(row).to_contain_text("it answered 503")
    page.goto("/?env=test")
    expect(page.locator("main tbody tr").first).to_contain_text("retrying")
    page.locator("main tbody tr").last.get_by_role("link", name="transaction.deposit.success").click()
    attempts = page.get_by_role("region", name="Endpoints", exact=True)
    expect(attempts).to_contain_text("An endpoint has not accepted this event yet. It is tried again.")
    expect(attempts.locator("tbody tr").first).to_contain_text("503")
    page.goto("/?env=test&view=health")
    expect(page.locator(".verdict")).to_contain_text("1 endpoint failing.")


def test_a_test_says_what_came_of_it_and_a_disabled_endpoint_is_not_tested(page, product, service):
    add(page, service)
    page.get_by_role("button", name="Test http").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why?").fill("is it up?")
    dialog.get_by_role("button", name="Send a test").click()
    expect(page.locator("#toasts")).to_contain_text("The test was accepted: 200")
    assert service.came[0]["type"] == "endpoint.test"
    page.get_by_role("button", name="Disable http").click()
    dialog.get_by_label("Why?").fill("maintenance")
    dialog.get_by_role("button", name="Disable").click()
    row = page.get_by_role("table", name="Endpoints", exact=True).locator("tbody tr")
    expect(row).to_contain_text("disabled")
    expect(page.get_by_role("button", name="Test http")).to_have_count(0)
    changes = page.get_by_role("region", name="Changes")
    expect(changes).to_contain_text("maintenance")
    page.get_by_role("button", name="Remove http").click()
    dialog.get_by_label("Why?").fill("replaced")
    dialog.get_by_role("button", name="Remove").click()
    expect(page.locator("main")).to_contain_text("No endpoints yet.")


def test_the_form_takes_every_word_that_the_api_takes(page, product, service):
    add(page, service, "family=deposits,transfers event=transaction.deposit.success,wallets.teleported effect=applied "
                       "effect=conflict status=success asset=BTC chain=BITCOIN counted least=100.50 unlisted")
    endpoint, = product.get("/api/test/endpoints")["endpoints"]
    assert endpoint["filter"] == {
        "family": ["deposits", "transfers"], "event": ["transaction.deposit.success", "wallets.teleported"],
        "effect": ["applied", "conflict"], "status": ["success"], "asset": ["BTC"], "chain": ["BITCOIN"],
        "counted": True, "least": "100.5"}
    row = page.get_by_role("table", name="Endpoints", exact=True).locator("tbody tr")
    expect(row).to_contain_text("effect applied, conflict; status success; asset BTC")


@pytest.mark.parametrize("words, says", [
    ("family=depsits", "did you mean deposits?"),
    ("familly=deposits", "did you mean family?"),
    ("deposits", "Unknown word of a filter deposits"),
    ("status=sucess", "did you mean success?"),
    ("least=much", "`least` is an amount in US dollars"),
    ("counted=perhaps", "`counted` is true or false"),
    ("asset=", "`asset` is a text"),
])
def test_a_wrong_word_is_refused_where_it_was_typed(page, product, service, words, says):
    page.watch.expected.append("400")
    page.goto("/?env=test&view=endpoints")
    page.get_by_role("button", name="Add endpoint…").click()
    dialog = page.get_by_role("dialog", name="Add an endpoint")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog).to_contain_text("Fill in this field.")
    dialog.get_by_label("URL of your service").fill(f"{service.host}/")
    field = dialog.get_by_label("Only these events")
    field.fill(words)
    dialog.get_by_label("Why?").fill("a slip of the hand")
    dialog.get_by_role("button", name="Add").click()
    refusal = dialog.get_by_role("alert")
    expect(refusal).to_contain_text(says)
    # It stands between the field and the reason.
    tops = [place.bounding_box()["y"] for place in (field, refusal, dialog.get_by_label("Why?"))]
    assert tops == sorted(tops)
    assert product.get("/api/test/endpoints")["endpoints"] == []
