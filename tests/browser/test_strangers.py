"""What a page from elsewhere can do in the browser of somebody who runs the product, attacked for real: nothing."""

import http.server
import json
import threading

import pytest

from product import SECRET, Product, sample, until

# A name that its owner has bent to this machine: the browser resolves it to the loopback address.
BENT = "bent.example"
FORGED = json.dumps(sample("transaction.deposit.success", uid="forged", amount="1000000"))
PUBLISH = ("Action=PublishBatch&TopicArn=arn%3Aaws%3Asns%3Alocal%3A%3Apeople&PublishBatchRequestEntries.member.1.Id=1"
           "&PublishBatchRequestEntries.member.1.Subject=forged&PublishBatchRequestEntries.member.1.Message=%7B%7D")
# Each asks as a page may; what comes back, if the page may see it.
ASK = """async ([url, options]) => {
    try {
        const answer = await fetch(url, options);
        return {type: answer.type, status: answer.status, text: await answer.text()};
    } catch {
        return {type: "refused", status: 0, text: ""};
    }
}"""
AWS = {"authorization": "AWS4-HMAC-SHA256 Credential=local/20260101/eu-west-1/x/aws4_request"}


class Elsewhere:
    """A web server of somebody else's."""

    def __init__(self):
        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):
                handler.send_response(200)
                handler.send_header("content-type", "text/html")
                handler.end_headers()
                handler.wfile.write(b"<!doctype html><title>Win a coin</title>")

            def log_message(handler, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.url = f"http://evil.example:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    product = Product("--aws-endpoint", "127.0.0.1:0", "--mail", str(tmp_path_factory.mktemp("mail")))
    product.apply(sample("transaction.deposit.success", uid="true"))
    yield product
    product.stop()


@pytest.fixture(scope="module")
def stranger(chromium):
    """A page of somebody else's in a browser for which two foreign names lead to this machine."""
    elsewhere = Elsewhere()
    browser = chromium(f"--host-resolver-rules=MAP {BENT} 127.0.0.1, MAP evil.example 127.0.0.1")
    page = browser.new_page()
    page.goto(elsewhere.url)
    yield page
    browser.close()
    elsewhere.server.shutdown()


def untouched(victim):
    """The product has what it had, and has notified nobody of anything else."""
    for environment in ("test", "live"):
        uids = [event["entity"]["uid"] for event in victim.events(environment)]
        assert uids == (["true"] if environment == "test" else [])
        assert victim.get(f"/api/{environment}/quarantine")["quarantine"] == []
    assert len(victim.notified(environment="test")) == 1 and not victim.notified(environment="live")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json", None])
def test_a_page_elsewhere_forges_no_webhook_and_reads_nothing(victim, stranger, content_type):
    headers = {"content-type": content_type} if content_type else {}
    for mode in ("cors", "no-cors"):
        for secret in ({"x-webhook-secret": SECRET}, {}):
            stranger.evaluate(ASK, [f"{victim.url}/webhooks/live",
                                    {"method": "POST", "mode": mode, "headers": {**headers, **secret}, "body": FORGED}])
        for path in ("/api/test/events", "/config.json", "/"):
            answer = stranger.evaluate(ASK, [victim.url + path, {"mode": mode}])
            assert answer["text"] == "", (path, answer)
    untouched(victim)


@pytest.mark.parametrize("mode", ["cors", "no-cors"])
@pytest.mark.parametrize("target, body", [
    ("DynamoDB_20120810.Scan", '{"TableName":"bitpowr-webhooks"}'),
    ("DynamoDB_20120810.ListTables", "{}"),
    ("DynamoDB_20120810.DeleteTable", '{"TableName":"bitpowr-webhooks"}'),
    ("secretsmanager.GetSecretValue", '{"SecretId":"sealing-key"}'),
    ("AmazonSQS.SendMessage", '{"QueueUrl":"http://sqs.local/deposits","MessageBody":"{}"}'),
    (None, PUBLISH),
])
def test_no_port_of_the_product_does_what_a_page_elsewhere_asks(victim, stranger, mode, target, body):
    for port in victim.ports():
        for headers in ({"x-amz-target": target, **AWS} if target else AWS, {}):
            kind = {"content-type": "application/x-www-form-urlencoded" if target is None else "text/plain"}
            answer = stranger.evaluate(ASK, [f"http://127.0.0.1:{port}/",
                                             {"method": "POST", "mode": mode, "headers": {**kind, **headers}, "body": body}])
            assert answer["text"] == "", (port, answer)
    untouched(victim)


def test_a_name_that_was_bent_to_this_machine_reads_and_forges_nothing(victim, stranger):
    for port in victim.ports():
        # The page is of the same origin then: nothing but the name gives it away.
        page = stranger.context.browser.new_page()
        answer = page.goto(f"http://{BENT}:{port}/")
        assert answer.status in (403, 421), port
        for path, options in [
            ("/api/test/events", {}),
            ("/", {"method": "POST", "headers": {"x-amz-target": "DynamoDB_20120810.Scan", **AWS},
                   "body": '{"TableName":"bitpowr-webhooks"}'}),
            ("/", {"method": "POST", "headers": {"x-amz-target": "secretsmanager.GetSecretValue", **AWS},
                   "body": '{"SecretId":"webhook-secret"}'}),
            ("/webhooks/live", {"method": "POST", "headers": {"x-webhook-secret": SECRET,
                                                              "content-type": "application/json"}, "body": FORGED}),
        ]:
            answer = page.evaluate(ASK, [path, options])
            assert answer["status"] in (403, 421), (port, path, answer)
            assert "SecretString" not in answer["text"] and '"Items"' not in answer["text"]
        page.close()
    untouched(victim)


def test_the_product_listens_where_it_says_and_nowhere_else(victim):
    assert len(victim.ports()) == 2
    until(lambda: victim.get("/api/test/health"))
