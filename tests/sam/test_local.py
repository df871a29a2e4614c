"""Every function in a container, by `sam local invoke` and `sam local start-api`."""

import base64
import json
import signal
import subprocess
import urllib.error
import urllib.request

import pytest

from containers import SAM
from tools import ROOT, end, eventually, free_port

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
    answer = local.invoke(f"{family.capitalize()}Function", f"{family}/{event}.json")
    assert answer == {"batchItemFailures": []}
    logged = eventually(lambda: local.get(f"events?family={family}")["events"])
    assert event in [event["event"] for event in logged]


def test_a_delivery_that_was_altered_is_refused(local, tmp_path):
    event = (ROOT / "events" / "deposits" / "transaction.deposit.created.json").read_text()
    forged = tmp_path / "forged.json"
    forged.write_text(event.replace("0.02999761", "99.99999999"))
    answer = local.invoke("DepositsFunction", forged)
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == [
        "00000000-0000-4000-8000-000000000000"]


def test_ingest_hands_a_delivery_to_the_queue_of_the_local_product(local):
    answer = local.invoke("IngestFunction", "ingest/accounts.created.json")
    assert answer["statusCode"] == 200, answer
    eventually(lambda: local.get("events?event=accounts.created")["events"])
    assert local.invoke("IngestFunction", "ingest/forged.json")["statusCode"] == 401
    assert local.invoke("IngestFunction", "ingest/unreadable.json")["statusCode"] == 400
    assert eventually(lambda: local.get("quarantine")["quarantine"])[0]["raw"] == "this is no JSON"


def test_notify_tells_the_local_subscribers(local):
    before = local.told().count('"transaction.deposit.success"')
    assert local.invoke("NotifyFunction", "notify/transaction.deposit.success.json") == {"batchItemFailures": []}
    eventually(lambda: local.told().count('"transaction.deposit.success"') > before)


def test_the_api_reads_the_local_table(local):
    local.invoke("DepositsFunction", "deposits/transaction.deposit.success.json")
    answer = local.invoke("ApiFunction", "api/events.json")
    assert answer["statusCode"] == 200
    assert "transaction.deposit.success" in [event["event"] for event in json.loads(answer["body"])["events"]]
    balances = json.loads(local.invoke("ApiFunction", "api/balances.json")["body"])["balances"]
    assert {"BTC": "0.02999761"}.items() <= {balance["asset"]: balance["received"] for balance in balances}.items()


def test_an_event_is_told_again(local):
    local.invoke("DepositsFunction", "deposits/transaction.deposit.success.json")
    before = local.told().count('"resend"')
    answer = local.invoke("ActionsFunction", "actions/resend.json")
    assert answer["statusCode"] == 200, answer
    assert json.loads(answer["body"])["action"]["why"] == "to try it"
    eventually(lambda: local.told().count('"resend"') > before)


def test_what_waits_and_what_failed_is_counted_and_put_back(local):
    health = json.loads(local.invoke("ApiFunction", "api/health.json")["body"])
    assert {queue["family"]: queue["dead_letters"] for queue in health["queues"]}["deposits"] == 0
    answer = local.invoke("ActionsFunction", "actions/redrive.json")
    assert (answer["statusCode"], json.loads(answer["body"])["moved"]) == (200, 0)


def test_sweep_finds_no_dead_letters(local):
    assert local.invoke("SweepFunction", "sweep/schedule.json") == {"moved": 0}


def test_deliver_takes_up_what_is_due(local):
    assert local.invoke("DeliverFunction", "deliver/schedule.json") is None


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
