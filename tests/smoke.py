#!/usr/bin/env python3
"""A smoke test of a real AWS account: deploys a stack of its own, sends every sample to it, compares what it keeps with what the
local receiver keeps, sees notifications arrive, one fail and an alarm raised, and removes everything (docs/smoke-test.md).

    python3 tests/smoke.py --region eu-west-1

It needs the packages of tests/requirements.txt, and credentials that may deploy. With AWS_ENDPOINT_URL it runs in an emulator, and
skips what that does not do."""

import argparse
import base64
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from urllib.parse import quote, urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parents[1]
STACK = "bitpowr-webhooks-smoke"
RECEIVER = ROOT / "target" / "debug" / "bitpowr-webhooks"
EMULATOR = os.environ.get("AWS_ENDPOINT_URL")
# In seconds: most things happen at once, but a metric takes minutes to reach its alarm, and CloudFormation to do anything.
SOON, LATER = 180, 900
# The alarm is raised by 20 in five minutes, and five minutes may end amid these.
WRONG_SECRETS = 40
# In US dollars, from docs/costs.md.
PRICES = {"event": 17.87 / 1e6, "request refused, or to the API": 2 / 1e6, "SQS request": 0.4 / 1e6, "hour of the stack": 14.75 / 730}
# What a stack keeps when it is deleted, and log groups, which a function could make again.
KEPT = {f"AWS::{kind}" for kind in ("DynamoDB::Table", "SQS::Queue", "SecretsManager::Secret", "S3::Bucket", "Logs::LogGroup")}


class Failed(Exception):
    """A step did not do what it should."""


class Skipped(Exception):
    """A step cannot be done here."""


def until(missing, seconds=SOON):
    """Asks again until nothing is missing."""
    deadline = time.monotonic() + seconds
    while found := missing():
        if time.monotonic() > deadline:
            raise Failed(f"after {seconds} s: {found}")
        time.sleep(1)


def call(*command, may_fail=False, **more):
    """What a command printed."""
    done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    if done.returncode != 0 and not may_fail:
        raise Failed(f"{Path(command[0]).name} {command[1]}: {(done.stdout + done.stderr).strip()[-2000:]}")
    return done.stdout


