"""The user's own service: POSTed to by the deployed receiver, over the real queues, functions and table. It comes after the
tests of the stack without endpoints."""

import base64
import contextlib
import hashlib
import hmac
import json
import time
from datetime import datetime, timezone

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from standardwebhooks import Webhook, WebhookVerificationError

from service import Service
from tools import PATIENCE, eventually


class Table:
    """The deployed table."""

    def __init__(self, stack):
        self.name, self.client = stack.outputs["Table"], stack.account.client("dynamodb")

    def put(self, item):
        self.client.put_item(TableName=self.name, Item={name: TypeSerializer().serialize(value) for name, value in item.items()})

    def partition(self, pk):
        items = self.client.query(
            TableName=self.name, ConsistentRead=True, KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}})["Items"]
        return [{name: TypeDeserializer().deserialize(value) for name, value in item.items()} for item in items]

    def endpoint(self, endpoint):
        return next((item for item in self.partition("test#endpoints") if item["sk"] == f"endpoint#{endpoint}"), None)

    def remove_endpoint(self, endpoint):
        key = {"pk": {"S": "test#endpoints"}, "sk": {"S": f"endpoint#{endpoint}"}}
        self.client.delete_item(TableName=self.name, Key=key)


def signing_secret(stack, endpoint):
    """The first secret of an endpoint, and the version of the delivery key that it is derived from."""
    value = stack.account.client("secretsmanager").get_secret_value(SecretId=stack.account.resource("DeliveryKey"))
    fields = (b"bitpowr-webhooks/endpoint", endpoint.encode(), (1).to_bytes(4, "big"))
    derived = hmac.digest(value["SecretString"].encode(),
                          b"".join(len(field).to_bytes(8, "big") + field for field in fields), hashlib.sha256)
    return f"whsec_{base64.b64encode(derived).decode()}", value["VersionId"]


@contextlib.contextmanager
def endpoint(stack, name, event):
    """An endpoint that wants events of one type: its service, and its secret."""
    service, table = Service(), Table(stack)
    secret, key_id = signing_secret(stack, name)
    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    table.put({
        "pk": "test#endpoints", "sk": f"endpoint#{name}", "id": name, "environment": "test", "url": service.url,
        "filter": {"event": [event]}, "state": "active", "created_at": now,
        "secrets": {"current": {"key_id": key_id, "number": 1}},
    })
    try:
        yield service, secret
    finally:
        table.remove_endpoint(name)
        service.server.shutdown()


def attempts(stack, event):
    """The attempts to send an event, oldest first."""
    items = Table(stack).partition(f"test#attempts#{event}")
    return items[0]["attempts"] if items else []


def event_of(stack, uid):
    return eventually(lambda: (found := stack.get(f"events?entity={uid}")["events"]) and found[0])


def test_an_address_that_is_not_public_is_not_reached(stack):
    with endpoint(stack, "ep_private", "accounts.created") as (service, _):
        stack.send_event("accounts.created", {"uid": "private"})
        event = event_of(stack, "account:private")
        attempt = eventually(lambda: attempts(stack, event["id"]))[0]
        assert attempt["error"] == "the address 127.0.0.1 is not globally routable", attempt
        assert service.posted.empty()


@pytest.fixture(scope="module")
def reaching(stack):
    """The stack, where endpoints may be on this machine."""
    stack.account.deploy("PrivateEndpoints=allow")
    return stack


