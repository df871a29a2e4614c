"""The user's own service: POSTed to by the deployed receiver, over the real queues, functions and table, with endpoints that
are managed on the command line. It comes after the tests of the stack without endpoints."""

import contextlib
import json
import shlex
import signal
import subprocess
import time

import pytest
from boto3.dynamodb.types import TypeDeserializer
from standardwebhooks import Webhook, WebhookVerificationError

from account import BINARY, STACK, command
from rights import Person, recorded
from service import Service
from tools import PATIENCE, eventually


def run(stack, *arguments):
    """What a command prints, as JSON: it succeeds."""
    done = command(stack, *arguments)
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def typed(stack, line):
    """What people read who type a command: it succeeds."""
    done = subprocess.run([BINARY, *shlex.split(line)], env=stack.account.environment, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout


def partition(stack, pk):
    """What the deployed table has there."""
    items = stack.account.client("dynamodb").query(
        TableName=stack.outputs["Table"], ConsistentRead=True, KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": pk}})["Items"]
    return [{name: TypeDeserializer().deserialize(value) for name, value in item.items()} for item in items]


@contextlib.contextmanager
def endpoint(stack, event):
    """An endpoint that wants events of one type: its service, its id and its secret."""
    service = Service()
    added = run(stack, "endpoint", "add", service.url, "--event", event, "--why", "a test")
    try:
        yield service, added["id"], added["secret"]
    finally:
        run(stack, "endpoint", "remove", added["id"], "--why", "the test is over")
        service.server.shutdown()


def attempts(stack, event):
    """The attempts to send an event, oldest first."""
    return run(stack, "show", event)["attempts"]


def event_of(stack, uid):
    return eventually(lambda: (found := stack.get(f"events?entity={uid}")["events"]) and found[0])


def received(service):
    """The next request: its headers, and its body."""
    _, headers, body = service.posted.get(timeout=PATIENCE)
    return headers, body


@pytest.fixture(scope="module")
def reaching(stack):
    """The stack, where endpoints may be on this machine."""
    stack.account.deploy("PrivateEndpoints=allow")
    return stack


def test_a_service_gets_an_event_signed_as_the_standard_says(reaching, payloads):
    stack = reaching
    sample = json.loads(payloads["transaction.deposit.success"])
    sample["data"]["uid"] = "to-a-service"
    with endpoint(stack, "transaction.deposit.success") as (service, id, secret), \
            endpoint(stack, "accounts.frozen") as (_, _, other):
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
    for key, altered in ((secret, body.replace(b"0.02999761", b"9.02999761")), (other, body)):
        with pytest.raises(WebhookVerificationError):
            Webhook(key).verify(altered, headers)

    assert (noted["endpoint"], noted["number"], noted["status"], noted["answer"]) == (id, 1, 200, "ok")
    item, = partition(stack, f"test#attempts#{event['id']}")
    assert 29 * 24 * 3600 < int(item["expires_at"]) - time.time() < 31 * 24 * 3600


def test_an_endpoint_is_managed_over_the_stack(reaching):
    stack, service = reaching, Service()
    added = typed(stack, f"endpoint add {service.url} --family addresses --event address.flagged "
                         f"--description 'the shop' --why 'the shop credits deposits' --stack {STACK}")
    id, secret = added.split()[0], added.partition("signing secret: ")[2].split()[0]
    origin = service.url.removesuffix("hook?token=t")
    assert f"{id} was added: from now on, events of the test environment go to {origin}…\n" in added, added

    # The command that it prints sends a test, which the secret that it prints verifies.
    assert f"{id}: 200 in " in typed(stack, added.splitlines()[-1])
    headers, body = received(service)
    assert Webhook(secret).verify(body, headers)["type"] == "endpoint.test"
    listed, = run(stack, "endpoint", "list")
    assert (listed["id"], listed["url"], listed["description"], listed["state"]) == (id, f"{origin}…", "the shop", "active")
    assert listed["filter"] == {"family": ["addresses"], "event": ["address.flagged"]}
    assert listed["last_success_at"] and "token" not in typed(stack, f"endpoint list --stack {STACK}")

    # Both secrets verify what is sent while one is replaced.
    rotated = run(stack, "endpoint", "rotate", id[:12], "--why", "the secret was in a log")["secret"]
    assert rotated.startswith("whsec_") and rotated != secret
    stack.send_event("address.flagged", {"uid": "rotated", "address": "0xrotated"})
    headers, body = received(service)
    for key in (secret, rotated):
        assert Webhook(key).verify(body, headers)["entity"]["uid"] == "rotated"
    again = command(stack, "endpoint", "rotate", id, "--why", "at once")
    assert again.returncode == 1 and "24 hours" in again.stderr, again

    # What it misses while it is disabled is sent by the command that `enable` prints.
    assert run(stack, "endpoint", "disable", id, "--why", "maintenance")["state"] == "disabled"
    assert command(stack, "endpoint", "test", id, "--why", "is it up?").returncode == 1
    stack.send_event("address.flagged", {"uid": "missed", "address": "0xmissed"})
    stack.send_event("accounts.updated", {"uid": "unwanted", "name": "not selected"})
    missed = event_of(stack, "address:missed")
    eventually(lambda: [attempt["error"] for attempt in attempts(stack, missed["id"])] == ["the endpoint is disabled"])
    event_of(stack, "account:unwanted")
    assert service.posted.empty()
    enabled = typed(stack, f"endpoint enable {id} --why 'maintenance is over' --stack {STACK}")
    resent = typed(stack, f"{enabled.splitlines()[-1]} --yes")
    assert "1 events were resent" in resent, resent
    headers, body = received(service)
    assert (headers["webhook-id"], json.loads(body)["entity"]["uid"]) == (missed["id"], "missed")
    assert "resend" in json.loads(body) and service.posted.empty()

    # What is not accepted comes again after some seconds: nothing is expected after it.
    service.status = 500
    failed = command(stack, "endpoint", "test", id, "--why", "is it up?")
    assert failed.returncode == 1 and failed.stderr == f"error: the endpoint {id} did not accept the test\n", failed
    shown = typed(stack, f"endpoint show {id} --stack {STACK}")
    deeds = ["add", "test", "rotate", "disable", "enable", "test"]
    assert [line.split("_")[0] for line in shown.splitlines() if " by arn:" in line] == deeds, shown
    run(stack, "endpoint", "remove", id, "--why", "replaced")
    assert run(stack, "endpoint", "list") == []
    # Whoever did it is recorded with all of it, here and in the list of the API.
    recorded = [action for action in stack.get("actions?limit=100")["actions"] if action["target"] == {"type": "endpoint", "id": id}]
    assert [action["action"].split("_")[0] for action in reversed(recorded)] == [*deeds, "remove"]
    assert all(action["who"].startswith("arn:") for action in recorded) and recorded[0]["why"] == "replaced"
    service.server.shutdown()


def test_an_event_is_resent_to_one_endpoint_or_to_a_service_on_this_machine(reaching):
    stack, laptop = reaching, Service()
    with endpoint(stack, "customer.updated") as (service, id, secret), endpoint(stack, "customer.updated") as (other, _, _):
        stack.send_event("customer.updated", {"uid": "again", "name": "Ada"})
        first, _ = (received(one) for one in (service, other))
        event = event_of(stack, "customer:again")
        done = run(stack, "resend", event["id"], "--endpoint", id, "--why", "it was lost there")
        headers, body = received(service)
        assert Webhook(secret).verify(body, headers)["resend"]["id"] == done["action"]["id"]
        assert headers["webhook-id"] == first[0]["webhook-id"] == event["id"]

        printed = typed(stack, f"resend {event['id']} --to {laptop.url} --stack {STACK}")
        signed_with, answered = printed.splitlines()
        headers, body = received(laptop)
        assert Webhook(signed_with.split()[-1]).verify(body, headers) == json.loads(first[1])
        assert answered.startswith("<-- 200 "), printed
        laptop.status = 503
        refused = command(stack, "resend", event["id"], "--to", laptop.url)
        assert refused.returncode == 1 and "did not accept it" in refused.stderr, refused
        assert other.posted.empty()
        # What went to this machine is not recorded.
        assert len(eventually(lambda: (noted := attempts(stack, event["id"])) and len(noted) > 2 and noted)) == 3
    laptop.server.shutdown()


def test_listen_posts_what_happened_in_the_stack_and_what_happens(reaching):
    stack, laptop = reaching, Service()
    stack.send_event("accounts.created", {"uid": "before", "name": "before"})
    stack.send_event("accounts.updated", {"uid": "unwanted", "name": "not wanted"})
    event_of(stack, "account:before")
    listening = subprocess.Popen(
        [BINARY, "listen", "--stack", STACK, "--forward-to", laptop.url, "--since", "2h", "--event", "accounts.created"],
        env=stack.account.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        lines = [listening.stdout.readline() for _ in range(3)]
        assert f"Events of {STACK} (test) go to" in lines[0], lines
        secret, uids = lines[1].split()[-1], []

        def came(uid):
            while uid not in uids:
                headers, body = received(laptop)
                event = Webhook(secret).verify(body, headers)
                assert event["type"] == "accounts.created"
                uids.append(event["entity"]["uid"])
                sent, answered = (listening.stdout.readline() for _ in range(2))
                assert sent == f"--> accounts.created {event['id']}\n" and answered.startswith("<-- 200 "), (sent, answered)
            return True
        assert came("before")
        stack.send_event("accounts.created", {"uid": "live", "name": "live"})
        assert came("live") and len(uids) == len(set(uids))
    finally:
        listening.send_signal(signal.SIGINT)
        rest = listening.communicate(timeout=30)
    assert listening.returncode == 0 and rest == ("", ""), rest
    laptop.server.shutdown()


def test_the_rights_of_people_suffice_for_what_they_type_and_no_command_asks_for_more(reaching):
    """Each line is run by a user to whom these policies are attached; what it asks of AWS is recorded, and held against them."""
    stack, service = reaching, Service()
    reader = Person(stack, "reader", "ReaderPolicy")
    configurer = Person(stack, "configurer", "ReaderPolicy", "ConfigurePolicy")
    operator = Person(stack, "operator", "ReaderPolicy", "OperatorPolicy", "RebuildPolicy")
    stack.send_event("accounts.policy.updated", {"uid": "rights"})
    event = event_of(stack, "account:rights")["id"]

    with recorded(stack.account.endpoint) as (address, seen):
        def done(person, *arguments):
            seen.clear()
            done = command(stack, *arguments, AWS_ENDPOINT_URL=address, **person.variables)
            assert done.returncode == 0 and not done.stderr, done
            assert seen and not [call for call in seen if not person.may(call)], arguments
            return json.loads(done.stdout.splitlines()[0]), {call.action for call in seen}

        def writes(asked):
            return {action for action in asked if action.removeprefix("dynamodb:") in ("PutItem", "UpdateItem", "DeleteItem")}

        added, asked = done(configurer, "endpoint", "add", service.url, "--event", "accounts.policy.updated", "--why", "a test")
        assert writes(asked) == {"dynamodb:PutItem"} and "secretsmanager:GetSecretValue" in asked
        why = (added["id"], "--why", "a test")
        _, asked = done(configurer, "endpoint", "test", *why)
        assert writes(asked) == {"dynamodb:PutItem"}
        for change in ("rotate", "disable", "enable"):
            assert writes(done(configurer, "endpoint", change, *why)[1]) == {"dynamodb:PutItem", "dynamodb:UpdateItem"}
        for looking in (["endpoint", "list"], ["endpoint", "show", added["id"]], ["log"], ["show", event],
                        ["resend", event, "--to", service.url]):
            _, asked = done(reader, *looking)
            assert not writes(asked) and "secretsmanager:GetSecretValue" not in asked, looking
        for resend in ([event], ["--from", "2h", "--event", "accounts.policy.updated", "--yes"]):
            _, asked = done(operator, "resend", *resend, "--endpoint", added["id"], "--why", "a test")
            assert writes(asked) == {"dynamodb:PutItem"}
        _, asked = done(configurer, "endpoint", "remove", *why)
        assert writes(asked) == {"dynamodb:PutItem", "dynamodb:DeleteItem"}

        # Who only acts does not say where events go; who only looks changes nothing.
        for person in (operator, reader):
            seen.clear()
            command(stack, "endpoint", "add", service.url, "--why", "a test", AWS_ENDPOINT_URL=address, **person.variables)
            assert [call for call in seen if not person.may(call)]
    service.server.shutdown()


def test_what_a_failing_service_has_not_got_waits_in_the_table_and_is_drained(reaching):
    stack = reaching
    with endpoint(stack, "accounts.frozen") as (service, id, _):
        service.status = 500
        for number in range(5):
            stack.send_event("accounts.frozen", {"uid": f"ill-{number}"})
        ill = eventually(lambda: (found := run(stack, "endpoint", "show", id))["state"] == "failing" and found)
        assert ill["last_failure"]["error"] == "it answered 500"
        # What comes from now on waits at once.
        stack.send_event("accounts.frozen", {"uid": "ill-5"})
        ids = {event_of(stack, f"account:ill-{number}")["id"] for number in range(6)}
        latest = event_of(stack, "account:ill-5")["id"]

        def waiting():
            return {item["sk"].rpartition("#")[2] for item in partition(stack, f"test#waiting#{id}")}
        eventually(lambda: latest in waiting())
        assert [attempt["number"] for attempt in attempts(stack, latest)] == [0]

        service.status = 200

        def drained():
            # As the schedule does, every minute.
            stack.account.client("lambda").invoke(FunctionName=stack.account.resource("DeliverFunction"), Payload=b"{}")
            last = [attempts(stack, event)[-1:] for event in ids]
            return all(attempt and attempt[0]["status"] == 200 for attempt in last) and not waiting()
        eventually(drained, 60 + PATIENCE)
        shown = run(stack, "endpoint", "show", id)
        assert (shown["state"], shown["waiting"]) == ("active", {"count": 0, "more": False})
    got = {headers["webhook-id"] for _, headers, _ in service.posted.queue}
    assert got == ids


def test_a_service_that_is_gone_gets_nothing_more_and_that_is_recorded(reaching):
    stack = reaching
    with endpoint(stack, "accounts.archived") as (service, id, _):
        service.status = 410
        stack.send_event("accounts.archived", {"uid": "gone"})
        shown = eventually(lambda: (found := run(stack, "endpoint", "show", id))["state"] == "disabled" and found)
        action = shown["actions"][-1]
    assert (action["action"], action["who"], action["why"]) == ("disable_endpoint", "deliver", "it answered 410 Gone")
    assert action["id"] in [action["id"] for action in stack.get("actions")["actions"]]


def test_a_new_delivery_key_changes_no_secret_that_is_in_use(reaching):
    stack = reaching
    secrets, key = stack.account.client("secretsmanager"), stack.account.resource("DeliveryKey")
    # One that no function has fetched, and that is not the current one when it is needed.
    secrets.put_secret_value(SecretId=key, SecretString="the second key of this test, of more than 32 bytes")
    with endpoint(stack, "accounts.policy.updated") as (service, id, secret):
        secrets.put_secret_value(SecretId=key, SecretString="the third key of this test, of more than 32 bytes")
        stack.send_event("accounts.policy.updated", {"uid": "key"})
        headers, body = received(service)
        Webhook(secret).verify(body, headers)
        # A new secret is derived from the new key.
        rotated = run(stack, "endpoint", "rotate", id, "--why", "the key is new")["secret"]
        stack.send_event("accounts.policy.updated", {"uid": "new key"})
        headers, body = received(service)
        for current in (secret, rotated):
            Webhook(current).verify(body, headers)


def test_an_address_that_is_not_public_is_not_reached_and_not_added(reaching):
    """It comes last: the stack allows private endpoints no longer."""
    stack = reaching
    with endpoint(stack, "accounts.created") as (service, _, _):
        stack.account.deploy("PrivateEndpoints=refuse")
        stack.send_event("accounts.created", {"uid": "private"})
        event = event_of(stack, "account:private")
        attempt = eventually(lambda: attempts(stack, event["id"]))[0]
        assert attempt["error"] == "the address 127.0.0.1 is not globally routable", attempt
        assert service.posted.empty()
        for url, says in ((service.url, "`url` starts with https://."),
                          ("https://127.0.0.1/hook", "the address 127.0.0.1 is not globally routable")):
            refused = command(stack, "endpoint", "add", url, "--why", "a test")
            assert refused.returncode == 1 and refused.stderr == f"error: {says}\n", refused
