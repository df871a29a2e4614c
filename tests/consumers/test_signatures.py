"""Standard Webhooks' own libraries verify what the product sends, and refuse what it did not send. The library for Rust does
so in tests/end_to_end/signatures.rs."""

import json
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import standardwebhooks.webhooks
from standardwebhooks import Webhook, WebhookVerificationError

from parties import NODE, Product, Recorder, until

ANOTHER = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
TOO_OLD, NONE_MATCHES = "Message timestamp too old", "No matching signature found"


def node(requests):
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    said = subprocess.run(["node", Path(__file__).with_name("verify.mjs")], cwd=NODE, input=lines, check=True, text=True,
                          stdout=subprocess.PIPE)
    return [json.loads(line) for line in said.stdout.splitlines()]


def python(requests):
    return [_python(**request) for request in requests]


def _python(secret, headers, body, later):
    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(seconds=later)

    standardwebhooks.webhooks.datetime = Later
    try:
        Webhook(secret).verify(body, headers)
        return "verified"
    except WebhookVerificationError as error:
        return str(error)
    finally:
        standardwebhooks.webhooks.datetime = datetime


class Sent:
    """What an endpoint got of every sample, and of bodies that are unlike them: before its secret was rotated, and after."""

    def __init__(self, product, recorder):
        endpoint, self.old = product.endpoint(recorder.url)
        self.types = product.samples()
        product.send({"event": "customer.created", "data": {"uid": "letters", "name": "Żółć 🎉 \"\\ \u2028 \x7f"}})
        product.send({"event": "customer.created", "data": {"uid": "large", "name": "ü" * 60_000}})
        # The events, and that there is an endpoint.
        until(lambda: len(recorder.by_id()) >= len(self.types) + 2)
        self.once = list(recorder.by_id().values())
        self.new = product.post(f"endpoints/{endpoint}/rotate")["secret"]
        known = set(recorder.by_id())
        product.send({"event": "customer.created", "data": {"uid": "rotated"}})
        self.twice = [until(lambda: [got for id, got in recorder.by_id().items() if id not in known])[0]]


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    product, recorder = Product(tmp_path_factory.mktemp("product")), Recorder()
    try:
        yield Sent(product, recorder)
    finally:
        product.stop()
        recorder.stop()


def asked(library, requests, secret, later=0, change=lambda headers, body: (headers, body)):
    """What a library says of requests, each different answer once."""
    changed = [change(*request) for request in requests]
    return set(library([{"secret": secret, "headers": headers, "body": body, "later": later}
                        for headers, body in changed]))


LIBRARIES = pytest.mark.parametrize("library", [node, python])


@LIBRARIES
def test_every_notification_is_verified(sent, library):
    bodies = [json.loads(body) for _, body in sent.once]
    assert {body["type"] for body in bodies} >= sent.types and len(sent.types) == 43
    assert any(len(body.encode()) > 100_000 for _, body in sent.once)
    assert all(headers["webhook-id"] == body["id"] for (headers, _), body in zip(sent.once, bodies))
    assert asked(library, sent.once, sent.old) == {"verified"}


@LIBRARIES
def test_what_was_changed_is_refused(sent, library):
    def changed(headers, body):
        place = len(body) // 2
        return headers, body[:place] + ("1" if body[place] == "0" else "0") + body[place + 1:]

    assert asked(library, sent.once, sent.old, change=changed) == {NONE_MATCHES}
    other_id = lambda headers, body: ({**headers, "webhook-id": f"{headers['webhook-id']}0"}, body)  # noqa: E731
    assert asked(library, sent.once, sent.old, change=other_id) == {NONE_MATCHES}


@LIBRARIES
def test_what_is_old_is_refused(sent, library):
    assert asked(library, sent.twice, sent.old, later=290) == {"verified"}
    assert asked(library, sent.once, sent.old, later=301) == {TOO_OLD}
    # Nobody makes it young again.
    younger = lambda headers, body: (  # noqa: E731
        {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) + 301)}, body)
    assert asked(library, sent.once, sent.old, later=301, change=younger) == {NONE_MATCHES}


@LIBRARIES
def test_another_secret_is_refused(sent, library):
    assert asked(library, sent.once, ANOTHER) == {NONE_MATCHES}
    assert asked(library, sent.once, sent.new) == {NONE_MATCHES}


@LIBRARIES
def test_both_secrets_verify_while_one_replaces_the_other(sent, library):
    (headers, _), = sent.twice
    assert len(headers["webhook-signature"].split(" ")) == 2
    assert asked(library, sent.twice, sent.old) == {"verified"}
    assert asked(library, sent.twice, sent.new) == {"verified"}
    assert asked(library, sent.twice, ANOTHER) == {NONE_MATCHES}
