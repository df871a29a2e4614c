"""The template as a text: what must hold of every statement, queue and function in it."""

import re

import pytest
from cfnlint.decode import cfn_yaml

from account import FAMILIES
from tools import ROOT

# AWS knows no resources for these, or none that a stack could name (Service Authorization Reference).
WITHOUT_RESOURCE = {
    "xray:PutTraceSegments", "xray:PutTelemetryRecords", "dynamodb:ListStreams", "cloudwatch:GetMetricData",
    "cloudwatch:DescribeAlarms", "lambda:GetAccountSettings", "sns:GetSMSAttributes",
}
# Where a star stands for what is in one bucket, for a topic's subscriptions, or for the paths of one API under one
# method.
WITHIN = re.compile(r"\$\{UntoldBucket\.Arn\}/\*|\$\{(People|Programs)Topic\}:\*|arn:.*:\$\{HttpApi\}/\*/(GET|POST)/api/\*")


@pytest.fixture(scope="module")
def resources():
    return cfn_yaml.load(str(ROOT / "template.yaml"))["Resources"]


def statements(document):
    """The statements of a policy, those under a condition included."""
    for statement in document["Statement"]:
        if "Fn::If" in statement:
            yield from (branch for branch in statement["Fn::If"][1:] if "Effect" in branch)
        else:
            yield statement


def texts(value):
    """Every text in a value, however it is put together."""
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    return [text for part in parts for text in texts(part)]


def allowed(resources):
    for name, resource in resources.items():
        policies = resource["Properties"].get("Policies", [])
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            policies = [resource["Properties"]]
        for policy in policies:
            for statement in statements(policy["PolicyDocument"]):
                if statement["Effect"] == "Allow":
                    yield name, statement


def functions(resources):
    return {name: resource for name, resource in resources.items() if resource["Type"] == "AWS::Serverless::Function"}


def test_no_statement_allows_more_than_it_names(resources):
    seen = 0
    for name, statement in allowed(resources):
        seen += 1
        actions = set(texts(statement["Action"])) - {"OnAws"}
        assert not any("*" in action for action in actions), (name, statement)
        for resource in texts(statement["Resource"]):
            if actions <= WITHOUT_RESOURCE:
                assert resource == "*"
            else:
                assert "*" not in resource or WITHIN.fullmatch(resource), (name, statement)
    assert seen > 50


def test_every_function_has_a_role_a_log_and_a_build_of_its_own(resources):
    found = functions(resources)
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/Cargo.toml")}
    assert {name.removesuffix("Function").lower() for name in found} == folders
    assert len({function["Properties"]["Role"]["Fn::GetAtt"][0] for function in found.values()}) == len(folders)
    for name, function in found.items():
        folder = name.removesuffix("Function").lower()
        assert function["Properties"]["CodeUri"] == f"target/lambda/{folder}/"
        assert function["Metadata"]["BuildMethod"] == "makefile"
        logs = resources[function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]]
        assert "RetentionInDays" in logs["Properties"]


def test_no_secret_is_a_variable(resources):
    for name, function in functions(resources).items():
        for variable, value in function["Properties"].get("Environment", {}).get("Variables", {}).items():
            assert "resolve:" not in str(value) and "SecretString" not in str(value), (name, variable)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_a_bulkhead(resources, family):
    name = family.capitalize()
    function = resources[f"{name}Function"]["Properties"]
    queue, letters = resources[f"{name}Queue"], resources[f"{name}DeadLetters"]
    # Amazon SQS, developer guide, "Using Lambda with Amazon SQS": six times the function's time-out.
    assert queue["Properties"]["VisibilityTimeout"] >= 6 * function["Timeout"]
    redrive = queue["Properties"]["RedrivePolicy"]
    assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": [f"{name}DeadLetters", "Arn"]}
    assert redrive["maxReceiveCount"] * queue["Properties"]["VisibilityTimeout"] > 6 * 3600
    assert letters["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600
    mapping = function["Events"]["Deliveries"]["Properties"]
    assert mapping["Queue"] == {"Fn::GetAtt": [f"{name}Queue", "Arn"]}
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"]["MaximumConcurrency"] >= 2


def test_the_stream_comes_again_from_what_was_not_taken(resources):
    mapping = resources["NotifyFunction"]["Properties"]["Events"]["Outbox"]["Properties"]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] and "OnFailure" in mapping["DestinationConfig"]


