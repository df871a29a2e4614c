"""What commands ask of AWS, and whether policies of the deployed stack allow it. The emulator knows no
`dynamodb:LeadingKeys`; this does."""

import contextlib
import http.server
import json
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from fnmatch import fnmatchcase

# What an item of a transaction needs the right to do.
OF_TRANSACTION = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}


@dataclass(frozen=True)
class Call:
    """One thing that was asked for: of what, and of a table in which partitions."""

    action: str
    resource: str
    keys: tuple = ()


def calls(path, target, body):
    """What one request needs the right to do. Whose credentials they are everybody may ask."""
    service, _, operation = target.rpartition(".")
    if service.startswith("DynamoDB"):
        yield from (Call(f"dynamodb:{action}", table, keys) for action, table, keys in of_table(operation, body))
    elif service == "secretsmanager":
        yield Call(f"secretsmanager:{operation}", body["SecretId"])
    elif service == "AmazonSQS":
        yield Call(f"sqs:{operation}", body["QueueUrl"].split("/")[-1])
    elif path.endswith("/configuration"):
        yield Call("lambda:GetFunctionConfiguration", f"function:{path.split('/')[-2]}")
    else:
        assert b"Action=GetCallerIdentity" in body, (path, target, body)


def of_table(operation, body):
    def partition(item):
        return (item["pk"]["S"],)

    if operation == "TransactWriteItems":
        for (kind, item), in (part.items() for part in body["TransactItems"]):
            yield OF_TRANSACTION[kind], f"table/{item['TableName']}", partition(item.get("Key") or item["Item"])
    elif operation == "BatchGetItem":
        for table, wanted in body["RequestItems"].items():
            yield operation, f"table/{table}", tuple(key for one in wanted["Keys"] for key in partition(one))
    elif operation == "Query":
        index = f"/index/{body['IndexName']}" if "IndexName" in body else ""
        yield operation, f"table/{body['TableName']}{index}", (body["ExpressionAttributeValues"][":pk"]["S"],)
    else:
        yield operation, f"table/{body['TableName']}", partition(body.get("Key") or body.get("Item"))


@contextlib.contextmanager
def recorded(endpoint):
    """Stands before AWS: the address, and what was asked for there."""
    seen = []

    class Recorder(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            target = self.headers.get("x-amz-target", "")
            seen.extend(calls(self.path, target, json.loads(body) if target else body))
            request = urllib.request.Request(f"{endpoint}{self.path}", data=body or None, method=self.command)
            for name, value in self.headers.items():
                request.add_header(name, value)
            try:
                answer = urllib.request.urlopen(request, timeout=60)
            except urllib.error.HTTPError as error:
                answer = error
            with answer:
                content = answer.read()
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                        self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        do_GET = do_POST = forward

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()


def several(value):
    return value if isinstance(value, list) else [value]


def allows(statement, call):
    """Whether a statement allows a call, as far as the template's people have statements (IAM user guide, "Condition operators")."""
    def among(text, patterns):
        return any(fnmatchcase(text, pattern) for pattern in several(patterns))

    conditions = {kind: condition["dynamodb:LeadingKeys"] for kind, condition in statement.get("Condition", {}).items()}
    like, unlike = conditions.pop("ForAllValues:StringLike", "*"), conditions.pop("ForAllValues:StringNotLike", [])
    assert statement["Effect"] == "Allow" and not conditions, statement
    def names(arn):
        return arn in ("*", call.resource) or arn.endswith(f":{call.resource}") or among(call.resource, arn.rpartition(":")[2])

    return (call.action in several(statement["Action"])
            and any(names(arn) for arn in several(statement["Resource"]))
            and all(among(key, like) and not among(key, unlike) for key in call.keys))


class Person:
    """A user of the account, to whom policies of the stack are attached: `ReaderPolicy` …"""

    def __init__(self, stack, name, *policies):
        iam, self.name = stack.account.client("iam"), name
        iam.create_user(UserName=name)
        arns = [stack.outputs[policy] for policy in policies]
        for arn in arns:
            iam.attach_user_policy(UserName=name, PolicyArn=arn)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self.variables = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        versions = [(arn, iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]) for arn in arns]
        documents = [iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
                     for arn, version in versions]
        self.statements = [statement for document in documents for statement in document["Statement"]]

    def may(self, call):
        return any(allows(statement, call) for statement in self.statements)
