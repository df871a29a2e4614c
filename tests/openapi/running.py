"""The product, running on this machine with data of every sort."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from itertools import takewhile

import requests

from description import ROOT

sys.path.insert(0, str(ROOT / "shared" / "vectors"))
import generate as seals  # noqa: E402

BINARY = os.environ.get("BITPOWR_BINARY", ROOT / "target" / "debug" / "bitpowr-webhooks")
SECRET = "local-secret"
PLURALS = {"transaction": "transactions", "account": "accounts", "asset": "assets", "address": "addresses",
           "customer": "customers"}
# How long something may take that takes a second at rest. A delivery that fails is tried again after 2, 4, 8 and 16
# seconds: half a minute in all, which a limit has to exceed.
PATIENCE = 90
NOBODY = "http://127.0.0.1:1/"
AUTHENTIC = {"x-webhook-secret": seals.std(SECRET.encode()), "content-type": "application/json"}


class Product:
    """A running product, and what it has printed."""

    def __init__(self):
        command = [BINARY, "serve", "--memory", "--port", "0", "--secret", SECRET, "--aws-endpoint", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        # Where it listens, up to an empty line.
        self.printed = list(takewhile(str.strip, self.process.stdout))
        self.url = re.search(r"http://[0-9.:]+", self.printed[0]).group()
        self.queues = re.search(r"AWS services.* (http://\S+)", "".join(self.printed)).group(1)
        # It stops where nobody reads what it prints.
        threading.Thread(target=lambda: self.printed.extend(self.process.stdout), daemon=True).start()
        self.session = requests.Session()

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    def ask(self, method, path, **options):
        return self.session.request(method, self.url + path, timeout=30, **options)

    def get(self, path, **options):
        return self.ask("GET", path, **options)

    def act(self, path, why="a test", **headers):
        return self.ask("POST", path, json={"why": why}, headers=headers)

    def receive(self, body, environment="test"):
        """Sends a webhook; `body` is an object or bytes."""
        body = body if isinstance(body, bytes) else json.dumps(body)
        return self.ask("POST", f"/webhooks/{environment}", data=body, headers=AUTHENTIC)

    def hand_over(self, queue, message):
        """Puts a message into a queue, as SQS would take it."""
        headers = {"x-amz-target": "AmazonSQS.SendMessage",
                   "authorization": "AWS4-HMAC-SHA256 Credential=local/20260101/eu-west-1/sqs/aws4_request"}
        answer = requests.post(self.queues, timeout=30, headers=headers,
                               data=json.dumps({"QueueUrl": queue, "MessageBody": json.dumps(message)}))
        answer.raise_for_status()

    def settle(self):
        """Waits until everything that was accepted is applied."""
        until = time.monotonic() + PATIENCE
        while any(queue["waiting"] + queue["in_flight"] for queue in self.get("/api/test/health").json()["queues"]):
            assert time.monotonic() < until, "deliveries are still waiting"
            time.sleep(0.05)

    def add_endpoint(self, key=None, environment="test"):
        """The id of an endpoint that nobody answers at; the same key names the same one."""
        answer = self.ask("POST", f"/api/{environment}/endpoints", json={"url": NOBODY, "why": "a test"},
                          headers={"Idempotency-Key": key} if key else {})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def notifications(self):
        return [json.loads(line) for line in self.printed if line.startswith("{")]

    def fill(self):
        """Gives it the samples, and what they have no example of."""
        for environment in ("test", "live"):
            subprocess.run([BINARY, "trigger", "all", "--env", environment, "--url", self.url, "--secret", SECRET],
                           check=True, stdout=subprocess.DEVNULL)
        for body in (
            transaction("deposit.created", "both-ways"), transaction("transfer.created", "both-ways"),
            transaction("deposit.success", "overtaken"), transaction("deposit.pending", "overtaken"),
            transaction("deposit.success", "contradicted"), transaction("deposit.success", "contradicted", amount="2"),
            transaction("deposit.success", "odd", amount="1,5"),
            {"event": "assets.created", "data": {"uid": "8413b8c0-fed5-4f41-a7bf-623fefbca812", "label": "another"}},
            {"event": "nobody.knows", "data": {"a": None}},
        ):
            assert self.receive(body).status_code == 200
        for body in (b"garbage", b"\xff", b"x" * 140_000):
            assert self.receive(body).status_code in (400, 413)
        late = transaction("deposit.created", "late")
        self.hand_over("deposits", sealed(late, reason="not_applied", detail="It could not be applied for three days."))
        self.settle()
        # The first of them is the one of the examples.
        self.endpoints = {key: self.add_endpoint(key) for key in ("the-shop", "the-books")}
        self.known = self._known()
        for key in ("one", "two"):
            resent = self.known["events"]["applied"]
            assert self.act(f"/api/test/events/{resent}/resend", **{"Idempotency-Key": key}).status_code == 200

    def _known(self):
        """By the plural of what it is, some of what there is: few, so that each is asked for. Of events there is one of
        each effect, of the quarantine one of each reason."""
        events = self.get("/api/test/events?limit=100").json()["events"]
        bodies = self.get("/api/test/quarantine").json()["quarantine"]
        known = {
            "events": {event["effect"]: event["id"] for event in events},
            "quarantine": {body["reason"]: body["id"] for body in bodies},
            "endpoints": self.endpoints,
        }
        for entity in (event["entity"] for event in events if event["entity"]):
            some = known.setdefault(PLURALS[entity["type"]], {})
            if len(some) < 5:
                some[entity["uid"]] = entity["uid"]
        return known


def transaction(event, uid, **fields):
    return {"event": f"transaction.{event}", "data": {
        "uid": uid, "accountId": "an-account", "assetType": "BTC", "amount": "0.5", **fields}}


def sealed(body, reason="", detail=""):
    """A delivery of the family `deposits`, as it is on its way; with a reason, to quarantine."""
    body = json.dumps(body)
    fields = {"key_id": "development", "environment": "test", "family": "deposits", "event": "",
              "received_at": "2026-11-01T00:00:00.000Z", "delivery_id": "sealed", "reason": reason, "detail": detail}
    parts = seals.frame(seals.mac_parts(fields, body.encode()))
    return {"version": 1, **fields, "body": body,
            "seal": seals.seal_text(seals.mac(b"a sealing key for development only", parts))}
