"""The deployed receiver: events in through API, queue, the real functions and the stream; sent to subscribers."""

import http.server
import json
import queue
import re
import subprocess
import threading
import time
import urllib.request

from account import BINARY, FAMILIES, STACK, command
from tools import PATIENCE, ROOT, eventually


def test_every_event_type_goes_through_the_deployed_stack(stack, payloads):
    everything = stack.subscribe_queue("everything", stack.outputs["ProgramsTopic"])
    successes = stack.subscribe_queue(
        "successes", stack.outputs["ProgramsTopic"], {"status": ["success"], "family": ["deposits", "transfers"]})
    people = stack.subscribe_queue("people", stack.outputs["PeopleTopic"])

    for name, body in payloads.items():
        assert stack.send(body) == 200, name

    log = eventually(lambda: (log := stack.log()) and len(log) == 43 and log)
    assert {event["event"] for event in log} == set(payloads)
    sent, selected = [], []
    # A queue keeps no order: a step that was overtaken is not notified.
    expected = {event["event"] for event in log if event["effect"] not in ("stale", "repeat")}
    assert len(expected) > 30

    def all_sent():
        sent.extend(stack.receive(everything))
        missing = expected - {event["event"] for event in sent}
        print("not sent yet:", missing, "sent besides:", {event["event"] for event in sent} - expected)
        return not missing
    eventually(all_sent)

    def all_selected():
        selected.extend(stack.receive(successes))
        return {event["event"] for event in selected} >= {"transaction.deposit.success", "transaction.transfer.success"}
    eventually(all_selected)
    assert {event["event"] for event in selected} == {"transaction.deposit.success", "transaction.transfer.success"}
    assert eventually(lambda: stack.account.client("sqs").receive_message(QueueUrl=people).get("Messages"))

    balances = {balance["asset"]: balance for balance in stack.get("balances")["balances"]}
    assert balances["BTC"]["received"] == "0.02999761"
    assert balances["ETH"]["sent"] == "0.450000000000000001"
    deposit = stack.get("transactions/80009100-efc7-49b3-b008-08903fa748c4")
    assert (deposit["status"], deposit["amount"]) == ("success", "0.02999761")


