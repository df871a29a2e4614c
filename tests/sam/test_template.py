"""The template as a text: what must hold of every statement, queue and function in it."""

import re

import pytest
from cfnlint.decode import cfn_yaml

from account import FAMILIES
from tools import ROOT

# AWS knows no resources for these (Service Authorization Reference: AWS X-Ray, Amazon DynamoDB).
WITHOUT_RESOURCE = {"xray:PutTraceSegments", "xray:PutTelemetryRecords", "dynamodb:ListStreams"}


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
        for policy in resource["Properties"].get("Policies", []):
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
                # A star may stand for what is in the one bucket, never for a kind of resource.
                assert "*" not in resource or resource == "${UntoldBucket.Arn}/*", (name, statement)
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


def test_what_is_kept_survives_the_stack(resources):
    for name, resource in resources.items():
        if resource["Type"] in ("AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::SecretsManager::Secret"):
            assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain"), name
    table = resources["Table"]["Properties"]
    assert table["DeletionProtectionEnabled"] and table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]


def test_the_index_carries_what_the_code_expects(resources):
    schema = (ROOT / "shared" / "src" / "store" / "schema.rs").read_text()
    listed = re.search(r"LOG_PROJECTION: \[&str; \d+\] = \[(.*?)\];", schema, re.S)[1]
    index, = resources["Table"]["Properties"]["GlobalSecondaryIndexes"]
    assert index["Projection"]["NonKeyAttributes"] == re.findall(r'"(\w+)"', listed)


def test_every_queue_and_topic_refuses_what_is_not_over_tls(resources):
    for name, resource in resources.items():
        if resource["Type"] in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy") and "DeadLetters" not in name:
            denied = [s for s in statements(resource["Properties"]["PolicyDocument"]) if s["Effect"] == "Deny"]
            assert any(s["Condition"] == {"Bool": {"aws:SecureTransport": "false"}} for s in denied), name
