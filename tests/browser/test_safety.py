"""What came with a webhook is hostile; and the page stays by itself."""

import http.client
import re
from urllib.parse import urlsplit

from playwright.sync_api import expect

from product import sample

MARKUP = '<img src=x onerror="window.taken=1"><script>window.taken=1</script>'


def test_markup_in_a_webhook_is_text_everywhere(page, product):
    event = product.apply(sample("transaction.deposit.success", uid=MARKUP, assetType=MARKUP, transactionRef=MARKUP,
                                 accountId=MARKUP, hash=MARKUP, address=MARKUP, fromAddress=MARKUP))
    product.apply({"event": "transaction.<b>", "data": {}})
    product.quarantine(MARKUP.encode())
    pages = ["/", f"/?view=event&id={event['id']}", "/?view=balances", "/?view=quarantine"]
    for address in pages:
        page.goto(address)
        if "quarantine" in address:
            page.locator("summary", has_text="Body").click()
        expect(page.get_by_text("onerror").first).to_be_attached()
        check(page)
    page.goto("/")
    page.get_by_role("link", name=MARKUP).first.click()
    expect(page.get_by_role("list", name="Events, oldest first")).to_be_visible()
    check(page)
    page.goto("/?view=balances")
    page.locator("a.opens").click()
    expect(page.get_by_text("deposit.success")).to_be_visible()
    check(page)


def check(page):
    assert page.locator("main img, main script, main b").count() == 0
    assert page.evaluate("window.taken") is None


def test_what_turns_the_direction_of_text_is_made_visible(page, product):
    product.apply(sample("transaction.deposit.created", uid="abc\u202edef"))
    page.goto("/")
    expect(page.get_by_text("abc\\u202edef")).to_be_visible()


def test_a_link_of_the_address_bar_cannot_bring_markup(page):
    page.watch.expected.append("404")
    page.goto("/?env=test&view=entity&type=transaction&kind=deposit&uid=%3Cimg%20src%3Dx%20onerror%3D%22window.taken%3D1%22%3E")
    expect(page.get_by_role("alert")).to_contain_text("Not found: no event is about this uid.")
    check(page)


def ask(product, method, path, headers):
    address = urlsplit(product.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    body = b'{"why":"because"}' if method == "POST" else b""
    for name, value in {"host": address.netloc, "content-length": str(len(body)), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_foreign_name_for_this_machine_is_refused(product):
    """DNS rebinding: a foreign page that reaches the product under its own name reads nothing."""
    for path in ("/", "/config.json", "/api/test/events"):
        assert ask(product, "GET", path, {"host": "evil.example"}) in (403, 421)
        assert ask(product, "GET", path, {}) == 200


def test_a_foreign_page_cannot_act(product):
    event = product.apply(sample("transaction.deposit.success", uid="guarded"))
    path = f"/api/test/events/{event['id']}/resend"
    json_ = {"content-type": "application/json"}
    assert ask(product, "POST", path, json_ | {"origin": "https://evil.example"}) in (403, 421)
    assert product.get("/api/test/actions")["actions"] == []


def test_the_page_is_served_with_a_policy_that_forbids_what_it_does_not_need(page):
    answer = page.goto("/")
    policy = answer.headers["content-security-policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy
    assert "unsafe" not in policy


def test_the_page_is_light_and_stays_by_itself(page, product):
    """Everything that the page needs, uncompressed; where requests go is asked of every test."""
    product.apply(sample("transaction.deposit.created", uid="weight"))
    bodies = {}
    page.on("response", lambda answer: bodies.setdefault(answer.url, answer))
    page.goto("/")
    expect(page.get_by_role("link", name="weight", exact=True)).to_be_visible()
    page.watch.settled()
    own = {url: len(answer.body()) for url, answer in bodies.items() if answer.request.method == "GET"}
    for url, weight in sorted(own.items(), key=lambda entry: -entry[1]):
        print(f"{weight:7} {re.sub(r'^http://[^/]+', '', url)}")
    assert sum(own.values()) < 180 * 1024
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
    print(f"first contentful paint: {paint:.0f} ms, {sum(own.values())} bytes")
    assert paint is not None
