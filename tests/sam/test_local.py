"""Every function in a container, by `sam local invoke` and `sam local start-api`."""

import base64
import json
import signal
import subprocess
import urllib.error
import urllib.request

import pytest
from standardwebhooks import Webhook

from containers import SAM
from service import Service
from tools import PATIENCE, ROOT, end, eventually, free_port

# One event of every family.
EVENTS = {
    "accounts": "accounts.frozen",
    "assets": "assets.created",
    "addresses": "address.created",
    "customers": "customer.created",
    "deposits": "transaction.deposit.success",
    "transfers": "transaction.transfer.success",
    "compliance": "transaction.compliance.aml_flag",
    "contracts": "transaction.contract.deployment.success",
    "legacy": "transaction.success",
    "unrecognised": "wallets.teleported",
}


@pytest.mark.parametrize("family", EVENTS)
def test_a_family_applies_its_event(local, family):
    event = EVENTS[family]
    answer = local.invoke(f"{family}Function", f"{family}/{event}.json")
    assert answer == {"batchItemFailures": []}
    logged = eventually(lambda: local.get(f"events?family={family}")["events"])
    assert event in [event["event"] for event in logged]


def test_a_delivery_that_was_altered_is_refused(local, tmp_path):
    event = (ROOT / "events" / "deposits" / "transaction.deposit.created.json").read_text()
    forged = tmp_path / "forged.json"
    forged.write_text(event.replace("0.02999761", "99.99999999"))
    answer = local.invoke("depositsFunction", forged)
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == [
        "00000000-0000-4000-8000-000000000000"]


def test_ingest_hands_a_delivery_to_the_queue_of_the_local_product(local):
    answer = local.invoke("IngestFunction", "ingest/accounts.created.json")
    assert answer["statusCode"] == 200, answer
    eventually(lambda: local.get("events?event=accounts.created")["events"])
    assert local.invoke("IngestFunction", "ingest/forged.json")["statusCode"] == 401
    assert local.invoke("IngestFunction", "ingest/unreadable.json")["statusCode"] == 400
    assert eventually(lambda: local.get("quarantine")["quarantine"])[0]["raw"] == "this is no JSON"


def test_notify_sends_to_the_local_subscribers(local):
    before = local.notified().count('"transaction.deposit.success"')
    assert local.invoke("NotifyFunction", "notify/transaction.deposit.success.json") == {"batchItemFailures": []}
    eventually(lambda: local.notified().count('"transaction.deposit.success"') > before)


def test_the_api_reads_the_local_table(local):
    local.invoke("depositsFunction", "deposits/transaction.deposit.success.json")
    answer = local.invoke("ApiFunction", "api/events.json")
    assert answer["statusCode"] == 200
    assert "transaction.deposit.success" in [event["event"] for event in json.loads(answer["body"])["events"]]
    balances = json.loads(local.invoke("ApiFunction", "api/balances.json")["body"])["balances"]
    assert {"BTC": "0.02999761"}.items() <= {balance["asset"]: balance["received"] for balance in balances}.items()


def test_an_event_is_resent(local):
    local.invoke("depositsFunction", "deposits/transaction.deposit.success.json")
    before = local.notified().count('"resend"')
    answer = local.invoke("ActionsFunction", "actions/resend.json")
    assert answer["statusCode"] == 200, answer
    assert json.loads(answer["body"])["action"]["why"] == "to try it"
    eventually(lambda: local.notified().count('"resend"') > before)


def test_what_waits_and_what_failed_is_counted_and_put_back(local):
    health = json.loads(local.invoke("ApiFunction", "api/health.json")["body"])
    assert {queue["family"]: queue["dead_letters"] for queue in health["queues"]}["deposits"] == 0
    answer = local.invoke("ActionsFunction", "actions/redrive.json")
    assert (answer["statusCode"], json.loads(answer["body"])["moved"]) == (200, 0)


def test_sweep_finds_no_dead_letters(local):
    assert local.invoke("SweepFunction", "sweep/schedule.json") == {"moved": 0}


def test_deliver_takes_up_what_is_due(local):
    assert local.invoke("DeliverFunction", "deliver/schedule.json") is None


def test_a_service_gets_the_same_request_from_a_container_as_from_the_local_product(local, tmp_path):
    local.invoke("customersFunction", "customers/customer.created.json")
    event = eventually(lambda: local.get("events?event=customer.created")["events"])[0]
    service = Service(local.host)
    try:
        # What came before the endpoint was added is not sent to it by anybody else.
        order = {"url": service.url, "filter": {"event": ["customer.created", "transaction.deposit.success"]}, "why": "to try it"}
        request = urllib.request.Request(f"{local.url}/api/test/endpoints", json.dumps(order).encode(),
                                         {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            endpoint = json.load(answer)
        key = {"pk": f"test#raw#{event['id']}", "sk": "raw"}
        body = json.dumps({"environment": "test", "endpoint": endpoint["id"], "key": key})
        batch = json.loads((ROOT / "events" / "customers" / "customer.created.json").read_text())
        batch["Records"][0].update(body=body, eventSourceARN="arn:aws:sqs:eu-west-1:000000000000:endpoints")
        message = tmp_path / "message.json"
        message.write_text(json.dumps(batch))
        assert local.invoke("DeliverFunction", message) == {"batchItemFailures": []}
        version, headers, from_container = service.posted.get(timeout=1)
        Webhook(endpoint["secret"]).verify(from_container, headers)

        request = urllib.request.Request(
            f"{local.url}/api/test/events/{event['id']}/resend", json.dumps({"why": "to see"}).encode(),
            {"content-type": "application/json"})
        urllib.request.urlopen(request, timeout=30).close()
        of_product = service.posted.get(timeout=PATIENCE)
        assert (version, set(headers)) == (of_product[0], set(of_product[1]))
        Webhook(endpoint["secret"]).verify(of_product[2], of_product[1])
        resent = json.loads(of_product[2])
        del resent["resend"]
        assert resent == json.loads(from_container)
        # It is handed over from a container, too.
        assert local.invoke("NotifyFunction", "notify/transaction.deposit.success.json") == {"batchItemFailures": []}
        removal = urllib.request.Request(f"{local.url}/api/test/endpoints/{endpoint['id']}", method="DELETE")
        urllib.request.urlopen(removal, timeout=30).close()
    finally:
        service.server.shutdown()


def test_start_api_serves_the_webhooks_path(local, tmp_path):
    port = free_port()
    with open(tmp_path / "log", "w") as log:
        server = subprocess.Popen(
            [SAM, "local", "start-api", "--host", "127.0.0.1", "--port", str(port), *local.options],
            cwd=ROOT, env=local.environment, stdout=log, stderr=log)
    try:
        def post(secret):
            body = (ROOT / "events" / "payloads" / "customer.created.json").read_bytes()
            request = urllib.request.Request(f"http://127.0.0.1:{port}/webhooks/test", body, {
                "content-type": "application/json", "x-webhook-secret": base64.b64encode(secret).decode()})
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return answer.status
            except urllib.error.HTTPError as error:
                return error.code
            except (urllib.error.URLError, OSError):
                return None
        assert eventually(lambda: post(b"local-secret")) == 200, (tmp_path / "log").read_text()
        assert post(b"forged") == 401
        eventually(lambda: local.get("events?event=customer.created")["events"])
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            # An interrupt may be ignored, as it is in the background of a shell. What is left ends with the engine.
            end(server)
