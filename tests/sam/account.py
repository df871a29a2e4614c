"""An emulated AWS account (MiniStack, with IAM enforced as far as it can), and the stack deployed into it."""

import base64
import contextlib
import json
import subprocess
import urllib.error
import urllib.request

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from samcli.yamlhelper import yaml_dump, yaml_parse

from tools import ROOT, TOOLS, end, environment, eventually, free_port

STACK = "bitpowr-webhooks-test"
BINARY = ROOT / "target" / "debug" / "bitpowr-webhooks"
FAMILIES = [
    "accounts", "assets", "addresses", "customers", "deposits",
    "transfers", "compliance", "contracts", "legacy", "unrecognised",
]


def in_numbers(value, concurrency):
    """Writes the families' concurrency as a number: that of a parameter is a text to the emulator, and ends its polling."""
    if isinstance(value, dict):
        if "MaximumConcurrency" in value and isinstance(value["MaximumConcurrency"], dict):
            assert value["MaximumConcurrency"] == {"Ref": "FamilyConcurrency"}
            value["MaximumConcurrency"] = concurrency
        for part in value.values():
            in_numbers(part, concurrency)
    elif isinstance(value, list):
        for part in value:
            in_numbers(part, concurrency)


class Account:
    """An emulated AWS account, and the stack in it."""

    def __init__(self, port):
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        self.environment = environment(
            AWS_ENDPOINT_URL=self.endpoint, AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test",
            AWS_DEFAULT_REGION="eu-west-1",
        )

    def client(self, service):
        return boto3.client(
            service, endpoint_url=self.endpoint, region_name="eu-west-1",
            aws_access_key_id="test", aws_secret_access_key="test",
        )

    def emulated(self, change=None):
        """The template that `sam build` made, beside it, with this emulator in the place of AWS, and changed."""
        built = ROOT / ".aws-sam" / "build" / "template.yaml"
        emulated = built.with_name(f"emulated-{self.port}.yaml")
        self.write(yaml_parse(built.read_text()), emulated, change)
        return emulated

    def write(self, template, file, change=None):
        """Writes a template with this emulator in the place of AWS, and changed."""
        template["Mappings"]["Emulator"]["Endpoint"]["url"] = self.endpoint
        in_numbers(template, template["Parameters"]["FamilyConcurrency"]["Default"])
        if change:
            change(template)
        file.write_text(yaml_dump(template))

    def try_to_deploy(self, *overrides, stack=STACK, change=None):
        """`sam deploy`, as it ended; of a template that is changed."""
        command = [
            TOOLS / "sam", "deploy", "--config-env", "test", "--region", "eu-west-1", "--stack-name", stack,
            # Beside another template it would look for other settings.
            "--template-file", self.emulated(change), "--config-file", ROOT / "samconfig.toml",
            "--no-resolve-s3", "--s3-bucket", "artifacts", "--no-progressbar",
            "--parameter-overrides", "Environment=test", *overrides,
        ]
        return subprocess.run(command, cwd=ROOT, env=self.environment, text=True, timeout=300,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def deploy(self, *overrides, stack=STACK):
        """`sam deploy`: what it printed. Fails where it fails."""
        done = self.try_to_deploy(*overrides, stack=stack)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def outputs(self):
        stack = self.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def resource(self, logical_id):
        found = self.client("cloudformation").describe_stack_resource(StackName=STACK, LogicalResourceId=logical_id)
        return found["StackResourceDetail"]["PhysicalResourceId"]


class Stack:
    """The deployed receiver, as a sender and a subscriber see it."""

    def __init__(self, account):
        self.account = account
        self.outputs = account.outputs()
        self.api_id = self.outputs["HttpApi"]

    def secret(self):
        value = self.account.client("secretsmanager").get_secret_value(SecretId=self.outputs["WebhookSecret"])
        return value["SecretString"]

    def request(self, method, path, body=None, headers=None):
        """Status and answer of one request to the HTTP API."""
        request = urllib.request.Request(f"{self.account.endpoint}{path}", data=body, method=method)
        request.add_header("Host", f"{self.api_id}.execute-api.localhost:{self.account.port}")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def send(self, body, secret=None, environment="test"):
        """POSTs a webhook: its status."""
        header = base64.b64encode((secret or self.secret()).encode()).decode()
        headers = {"x-webhook-secret": header, "content-type": "application/json"}
        return self.request("POST", f"/webhooks/{environment}", body, headers)[0]

    def send_event(self, event, data):
        status = self.send(json.dumps({"event": event, "data": data}).encode())
        assert status == 200, (event, status)

    def get(self, path):
        """Asks the read side, as a principal of the account."""
        signed = AWSRequest("GET", f"{self.account.endpoint}/api/test/{path}",
                            headers={"Host": f"{self.api_id}.execute-api.localhost:{self.account.port}"})
        SigV4Auth(Credentials("test", "test"), "execute-api", "eu-west-1").add_auth(signed)
        status, answer = self.request("GET", f"/api/test/{path}", headers=dict(signed.headers))
        assert status in (200, 404), (path, status, answer)
        return json.loads(answer) if status == 200 else None

    def log(self):
        events, cursor = [], ""
        while True:
            page = self.get(f"events?limit=100&cursor={cursor}")
            events += page["events"]
            if page["cursor"] is None:
                return events
            cursor = page["cursor"]

    def subscribe_queue(self, name, topic, policy=None):
        """A new queue that is subscribed to a topic: its URL."""
        sqs, sns = self.account.client("sqs"), self.account.client("sns")
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
                 "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": topic}}}
        policy_document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy_document})
        attributes = {"RawMessageDelivery": "true"}
        if policy:
            attributes["FilterPolicy"] = json.dumps(policy)
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes)
        return url

    def receive(self, url):
        """Everything a queue has at the moment; it is deleted there."""
        sqs, found = self.account.client("sqs"), []
        while True:
            answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
            messages = answer.get("Messages", [])
            if not messages:
                return found
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                found.append(json.loads(message["Body"]))


def command(stack, *arguments, **more):
    """A command of the command line over the deployed stack: with the account's credentials, or those in `more` variables."""
    return subprocess.run(
        [BINARY, *arguments, "--stack", STACK, "--json"], env={**stack.account.environment, **more}, text=True, timeout=120,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@contextlib.contextmanager
def started(folder):
    """An account that lives as long as the emulator that is started for it, on loopback."""
    port = free_port()
    settings = environment(
        MINISTACK_HOST="localhost", BIND_HOST="127.0.0.1", GATEWAY_PORT=str(port), EDGE_PORT=str(port),
        IOT_MTLS_ENABLED="0", AUTH="true",
        # It unpacks every function there, under the name of its port, and leaves it behind.
        TMPDIR=str(folder),
    )
    with open(folder / "log", "w") as log:
        emulator = subprocess.Popen([TOOLS / "ministack"], cwd=folder, env=settings, stdout=log, stderr=log)
    account = Account(port)
    try:
        def answers():
            assert emulator.poll() is None, (folder / "log").read_text()
            try:
                return account.client("s3").create_bucket(
                    Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
            except Exception:
                return None
        eventually(answers)
        yield account
    finally:
        end(emulator)