def test_what_is_kept_survives_the_stack(resources):
    for name, resource in resources.items():
        if resource["Type"] in ("AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::SecretsManager::Secret"):
            assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain"), name
    table = resources["Table"]["Properties"]
    assert table["DeletionProtectionEnabled"] and table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]


def test_the_indexes_are_those_that_the_code_expects(resources):
    store = ROOT / "shared" / "src" / "store"
    listed = re.search(r"INDEX_PROJECTION: \[&str; \d+\] = \[(.*?)\];", (store / "schema.rs").read_text(), re.S)[1]
    declared = re.search(r"INDEXES: \[&str; \d+\] = \[(.*?)\];", (store / "facets.rs").read_text(), re.S)[1]
    facets = re.findall(r'"(by_\w+)"', declared)
    table = resources["Table"]["Properties"]
    indexes = {index["IndexName"]: index for index in table["GlobalSecondaryIndexes"]}
    assert list(indexes) == ["log", *facets] and len(facets) == 10
    for name, index in indexes.items():
        assert index["Projection"]["NonKeyAttributes"] == re.findall(r'"(\w+)"', listed)
        assert [key["AttributeName"] for key in index["KeySchema"]] == [name, "log_sk"]
    for name in ("ApiRole", "ReaderPolicy"):
        allowed_here = {text for found, statement in allowed(resources) if found == name
                        for text in texts(statement["Resource"]) if "/index/" in text}
        assert allowed_here == {f"${{Table.Arn}}/index/{index}" for index in indexes}, name


def test_whoever_only_reads_has_no_right_to_write(resources):
    writing = re.compile(r":(Put|Update|Delete|Send|Receive|Publish|Subscribe|Unsubscribe|GetSecretValue|Transact)")
    for name in ("ApiRole", "ReaderPolicy"):
        for found, statement in allowed(resources):
            if found == name and statement["Sid"] not in ("Log", "Trace"):
                assert not [action for action in texts(statement["Action"]) if writing.search(action)], statement


def test_nothing_but_webhooks_and_the_page_is_open(resources):
    keys = {}
    for name, resource in resources.items():
        if resource["Type"] == "AWS::ApiGatewayV2::Route":
            properties = resource["Properties"]
            guarded = properties.get("AuthorizationType") == {"Fn::If": ["HasIssuer", "JWT", "AWS_IAM"]}
            keys[properties["RouteKey"]] = guarded and "AuthorizerId" in properties
    assert keys == {
        "ANY /webhooks/{environment}": False, "ANY /api/{proxy+}": True, "POST /api/{proxy+}": True,
        "GET /": False, "GET /assets/{file}": False, "GET /config.json": False,
    }
    # The page's function has no rights but to log: there is nothing behind it.
    assert {statement["Sid"] for name, statement in allowed(resources) if name == "PageRole"} == {"Log", "Trace"}


def test_the_functions_know_their_version():
    cargo = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    assert f"BITPOWR_VERSION: {cargo}\n" in (ROOT / "template.yaml").read_text()


def test_every_queue_and_topic_refuses_what_is_not_over_tls(resources):
    for name, resource in resources.items():
        if resource["Type"] in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy") and "DeadLetters" not in name:
            denied = [s for s in statements(resource["Properties"]["PolicyDocument"]) if s["Effect"] == "Deny"]
            assert any(s["Condition"] == {"Bool": {"aws:SecureTransport": "false"}} for s in denied), name


def test_whatever_somebody_has_to_look_at_raises_the_alarm(resources):
    metrics = resources["SomebodyHasToLookAlarm"]["Properties"]["Metrics"]
    looked_at = [texts(metric["MetricStat"]["Metric"]["Dimensions"])[1] for metric in metrics if "MetricStat" in metric]
    assert sorted(looked_at) == ["ambiguous", "conflict", "forged", "none", "oddity", "quarantined", "refused"]