def http(method, url, body=None, headers=None):
    """Status and body of an answer."""
    parts = urlsplit(url)
    if EMULATOR and ".execute-api." in parts.netloc:
        # No resolver knows the hosts of its APIs.
        url = f"{EMULATOR}{parts.path}" + (f"?{parts.query}" if parts.query else "")
    request = urllib.request.Request(url, body, {**(headers or {}), "host": parts.netloc}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def kept(get):
    """What a receiver keeps of the samples: events, states and balances, without the times at which they arrived."""
    log = get("events?limit=100")["events"]
    found = {("event", event["id"]): event["event"] for event in log}
    for entity, uid, kind in {(event["entity"]["type"], event["entity"]["uid"], event["kind"]) for event in log if event["entity"]}:
        folder = "addresses" if entity == "address" else f"{entity}s"
        state = get(f"{folder}/{quote(uid, safe='')}" + (f"?kind={kind}" if kind else ""))
        # Its history is the log once more.
        found[entity, uid, kind] = {name: value for name, value in state.items() if name not in ("history", "cursor")}
    return {**found, "balances": get("balances")["balances"]}


class Smoke:
    """One run."""

    def __init__(self, region, template, endpoint):
        self.region, self.template, self.endpoint_url = region, template, endpoint
        self.session = boto3.Session(region_name=region)
        self.environment = {**os.environ, "AWS_REGION": region, "AWS_DEFAULT_REGION": region, "SAM_CLI_TELEMETRY": "0"}
        self.account = self.client("sts").get_caller_identity()["Account"]
        # A bucket of its own for the functions: that of the SAM CLI is not this run's to remove.
        self.artifacts = f"{STACK}-{self.account}-{region}"
        self.to_remove = [("AWS::S3::Bucket", self.artifacts)]
        self.counted, self.failed, self.started = Counter(), [], time.monotonic()

    def client(self, service):
        return self.session.client(service)

    def run(self):
        """All steps; most of them only where there is a stack. With each, why an emulator cannot do it, if it cannot."""
        if not (self.step("build", self.build) and self.step("deploy", self.deploy)):
            return
        for name, act, unless in [
            ("local receiver", self.reference, None),
            ("subscriptions", self.subscriptions, None),
            ("events", self.events, None),
            ("state", self.state, None),
            ("notifications", self.notifications, None),
            ("endpoint", self.endpoint, None),
            ("doctor", self.doctor, None),
            ("resend", self.resend, None),
            ("failed publish", self.failed_publish, "it has no dead letters of subscriptions"),
            ("alarm by hand", self.alarm_by_hand, None),
            ("wrong secrets", self.wrong_secrets, None),
            ("alarm by metric", self.alarm_by_metric, "its metrics reach no alarm"),
            ("doctor in alarm", self.doctor_in_alarm, None),
        ]:
            self.step(name, act, EMULATOR and unless)

    def step(self, name, act, unless=None):
        """Does one step and prints how it went: whether it is done."""
        started = time.monotonic()
        try:
            if unless:
                raise Skipped(f"the emulator cannot: {unless}")
            verdict, said = "ok", act()
        except Skipped as why:
            verdict, said = "skipped", why
        # Whatever went wrong: what was deployed has to be removed.
        except Exception as error:
            verdict, said = "failed", f"{type(error).__name__}: {error}"
            self.failed.append(name)
        print(f"{verdict:8}{name:16}{said} ({time.monotonic() - started:.0f} s)", flush=True)
        return verdict == "ok"

    # ----------------------------------------------------------------------------------------- the stack

    def stack(self):
        """The stack, as CloudFormation has it; nothing where there is none."""
        try:
            found = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if found["StackStatus"] == "DELETE_COMPLETE" else found

    def build(self):
        if not self.template:
            call("sam", "build", env=self.environment)
            self.template = ROOT / ".aws-sam" / "build" / "template.yaml"
        call("cargo", "build", "--locked")
        return self.template

    def deploy(self):
        place = {} if self.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        self.client("s3").create_bucket(Bucket=self.artifacts, **place)
        call("sam", "deploy", "--region", self.region, "--stack-name", STACK, "--capabilities", "CAPABILITY_IAM",
             "--template-file", self.template, "--config-file", ROOT / "samconfig.toml", "--no-progressbar",
             "--no-resolve-s3", "--s3-bucket", self.artifacts, "--no-confirm-changeset",
             "--parameter-overrides", "Environment=test", env=self.environment)
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in self.stack()["Outputs"]}
        value = self.client("secretsmanager").get_secret_value(SecretId=self.outputs["WebhookSecret"])
        self.secret = value["SecretString"]
        return self.outputs["WebhookUrl"]

    def resource(self, logical_id):
        found = self.client("cloudformation").describe_stack_resource(StackName=STACK, LogicalResourceId=logical_id)
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def command(self, *arguments, may_fail=False):
        """A command over the stack: the JSON that it printed."""
        return json.loads(call(RECEIVER, *arguments, "--stack", STACK, "--json", env=self.environment, may_fail=may_fail))

    def get(self, path):
        """Asks the stack's API, as a principal of the account."""
        self.counted["request refused, or to the API"] += 1
        request = AWSRequest("GET", f"{self.outputs['ApiUrl']}/{path}")
        SigV4Auth(self.session.get_credentials(), "execute-api", self.region).add_auth(request)
        status, answer = http("GET", request.url, headers=dict(request.headers))
        if status != 200:
            raise Failed(f"GET {path} was answered {status} {answer.decode()}")
        return json.loads(answer)

    def send(self, body, secret):
        headers = {"x-webhook-secret": base64.b64encode(secret.encode()).decode(), "content-type": "application/json"}
        return http("POST", self.outputs["WebhookUrl"], body, headers)[0]

    def subscribe(self, name, topic, takes=True):
        """Subscribes a new queue to a topic, as docs/subscribe.md does: its URL. Without a policy, it takes nothing."""
        sqs = self.client("sqs")

        def arn_of(url):
            return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        url, attributes = sqs.create_queue(QueueName=f"{STACK}-{name}")["QueueUrl"], {"RawMessageDelivery": "true"}
        self.to_remove.append(("AWS::SQS::Queue", url))
        if takes:
            allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
                     "Resource": arn_of(url), "Condition": {"ArnEquals": {"aws:SourceArn": topic}}}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        else:
            letters = arn_of(self.resource("SubscriberDeadLetters"))
            attributes["RedrivePolicy"] = json.dumps({"deadLetterTargetArn": letters})
        self.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn_of(url), Attributes=attributes)
        return url

    def receive(self, url):
        """What a queue has now; it is deleted there."""
        sqs, found = self.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages"):
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                found.append(json.loads(message["Body"]))
            self.counted["SQS request"] += 1 + len(messages)
        self.counted["SQS request"] += 1
        return found

    # ----------------------------------------------------------------------------------------- the steps

    def reference(self):
        """What the local receiver makes of the samples."""
        with tempfile.TemporaryFile("w+") as printed:
            receiver = subprocess.Popen([RECEIVER, "--memory", "--port", "0", "--secret", "local"], stdout=printed, stderr=printed)
            try:
                def url():
                    printed.seek(0)
                    return printed.readline().partition(" at ")[2].partition("/webhooks/")[0]
                until(lambda: "it prints no URL" * (not url()))
                sent = call(RECEIVER, "trigger", "all", "--url", url(), "--secret", "local", "--json")
                self.samples = [json.loads(line)["event"] for line in sent.splitlines()]

                def get(path):
                    return json.loads(http("GET", f"{url()}/api/test/{path}")[1])
                until(lambda: len(self.samples) - len(get("events?limit=100")["events"]))
                self.expected = kept(get)
            finally:
                receiver.terminate()
                receiver.wait(30)
        return f"{len(self.samples)} samples"

    def subscriptions(self):
        self.programs = self.subscribe("programs", self.outputs["ProgramsTopic"])
        self.alarms = self.subscribe("alarms", self.outputs["AlarmTopic"])
        listed = [(one["protocol"], one["confirmed"]) for one in self.command("subscribe", "list")]
        if listed != [("sqs", True)]:
            raise Failed(f"subscribe list prints {listed}")
        return "a queue for programs, and one for alarms"

    def events(self):
        for name in self.samples:
            status = self.send((ROOT / "events" / "payloads" / f"{name}.json").read_bytes(), self.secret)
            if status != 200:
                raise Failed(f"{name} was answered {status}")
        self.counted["event"] += len(self.samples)
        return f"{len(self.samples)} were answered 200"

    def state(self):
        until(lambda: len(self.samples) - len(self.get("events?limit=100")["events"]))

        def differences():
            found = kept(self.get)
            return [(what, self.expected.get(what), found.get(what)) for what in self.expected.keys() | found.keys()
                    if self.expected.get(what) != found.get(what)]
        until(differences)
        return "log, states and balances are those of the local receiver"

    def notifications(self):
        # Queues keep no order, and nobody is notified of a step that was overtaken.
        missing = {event["id"] for event in self.get("events?limit=100")["events"] if event["effect"] not in ("stale", "repeat")}
        count = len(missing)

        def wait():
            missing.difference_update(message["id"] for message in self.receive(self.programs))
            return missing
        until(wait)
        return f"{count} arrived"

    def endpoint(self):
        if not self.endpoint_url:
            raise Skipped("no --endpoint; it has to be a public https service")
        added = self.command("endpoint", "add", self.endpoint_url, "--why", "smoke test")
        self.command("endpoint", "test", added["id"], "--why", "smoke test")
        return f"{added['id']} answered a test event"

    def doctor(self):
        findings = self.command("doctor", may_fail=True)
        # A new account's quota is small.
        wrong = [one for one in findings if one["verdict"] != "ok" and one["what"] != "concurrency quota"]
        if wrong:
            raise Failed(wrong)
        return ", ".join(one["what"] for one in findings)

    def resend(self):
        """Resends a notification, which one more subscriber refuses."""
        self.subscribe("refuses", self.outputs["ProgramsTopic"], takes=False)
        log = self.get("events?limit=100")["events"]
        self.resent = next(event["id"] for event in log if event["effect"] == "applied")
        self.command("resend", self.resent, "--why", "smoke test")
        until(lambda: "not notified again" * (self.resent not in [
            message["id"] for message in self.receive(self.programs) if "resend" in message]))
        return f"{self.resent} arrived again"

    def failed_publish(self):
        letters = self.resource("SubscriberDeadLetters")
        until(lambda: "no dead letter" * (self.resent not in json.dumps(self.receive(letters))))
        return "what a queue refused is in SubscriberDeadLetters"

    def alarm(self, logical_id, seconds=SOON):
        """Waits until those on call are notified of an alarm."""
        self.raised = self.resource(logical_id)

        def missing():
            told = [(message.get("AlarmName"), message.get("NewStateValue")) for message in self.receive(self.alarms)]
            return f"no message of {self.raised}" * ((self.raised, "ALARM") not in told)
        until(missing, seconds)
        return f"{logical_id} was raised, and a queue of the alarm topic was notified"

    def alarm_by_hand(self):
        name = self.resource("SweepErrorsAlarm")
        self.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="smoke test")
        return self.alarm("SweepErrorsAlarm")

    def wrong_secrets(self):
        answers = Counter(self.send(b"{}", "wrong") for _ in range(WRONG_SECRETS))
        self.counted["request refused, or to the API"] += WRONG_SECRETS
        if answers != {401: WRONG_SECRETS}:
            raise Failed(f"answered {dict(answers)}")
        return f"{WRONG_SECRETS} were answered 401"

    def alarm_by_metric(self):
        return self.alarm("UnauthenticatedAlarm", LATER)

    def doctor_in_alarm(self):
        failed = {one["what"]: one["found"] for one in self.command("doctor", may_fail=True) if one["verdict"] == "fail"}
        if self.raised not in failed.get("alarms", ""):
            raise Failed(f"{self.raised} is not in {failed}")
        return failed["alarms"]

    # ----------------------------------------------------------------------------------------- the end

    def remove(self):
        """Removes what was made, also what a deleted stack keeps."""
        failures, removed = [], set()
        try:
            self.remove_stack()
        except Exception as error:
            failures.append(str(error))

        def left():
            """What is still there; it is removed, also again: a function that ends late makes its log group anew. For a minute,
            a queue is listed that was deleted, and a table that is being deleted."""
            there = set(self.to_remove) & self.there()
            removed.update(there)
            return [f"{name}: {self.try_to_remove(kind, name)}" for kind, name in there]
        try:
            until(left)
        except Failed as still:
            failures.append(str(still))
        if failures:
            raise Failed("; ".join(failures))
        kinds = Counter(kind.rpartition(":")[2] for kind, _ in sorted(removed))
        return f"the stack, and what it keeps or was made beside it: {', '.join(f'{count} {kind}' for kind, count in kinds.items())}"

    def try_to_remove(self, kind, name):
        """Removes something: why it cannot be, if so. The rest is to be removed all the same."""
        try:
            self.remove_one(kind, name)
        except Exception as error:
            return error

    def remove_one(self, kind, name):
        if kind == "AWS::DynamoDB::Table":
            self.client("dynamodb").delete_table(TableName=name)
        elif kind == "AWS::SQS::Queue":
            self.client("sqs").delete_queue(QueueUrl=name)
        elif kind == "AWS::SecretsManager::Secret":
            self.client("secretsmanager").delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
        elif kind == "AWS::S3::Bucket":
            bucket = self.session.resource("s3").Bucket(name)
            bucket.object_versions.delete()
            bucket.delete()
        elif kind == "AWS::Logs::LogGroup":
            self.client("logs").delete_log_group(logGroupName=name)

    def remove_stack(self):
        def at_work():
            """What is still being done: what is made meanwhile would be in no list."""
            status = (self.stack() or {}).get("StackStatus", "")
            return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS" and status
        until(at_work, LATER)
        if not self.stack():
            return
        formation = self.client("cloudformation")
        for page in formation.get_paginator("list_stack_resources").paginate(StackName=STACK):
            self.to_remove += [(one["ResourceType"], one["PhysicalResourceId"]) for one in page["StackResourceSummaries"]
                               if one["ResourceType"] in KEPT and one.get("PhysicalResourceId")]
        formation.delete_stack(StackName=STACK)
        until(at_work, LATER)
        if left := self.stack():
            raise Failed(f"{left['StackStatus']} {left.get('StackStatusReason', '')}")

    def there(self):
        """What there is in the account of these kinds."""
        def names(service, operation, key, field=None, **arguments):
            for page in self.client(service).get_paginator(operation).paginate(**arguments):
                yield from (one[field] if field else one for one in page.get(key, []))
        return {(kind, name) for kind, all_names in [
            ("AWS::DynamoDB::Table", names("dynamodb", "list_tables", "TableNames")),
            ("AWS::SQS::Queue", names("sqs", "list_queues", "QueueUrls", QueueNamePrefix=STACK)),
            # CloudFormation calls it by its ARN, the emulator's by its name.
            ("AWS::SecretsManager::Secret", names("secretsmanager", "list_secrets", "SecretList", "Name" if EMULATOR else "ARN")),
            ("AWS::S3::Bucket", names("s3", "list_buckets", "Buckets", "Name")),
            ("AWS::Logs::LogGroup", names("logs", "describe_log_groups", "logGroups", "logGroupName")),
        ] for name in all_names}

    def costs(self):
        """What was counted, at list prices."""
        self.counted["hour of the stack"] = (time.monotonic() - self.started) / 3600
        print("\nAt list prices, without free tiers (docs/costs.md):")
        for what, price in PRICES.items():
            print(f"{self.counted[what]:10.2f} × ${price:.8f} = ${self.counted[what] * price:.5f}  {what}")
        print(f"about ${sum(self.counted[what] * price for what, price in PRICES.items()):.2f} together")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--region", required=True, help="the region to deploy into")
    options.add_argument("--endpoint", metavar="URL", help="a public https service that answers 2xx, to send a test event to")
    options.add_argument("--template", metavar="FILE", help="a template that `sam build` made; without it, it is built")
    options = options.parse_args()
    try:
        smoke = Smoke(**vars(options))
        exists = smoke.stack()
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"error: {error}")
    print(f"Stack {STACK} in account {smoke.account}, {smoke.region}{f', emulated at {EMULATOR}' if EMULATOR else ''}", flush=True)
    if exists:
        sys.exit(f"error: the stack {STACK} exists already. Nothing was done; docs/smoke-test.md says how to remove it.")
    # Also where whoever started this has it ignore Ctrl-C, as a shell does in the background.
    for ended in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ended, signal.default_int_handler)
    try:
        smoke.run()
    except KeyboardInterrupt:
        smoke.failed.append("interrupted")
        print("failed  interrupted     removing what was made; this is not interrupted", flush=True)
    for ended in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ended, signal.SIG_IGN)
    smoke.step("remove", smoke.remove)
    smoke.costs()
    if smoke.failed:
        sys.exit(f"error: failed: {', '.join(smoke.failed)}")


if __name__ == "__main__":
    main()