def test_an_http_subscriber_confirms_and_gets_what_its_filter_selects(stack):
    posted = queue.Queue()

    class Subscriber(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            posted.put((self.headers["x-amz-sns-message-type"], json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Subscriber)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sns = stack.account.client("sns")
    try:
        # The emulator calls no endpoint over TLS whose certificate nobody signed; AWS does the same with https.
        sns.subscribe(
            TopicArn=stack.outputs["ProgramsTopic"], Protocol="http",
            Endpoint=f"http://127.0.0.1:{server.server_port}/",
            Attributes={"FilterPolicy": json.dumps({"event": ["accounts.archived"], "environment": ["test"]})})
        kind, message = posted.get(timeout=PATIENCE)
        assert (kind, message["Type"]) == ("SubscriptionConfirmation", "SubscriptionConfirmation")
        sns.confirm_subscription(TopicArn=message["TopicArn"], Token=message["Token"])
        stack.send_event("accounts.updated", {"uid": "http", "name": "not selected"})
        stack.send_event("accounts.archived", {"uid": "http", "name": "selected"})
        kind, message = posted.get(timeout=PATIENCE)
        assert (kind, message["Type"]) == ("Notification", "Notification")
        sent = json.loads(message["Message"])
        assert (sent["event"], sent["entity"]["uid"]) == ("accounts.archived", "http")
        assert message["MessageAttributes"]["event"]["Value"] == "accounts.archived"
    finally:
        server.shutdown()


def test_who_does_not_know_the_secret_is_refused(stack):
    assert stack.send(b"{}", secret="wrong") == 401
    assert stack.send(b"{}", environment="live") == 404
    assert stack.request("GET", "/webhooks/test")[0] == 405


def test_what_is_sent_to_a_wrong_path_is_answered_logged_and_counted(stack):
    assert stack.send(b'{"event":"accounts.created","data":{"uid":"slash"}}', environment="test/") == 200
    for mistyped in ("tset", "test/webhooks", "Live", "test//"):
        assert stack.send(b"{}", environment=mistyped) == 404, mistyped
    logs = stack.account.client("logs")

    def seen():
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{STACK}-ingest")
        text = "".join(event["message"] for page in pages for event in page["events"])
        return "webhooks/tset" in text and re.search(r'"outcome": ?"not_found"', text)
    eventually(seen)


def test_each_family_runs_code_of_its_own(stack):
    """One path for all in the template's loop would give every family the first one's, and nothing else would say so."""
    client = stack.account.client("lambda")
    hashes = {client.get_function_configuration(FunctionName=f"{STACK}-{family}")["CodeSha256"] for family in FAMILIES}
    assert len(hashes) == len(FAMILIES) == 10


def test_what_cannot_be_read_is_kept_in_quarantine(stack):
    assert stack.send(b"not json") == 400
    kept = eventually(lambda: (page := stack.get("quarantine")) and page["quarantine"])
    assert (kept[0]["reason"], kept[0]["raw"]) == ("not_json", "not json")


def test_a_poison_delivery_ends_in_its_own_familys_dead_letters_and_a_redrive_is_applied(stack):
    account = stack.account
    sqs = account.client("sqs")
    queue, dead_letters = account.resource("customersQueue"), account.resource("customersDeadLetters")
    before = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout", "RedrivePolicy"])["Attributes"]
    arn = json.loads(before["RedrivePolicy"])["deadLetterTargetArn"]
    # Two quick tries instead of six hours of them.
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={
        "VisibilityTimeout": "2", "RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "2"})})
    iam = account.client("iam")
    role = account.resource("customersRole")
    policy = iam.get_role_policy(RoleName=role, PolicyName="uses")["PolicyDocument"]
    try:
        # A fault of this family alone: it may not write the table.
        broken = {**policy, "Statement": [s for s in policy["Statement"] if s.get("Sid") != "Apply"]}
        iam.put_role_policy(RoleName=role, PolicyName="uses", PolicyDocument=json.dumps(broken))
        stack.send_event("customer.created", {"uid": "poisoned"})
        stack.send_event("accounts.created", {"uid": "goes-on"})
        eventually(lambda: stack.get("accounts/goes-on"))

        def arrived():
            found = sqs.receive_message(QueueUrl=dead_letters, VisibilityTimeout=1).get("Messages")
            return found and found[0]
        letter = eventually(arrived)
        assert json.loads(letter["Body"])["family"] == "customers"
        assert stack.get("customers/poisoned") is None
    finally:
        iam.put_role_policy(RoleName=role, PolicyName="uses", PolicyDocument=json.dumps(policy))
        sqs.set_queue_attributes(QueueUrl=queue, Attributes=before)

    # The fault is mended: send the letter back.
    def redrive():
        for message in sqs.receive_message(QueueUrl=dead_letters, VisibilityTimeout=5).get("Messages", []):
            sqs.send_message(QueueUrl=queue, MessageBody=message["Body"])
            sqs.delete_message(QueueUrl=dead_letters, ReceiptHandle=message["ReceiptHandle"])
        return stack.get("customers/poisoned")
    assert eventually(redrive)["status"] == "active"


def test_a_forged_message_in_a_queue_is_not_believed(stack):
    sqs = stack.account.client("sqs")
    queue = stack.account.resource("depositsQueue")
    body = json.dumps({"event": "transaction.deposit.success",
                       "data": {"uid": "forged", "amount": "1000000", "assetType": "BTC", "accountId": "a"}})
    envelope = {"version": 1, "key_id": "k", "environment": "test", "family": "deposits",
                "event": "transaction.deposit.success", "received_at": "2026-11-23T00:00:00.000Z",
                "delivery_id": "d", "reason": "", "detail": "", "body": body, "seal": "A" * 43}
    for message in (body, json.dumps(envelope)):
        sqs.send_message(QueueUrl=queue, MessageBody=message)
    stack.send_event("transaction.deposit.success", {"uid": "genuine", "amount": "1", "assetType": "BTC"})
    eventually(lambda: stack.get("transactions/genuine"))
    time.sleep(2)
    assert stack.get("transactions/forged") is None
    sqs.purge_queue(QueueUrl=queue)


def test_a_secret_that_is_rotated_while_events_arrive_refuses_none(stack):
    secrets = stack.account.client("secretsmanager")
    secret_id = stack.outputs["WebhookSecret"]
    old = stack.secret()
    for number in range(3):
        assert stack.send(json.dumps({"event": "accounts.updated", "data": {"uid": "r", "name": f"a{number}"}}).encode(), old) == 200
    secrets.put_secret_value(SecretId=secret_id, SecretString="the-next-secret-of-this-test")
    # The sender still uses the old one, and changes at some moment.
    for number in range(3):
        assert stack.send(json.dumps({"event": "accounts.updated", "data": {"uid": "r", "name": f"b{number}"}}).encode(), old) == 200

    def accepted():
        body = json.dumps({"event": "accounts.updated", "data": {"uid": "r", "name": "c"}}).encode()
        return stack.send(body, "the-next-secret-of-this-test") == 200
    # A function fetches anew at most once a minute.
    eventually(accepted, 60 + PATIENCE)
    assert stack.send(b"{}", "something else") == 401


def test_deploying_again_changes_nothing_and_an_update_loses_nothing(stack):
    before = {event["id"] for event in stack.log()}
    assert "No changes to deploy" in stack.account.deploy()
    stack.send_event("accounts.created", {"uid": "before-the-update"})
    stack.account.deploy("LogRetentionDays=14")
    stack.send_event("accounts.created", {"uid": "after-the-update"})
    eventually(lambda: stack.get("accounts/before-the-update") and stack.get("accounts/after-the-update"))
    # Not by their number: what an earlier test sent may still have been on its way when they were counted.
    assert before <= {event["id"] for event in stack.log()}


def test_a_dead_letter_that_is_young_or_forged_is_not_swept(stack):
    sqs = stack.account.client("sqs")
    dead_letters = stack.account.resource("assetsDeadLetters")
    sqs.send_message(QueueUrl=dead_letters, MessageBody="forged")
    answer = stack.account.client("lambda").invoke(FunctionName=stack.account.resource("SweepFunction"), Payload=b"{}")
    assert json.loads(answer["Payload"].read()) == {"moved": 0}
    depth = sqs.get_queue_attributes(QueueUrl=dead_letters, AttributeNames=["All"])["Attributes"]
    assert int(depth["ApproximateNumberOfMessages"]) + int(depth["ApproximateNumberOfMessagesNotVisible"]) == 1


def test_every_family_has_its_bulkhead(stack):
    sqs, names = stack.account.client("sqs"), set()
    for family in FAMILIES:
        attributes = sqs.get_queue_attributes(
            QueueUrl=stack.account.resource(f"{family}Queue"), AttributeNames=["All"])["Attributes"]
        redrive = json.loads(attributes["RedrivePolicy"])
        tried = int(attributes["VisibilityTimeout"]) * int(redrive["maxReceiveCount"])
        assert int(attributes["VisibilityTimeout"]) >= 6 * 30 and tried > 6 * 3600
        names.add(redrive["deadLetterTargetArn"])
    assert len(names) == len(FAMILIES)


def test_what_is_derived_in_the_deployed_table_can_be_derived_again(stack):
    def rebuild():
        done = command(stack, "rebuild", "--check")
        report = json.loads(done.stdout)
        assert done.returncode == 0 and not report["differences"] and not report["imbalances"], done
        return report["events"] >= 43 and report["busy"] == 0
    eventually(rebuild)


def test_an_event_is_found_and_resent_over_the_stack(stack):
    sent = stack.subscribe_queue("again", stack.outputs["ProgramsTopic"], {"resend": ["true"]})
    stack.send_event("transaction.deposit.success", {
        "uid": "again", "amount": "1", "assetType": "BTC", "hash": "0xagain", "updatedAt": "2026-01-01T00:00:00Z"})

    def found():
        done = command(stack, "log", "--hash", "0xagain")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip() and json.loads(done.stdout.splitlines()[0])
    event = eventually(found)
    assert event["entity"]["uid"] == "again"
    done = command(stack, "resend", event["id"], "--why", "the shop was down")
    assert done.returncode == 0, done.stderr
    action = json.loads(done.stdout)["action"]
    assert action["who"].startswith("arn:"), action

    messages = []

    def resent():
        messages.extend(stack.receive(sent))
        return messages
    message, = eventually(resent)
    assert (message["id"], message["resend"]["id"]) == (event["id"], action["id"])
    # The function that acts, with its own role, does the same.
    status, answer = stack.request(
        "POST", f"/api/test/events/{event['id']}/resend", b'{"why": "over HTTP"}', {"content-type": "application/json"})
    shown = json.loads(command(stack, "show", event["id"]).stdout)
    if status == 200:
        assert [done["why"] for done in shown["actions"]] == ["the shop was down", "over HTTP"]
    else:
        # Nothing in the emulator says who asks; then nobody may act.
        assert status == 403 and len(shown["actions"]) == 1, answer


def test_people_get_what_their_filter_selects(stack):
    """The attributes of a message with a text per protocol reach no subscriber, but its filter."""
    selected = stack.subscribe_queue("selected", stack.outputs["PeopleTopic"], {"asset": ["FILTERED"]})
    stack.send_event("transaction.deposit.success", {"uid": "f1", "amount": "1", "assetType": "OTHER"})
    stack.send_event("transaction.deposit.success", {"uid": "f2", "amount": "2", "assetType": "FILTERED"})
    sqs = stack.account.client("sqs")
    bodies = []

    def sent():
        bodies.extend(message["Body"] for message in sqs.receive_message(QueueUrl=selected).get("Messages", []))
        return bodies
    eventually(sent)
    assert all("FILTERED" in body for body in bodies), bodies


def test_dead_letters_are_seen_and_put_back_over_the_stack(stack):
    sqs, letters = stack.account.client("sqs"), stack.account.resource("contractsDeadLetters")
    sqs.send_message(QueueUrl=letters, MessageBody="forged")
    queues = {queue["family"]: queue for queue in json.loads(command(stack, "dead-letters", "list").stdout)}
    assert queues["contracts"]["dead_letters"] == 1
    done = command(stack, "dead-letters", "redrive", "contracts", "--why", "to see")
    assert json.loads(done.stdout) == {"moved": {"contracts": 1}}, done
    sqs.purge_queue(QueueUrl=stack.account.resource("contractsQueue"))


def test_doctor_looks_at_the_whole_stack(stack):
    done = command(stack, "doctor")
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert {"versions", "webhook secret", "subscriptions", "alarms", "concurrency quota", "dead letters"} <= set(findings)
    assert findings["versions"]["verdict"] == "ok", findings
    assert findings["webhook secret"]["verdict"] == "ok", findings
    # A subscriber that never confirmed is what doctor is for.
    sns = stack.account.client("sns")
    sns.subscribe(TopicArn=stack.outputs["ProgramsTopic"], Protocol="http", Endpoint="http://127.0.0.1:9/never")
    done = command(stack, "doctor")
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert done.returncode == 1 and "127.0.0.1:9/never" in findings["subscriptions"]["found"], findings


def test_doctor_fails_while_nobody_has_confirmed_to_be_sent_alarms(stack):
    def found():
        findings = {finding["what"]: finding for finding in json.loads(command(stack, "doctor").stdout)}
        return findings["alarm recipients"]
    assert (found()["verdict"], found()["found"].split(":")[0]) == ("fail", "nobody is sent alarms")
    stack.subscribe_queue("on-call", stack.outputs["AlarmTopic"])
    assert found() == {"what": "alarm recipients", "verdict": "ok", "found": "1, all confirmed"}


def test_subscribe_makes_a_subscription_with_a_filter(stack):
    done = command(stack, "subscribe", "email", "treasury@example.com", "--family", "deposits", "--least", "100")
    assert done.returncode == 0, done.stderr
    listed = json.loads(command(stack, "subscribe", "list").stdout)
    assert "treasury@example.com" in [one["endpoint"] for one in listed]


def test_console_serves_the_page_over_the_stack(stack):
    console = subprocess.Popen(
        [BINARY, "console", "--stack", STACK, "--port", "0"], env=stack.account.environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        url = console.stdout.readline().split(": ")[-1].strip()

        def get(path):
            with urllib.request.urlopen(url.rstrip("/") + path, timeout=60) as answer:
                return answer.read().decode()
        assert "<html" in get("/")
        config = json.loads(get("/config.json"))
        assert (config["stack"], config["environments"]) == (STACK, ["test"])
        assert json.loads(get("/api/test/events"))["events"]
    finally:
        console.terminate()
        console.wait(30)


def test_whoever_does_not_say_who_they_are_learns_nothing(stack):
    """The function itself, behind whatever stands before it."""
    event = json.loads((ROOT / "events" / "api" / "events.json").read_text())
    client = stack.account.client("lambda")

    def status(function, event):
        answer = client.invoke(FunctionName=stack.account.resource(function), Payload=json.dumps(event).encode())
        return json.loads(answer["Payload"].read())["statusCode"]
    assert status("ApiFunction", event) == 200
    resend = json.loads((ROOT / "events" / "actions" / "redrive.json").read_text())
    assert status("ActionsFunction", resend) == 200
    for event, function in ((event, "ApiFunction"), (resend, "ActionsFunction")):
        del event["requestContext"]["authorizer"]
        assert status(function, event) == 403