def test_a_service_gets_an_event_signed_as_the_standard_says(reaching, payloads):
    stack = reaching
    sample = json.loads(payloads["transaction.deposit.success"])
    sample["data"]["uid"] = "to-a-service"
    with endpoint(stack, "ep_good", "transaction.deposit.success") as (service, secret):
        assert stack.send(json.dumps(sample).encode()) == 200
        version, headers, body = service.posted.get(timeout=PATIENCE)
        event = event_of(stack, "transaction:to-a-service")
        noted, = eventually(lambda: attempts(stack, event["id"]))

    assert version == "HTTP/1.1"
    assert {"webhook-id", "webhook-timestamp", "webhook-signature"} <= set(headers)
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == event["id"]
    sent = Webhook(secret).verify(body, headers)
    assert (sent["type"], sent["id"]) == ("transaction.deposit.success", event["id"])
    assert (sent["entity"]["uid"], sent["amount"], sent["data"]) == ("to-a-service", "0.02999761", sample["data"])
    other, _ = signing_secret(stack, "ep_another")
    for key, altered in ((secret, body.replace(b"0.02999761", b"9.02999761")), (other, body)):
        with pytest.raises(WebhookVerificationError):
            Webhook(key).verify(altered, headers)

    assert (noted["endpoint"], noted["number"], noted["status"], noted["answer"]) == ("ep_good", 1, 200, "ok")
    item, = Table(stack).partition(f"test#attempts#{event['id']}")
    assert 29 * 24 * 3600 < int(item["expires_at"]) - time.time() < 31 * 24 * 3600


def test_what_a_failing_service_has_not_got_waits_in_the_table_and_is_drained(reaching):
    stack, table = reaching, Table(reaching)
    with endpoint(stack, "ep_ill", "accounts.frozen") as (service, _):
        service.status = 500
        for number in range(5):
            stack.send_event("accounts.frozen", {"uid": f"ill-{number}"})
        ill = eventually(lambda: (found := table.endpoint("ep_ill"))["state"] == "failing" and found)
        assert ill["last_failure"]["error"] == "it answered 500"
        # What comes from now on waits at once.
        stack.send_event("accounts.frozen", {"uid": "ill-5"})
        ids = {event_of(stack, f"account:ill-{number}")["id"] for number in range(6)}
        latest = event_of(stack, "account:ill-5")["id"]

        def waiting():
            return {item["sk"].rpartition("#")[2] for item in table.partition("test#waiting#ep_ill")}
        eventually(lambda: latest in waiting())
        assert [attempt["number"] for attempt in attempts(stack, latest)] == [0]

        service.status = 200

        def drained():
            # As the schedule does, every minute.
            stack.account.client("lambda").invoke(FunctionName=stack.account.resource("DeliverFunction"), Payload=b"{}")
            last = [attempts(stack, event)[-1:] for event in ids]
            return all(attempt and attempt[0]["status"] == 200 for attempt in last) and not waiting()
        eventually(drained, 60 + PATIENCE)
        assert table.endpoint("ep_ill")["state"] == "active"
    got = {headers["webhook-id"] for _, headers, _ in service.posted.queue}
    assert got == ids


def test_a_service_that_is_gone_gets_nothing_more_and_that_is_recorded(reaching):
    stack, table = reaching, Table(reaching)
    with endpoint(stack, "ep_gone", "accounts.archived") as (service, _):
        service.status = 410
        stack.send_event("accounts.archived", {"uid": "gone"})
        eventually(lambda: table.endpoint("ep_gone")["state"] == "disabled")
        recorded, = (item for item in table.partition("test#endpoints") if item["sk"].startswith("action#ep_gone#"))
    assert (recorded["action"], recorded["who"], recorded["why"]) == ("disable_endpoint", "deliver", "it answered 410 Gone")
    assert recorded["id"] in [action["id"] for action in stack.get("actions")["actions"]]


def test_a_new_delivery_key_changes_no_secret_that_is_in_use(reaching):
    stack = reaching
    secrets, key = stack.account.client("secretsmanager"), stack.account.resource("DeliveryKey")
    # One that no function has fetched, and that is not the current one when it is needed.
    secrets.put_secret_value(SecretId=key, SecretString="the second key of this test, of more than 32 bytes")
    with endpoint(stack, "ep_before", "accounts.policy.updated") as (service, secret):
        secrets.put_secret_value(SecretId=key, SecretString="the third key of this test, of more than 32 bytes")
        stack.send_event("accounts.policy.updated", {"uid": "key"})
        _, headers, body = service.posted.get(timeout=PATIENCE)
        Webhook(secret).verify(body, headers)
        assert signing_secret(stack, "ep_before")[0] != secret
