"""The template as a text: what must hold of every statement, queue and function in it."""

import fnmatch
import json
import re
import shlex
import tomllib

import pytest
from cfnlint.decode import cfn_yaml
from cfnlint.template import Template
from cfnlint.template.transforms._language_extensions import language_extension
from samcli.commands.deploy.command import cli as deploy_command
from samcli.lib.cfn_language_extensions.sam_integration import expand_language_extensions
from samcli.lib.providers.api_provider import ApiProvider
from samcli.lib.providers.sam_function_provider import SamFunctionProvider
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider
from samcli.yamlhelper import yaml_parse

from account import FAMILIES
from tools import ROOT

# AWS knows no resources for these, or none that a stack could name (Service Authorization Reference).
WITHOUT_RESOURCE = {
    "xray:PutTraceSegments", "xray:PutTelemetryRecords", "dynamodb:ListStreams", "cloudwatch:GetMetricData",
    "cloudwatch:DescribeAlarms", "lambda:GetAccountSettings", "sns:GetSMSAttributes",
}
# Where a star stands for what is in one bucket, for the indexes of the table, for a topic's subscriptions, or for the stages of one API, and in it for
# what can be looked at, or for what one thing can be asked to do, or for the log groups that SNS makes by itself.
WITHIN = re.compile(
    r"\$\{UntoldBucket\.Arn\}/\*|\$\{Table\.Arn\}/index/\*|\$\{(People|Programs)Topic\}:\*"
    r"|arn:.*:log-group:sns/\$\{AWS::Region\}/\$\{AWS::AccountId\}/\*"
    r"|arn:.*:\$\{HttpApi\}/\*/(GET/api/\*|(POST|DELETE)/api/\$\{Environment\}/[a-z-]+(/\*)?)")


@pytest.fixture(scope="module")
def template():
    """The template with its loops expanded, and all else as it is written."""
    path = str(ROOT / "template.yaml")
    faults, expanded = language_extension(Template(path, cfn_yaml.load(path), ["eu-west-1"]))
    assert not faults, faults
    return expanded


@pytest.fixture(scope="module")
def resources(template):
    return template["Resources"]


@pytest.fixture(scope="module")
def as_sam_sees_it():
    """The resources as the SAM CLI expands them before it builds, deploys or runs a function."""
    written = yaml_parse((ROOT / "template.yaml").read_text())
    return expand_language_extensions(written, enabled=True).expanded_template["Resources"]


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
        policies, holder = resource["Properties"].get("Policies", []), name
        if resource["Type"] in ("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"):
            policies = [resource["Properties"]]
        if resource["Type"] == "AWS::IAM::Policy":
            (role,) = resource["Properties"]["Roles"]
            holder = role["Ref"]
        for policy in policies:
            for statement in statements(policy["PolicyDocument"]):
                if statement["Effect"] == "Allow":
                    yield holder, statement


def functions(resources):
    return {name: resource for name, resource in resources.items() if resource["Type"] == "AWS::Serverless::Function"}


def test_no_statement_allows_more_than_it_names(resources):
    seen = 0
    for name, statement in allowed(resources):
        seen += 1
        actions = set(texts(statement["Action"])) - {"AsksForBatches"}
        assert not any("*" in action for action in actions), (name, statement)
        for resource in texts(statement["Resource"]):
            if actions <= WITHOUT_RESOURCE:
                assert resource == "*"
            else:
                assert "*" not in resource or WITHIN.fullmatch(resource), (name, statement)
    assert seen > 50


def test_every_function_has_a_role_a_log_and_a_build_of_its_own(resources, as_sam_sees_it):
    found = functions(resources)
    folders = {path.parent.name for path in (ROOT / "functions").glob("*/Cargo.toml")}
    assert {name.removesuffix("Function").lower() for name in found} == folders
    assert len({function["Properties"]["Role"]["Fn::GetAtt"][0] for function in found.values()}) == len(folders)
    for name, function in found.items():
        folder = name.removesuffix("Function").lower()
        # One path for all of a loop would build the first one's code for each.
        assert as_sam_sees_it[name]["Properties"]["CodeUri"] == f"target/lambda/{folder}/"
        assert function["Metadata"]["BuildMethod"] == "makefile"
        logs = resources[function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]]
        assert "RetentionInDays" in logs["Properties"]


def test_no_secret_is_a_variable(resources):
    for name, function in functions(resources).items():
        for variable, value in function["Properties"].get("Environment", {}).get("Variables", {}).items():
            assert "resolve:" not in str(value) and "SecretString" not in str(value), (name, variable)


def test_the_loops_are_over_all_families_and_nothing_else(resources):
    catalogue = (ROOT / "shared" / "src" / "model" / "catalogue.rs").read_text()
    listed = catalogue.split('"family" Family {')[1].split("}")[0]
    assert re.findall(r'^ +\w+ "(\w+)";$', listed, re.M) == FAMILIES
    for ending, kind in (("Queue", "SQS::Queue"), ("DeadLetters", "SQS::Queue"), ("QueuePolicy", "SQS::QueuePolicy"),
                         ("Function", "Serverless::Function"), ("Logs", "Logs::LogGroup"), ("Role", "IAM::Role"),
                         ("DeadLettersAlarm", "CloudWatch::Alarm"), ("OldestDeliveryAlarm", "CloudWatch::Alarm"),
                         ("ErrorsAlarm", "CloudWatch::Alarm")):
        found = [name.removesuffix(ending) for name, resource in resources.items() if resource["Type"] == f"AWS::{kind}"
                 and name.endswith(ending) and name[0].islower()]
        assert found == FAMILIES, ending


def test_the_sam_cli_expands_the_template_as_cloudformation_does(resources, as_sam_sees_it):
    assert {name: resource["Type"] for name, resource in resources.items()} == {
        name: resource["Type"] for name, resource in as_sam_sees_it.items()}
    # It expands no loop inside a property.
    assert "Fn::ForEach" not in str(as_sam_sees_it)


def test_start_api_finds_the_function_of_each_route():
    stacks, _ = SamLocalStackProvider.get_stacks(
        str(ROOT / "template.yaml"), parameter_overrides={"Environment": "test"}, language_extensions_enabled=True)
    functions = SamFunctionProvider(stacks, use_raw_codeuri=True)
    routes = {(method, route.path): functions.get(route.function_name).name
              for route in ApiProvider(stacks, disable_authorizer=True).api.routes for method in route.methods}
    assert routes["POST", "/webhooks/{proxy+}"] == routes["GET", "/webhooks/{proxy+}"] == "IngestFunction"
    assert routes["GET", "/api/{proxy+}"] == "ApiFunction"
    assert routes["POST", "/api/{proxy+}"] == routes["DELETE", "/api/{proxy+}"] == "ActionsFunction"
    assert routes["GET", "/"] == routes["GET", "/config.json"] == "PageFunction"


def test_every_command_of_the_sam_cli_expands_the_loops():
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())
    for configuration in ("default", "test", "live"):
        assert settings[configuration]["global"]["parameters"]["language_extensions"] is True


@pytest.mark.parametrize("prefix, ending, readers", [
    ("QUEUE", "Queue", {"IngestFunction", "ApiFunction", "ActionsFunction"}),
    ("DEAD_LETTERS", "DeadLetters", {"ApiFunction", "ActionsFunction", "SweepFunction"}),
])
def test_whoever_needs_the_queues_has_those_of_all_families(resources, prefix, ending, readers):
    wanted = {f"{prefix}_{family.upper()}": {"Ref": f"{family}{ending}"} for family in FAMILIES}
    for name in readers:
        variables = resources[name]["Properties"]["Environment"]["Variables"]
        assert {key: value for key, value in variables.items() if key.startswith(f"{prefix}_")} == wanted, name


def test_only_families_with_money_write_balances_and_only_undated_ones_fold_anew(resources):
    undated = {"accounts": "account", "assets": "asset", "addresses": "address", "customers": "customer"}
    common = {"nothing#*", "asked#*", "raw#*", "days#log", "quarantine#*", "days#quarantine"}
    for family in FAMILIES:
        own = {f"{undated[family]}#*"} if family in undated else {"transaction#*"}
        money = set() if family in undated else {"balance#*", "balances"}
        role = f"{family}Role"
        assert leading_keys(resources, role, "dynamodb:PutItem") == own | common | money, family
        assert leading_keys(resources, role, "dynamodb:Query") == (own if family in undated else set()), family


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_a_bulkhead(resources, family):
    name = family
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
    # Its own, whatever the others do; AWS takes no less than 2.
    assert mapping["ScalingConfig"]["MaximumConcurrency"] == {"Ref": "FamilyConcurrency"}


def test_each_lane_of_the_endpoints_is_a_bulkhead(resources):
    outbound = (ROOT / "shared" / "src" / "endpoints" / "outbound.rs").read_text()
    lanes = re.findall(r'(Fast|Slow) "([a-z-]+)";', outbound)
    assert [lane for lane, _ in lanes] == ["Fast", "Slow"]
    function = resources["DeliverFunction"]["Properties"]
    mappings = {event["Properties"]["Queue"]["Fn::GetAtt"][0]: event["Properties"]
                for event in function["Events"].values() if event["Type"] == "SQS"}
    assert set(mappings) == {"EndpointsQueue", "EndpointsSlowQueue"}
    for (_, ending), name in zip(lanes, ("Endpoints", "EndpointsSlow")):
        queue, letters = resources[f"{name}Queue"]["Properties"], resources[f"{name}DeadLetters"]["Properties"]
        # Its name tells the function which lane it is, and is no other stack's: those that are kept are not in the way.
        pattern, values = queue["QueueName"]["Fn::Sub"]
        assert (pattern, values["Ending"]) == ("${AWS::StackName}-${Once}-${Ending}", ending)
        assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
        assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": [f"{name}DeadLetters", "Arn"]}
        assert letters["MessageRetentionPeriod"] == 14 * 24 * 3600
        mapping = mappings[f"{name}Queue"]
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert 2 <= mapping["ScalingConfig"]["MaximumConcurrency"] <= 5


def test_nobody_but_whoever_delivers_and_manages_endpoints_reads_the_delivery_key(resources):
    readers = {name for name, statement in allowed(resources) if "DeliveryKey" in texts(statement["Resource"])}
    assert readers == {"DeliverRole", "ActionsRole", "ConfigurePolicy"}


def partition(key):
    """A pattern of partitions, without the environment."""
    pattern = key["Fn::Sub"]
    if isinstance(pattern, list):
        pattern, values = pattern
        for name, value in values.items():
            pattern = pattern.replace(f"${{{name}}}", value)
    return pattern.removeprefix("${Environment}#")


def leading_keys(resources, name, action):
    """The partitions that a role may do this to; None where it may to all."""
    found = set()
    for holder, statement in allowed(resources):
        if holder == name and action in texts(statement["Action"]):
            condition = statement.get("Condition", {}).get("ForAllValues:StringLike")
            if condition is None:
                return None
            found |= {partition(key) for key in condition["dynamodb:LeadingKeys"]}
    return found


def test_notify_reads_the_endpoints_and_nothing_else_of_the_table(resources):
    assert leading_keys(resources, "NotifyRole", "dynamodb:Query") == {"endpoints"}
    of_table = {action for name, statement in allowed(resources) if name == "NotifyRole"
                for action in texts(statement["Action"])
                if action.startswith("dynamodb:") and "Stream" not in action
                and action not in ("dynamodb:GetRecords", "dynamodb:GetShardIterator")}
    assert of_table == {"dynamodb:Query"}


def test_deliver_writes_no_event_and_no_balance(resources):
    entities = (ROOT / "shared" / "src" / "model" / "entity.rs").read_text()
    entities = re.findall(r'^        \w+ "(\w+)";$', entities.split("EntityType {")[1].split("}")[0], re.M)
    assert len(entities) == 5
    own = {"endpoints", "attempts#*", "waiting#*"}
    # A correction of a balance is where the balance is.
    events = {f"{entity}#*" for entity in entities} | {"nothing#*", "balance#*", "raw#*"}
    for action in ("dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"):
        assert leading_keys(resources, "DeliverRole", action) == own | events
    assert leading_keys(resources, "DeliverRole", "dynamodb:PutItem") == {"waiting#*", "endpoints", "days#actions"}
    assert leading_keys(resources, "DeliverRole", "dynamodb:UpdateItem") == {"attempts#*", "endpoints", "days#actions"}
    assert leading_keys(resources, "DeliverRole", "dynamodb:DeleteItem") == {"waiting#*"}


def test_whoever_acts_manages_no_endpoints(resources):
    """Over the API, and in the table."""
    paths = {name: {text.split("/api/${Environment}/")[1] for found, statement in allowed(resources)
                    if found == name and "execute-api:Invoke" in texts(statement["Action"])
                    for text in texts(statement["Resource"])}
             for name in ("OperatorPolicy", "ConfigurePolicy")}
    assert paths["OperatorPolicy"] == {"events/*", "quarantine/*", "dead-letters/*"}
    assert paths["ConfigurePolicy"] == {"endpoints", "endpoints/*"}
    record, = (statement for name, statement in allowed(resources)
               if name == "RebuildPolicy" and statement["Sid"] == "Record")
    excluded = record["Condition"]["ForAllValues:StringNotLike"]["dynamodb:LeadingKeys"]
    assert texts(excluded) == ["${Environment}#endpoints"]
    assert leading_keys(resources, "ConfigurePolicy", "dynamodb:PutItem") == {"endpoints", "days#actions"}


def test_whoever_rebuilds_deletes_only_what_rebuild_moves(resources):
    assert leading_keys(resources, "RebuildPolicy", "dynamodb:DeleteItem") == {"nothing#*"}


def test_whoever_redrives_cannot_forge_the_ledger(resources):
    """No sealing key, no event, no state, no balance: only the record of what was done."""
    for action in ("dynamodb:PutItem", "dynamodb:UpdateItem"):
        assert leading_keys(resources, "OperatorPolicy", action) == {"dead-letters#*", "days#actions"}
    able = {action for name, statement in allowed(resources) if name == "OperatorPolicy"
            for action in texts(statement["Action"])}
    assert able == {"execute-api:Invoke", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:SendMessage",
                    "dynamodb:PutItem", "dynamodb:UpdateItem"}
    keepers = {name for name, statement in allowed(resources) if "SealingKey" in texts(statement["Resource"])}
    assert keepers == {"IngestRole", "ActionsRole", "SweepRole", "RebuildPolicy", *(f"{one}Role" for one in FAMILIES)}


def test_whoever_subscribes_is_bound_to_protocols_and_to_this_account(resources):
    statements = [statement for name, statement in allowed(resources)
                  if name == "SubscribePolicy" and "sns:Subscribe" in texts(statement["Action"])]
    assert all("sns:Protocol" in statement["Condition"]["StringEquals"] for statement in statements)
    protocols = sorted(protocol for statement in statements
                       for protocol in texts(statement["Condition"]["StringEquals"]["sns:Protocol"]))
    assert protocols == ["email", "https", "lambda", "sms", "sqs"]
    for statement in statements:
        if statement["Resource"] == {"Ref": "ProgramsTopic"}:
            for endpoint in texts(statement["Condition"]["StringLike"]["sns:Endpoint"]):
                assert endpoint == "https://*" or "${AWS::AccountId}:" in endpoint, endpoint
    subscribers = {name for name, statement in allowed(resources) if "sns:Subscribe" in texts(statement["Action"])}
    assert subscribers == {"SubscribePolicy"}


KEYS = json.loads((ROOT / "tests" / "sam" / "keys.json").read_text())
# People read by ReaderPolicy.
READING = {"GetItem", "BatchGetItem", "Query"}


@pytest.mark.parametrize("name", KEYS)
def test_a_role_may_do_to_the_table_what_events_and_people_have_it_do(resources, name):
    """What every sample event, and all else that each does, touches: `cargo test rights` finds it out."""
    assert name.removesuffix("Role") not in FAMILIES or len(KEYS[name]) >= 3
    for action, partitions in KEYS[name].items():
        holder = "ReaderPolicy" if action in READING and name.endswith("Policy") else name
        patterns = leading_keys(resources, holder, f"dynamodb:{action}")
        for partition in partitions:
            if partition.startswith("index/"):
                assert any(f"${{Table.Arn}}/{partition}" in texts(statement["Resource"])
                           for found, statement in allowed(resources) if found == holder), (name, partition)
            else:
                assert patterns is None or any(fnmatch.fnmatchcase(partition, pattern) for pattern in patterns), (
                    name, action, partition, patterns)


def test_every_role_that_uses_the_table_is_compared(resources):
    users = {name for name, statement in allowed(resources)
             if any(action.startswith("dynamodb:") for action in texts(statement["Action"]))}
    # These two read, wherever they like.
    assert users - {"ApiRole", "ReaderPolicy"} == set(KEYS)


def test_only_attempts_and_what_waits_expires(resources):
    attribute = resources["Table"]["Properties"]["TimeToLiveSpecification"]["AttributeName"]
    store = ROOT / "shared" / "src" / "store"
    files = {file.name for file in store.glob("*.rs") if re.search(rf"\b{attribute}\b", file.read_text())}
    assert files == {"attempts.rs"}


def test_every_alarm_has_one_metric_and_reaches_somebody(resources):
    alarms = {name: resource["Properties"] for name, resource in resources.items()
              if resource["Type"] == "AWS::CloudWatch::Alarm"}
    for name, alarm in alarms.items():
        assert "Metrics" not in alarm and "MetricName" in alarm, name
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopic"}], name
    watched = {str((alarm["Namespace"], alarm["MetricName"], alarm["Dimensions"], alarm["Period"]))
               for alarm in alarms.values()}
    assert len(watched) == len(alarms)


def test_the_documents_count_the_alarms(resources):
    always = sum(resource["Type"] == "AWS::CloudWatch::Alarm" and "Condition" not in resource
                 for resource in resources.values())
    assert f"the table | {always}, " in (ROOT / "docs" / "deploy.md").read_text()
    assert f"| {always} × 0.10 | {always * 0.1:.2f} " in (ROOT / "docs" / "costs.md").read_text()


def test_the_stream_comes_again_from_what_was_not_taken(resources):
    mapping = resources["NotifyFunction"]["Properties"]["Events"]["Outbox"]["Properties"]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] and "OnFailure" in mapping["DestinationConfig"]


def test_what_is_kept_survives_the_stack_but_not_its_failed_creation(resources):
    kept = set()
    for name, resource in resources.items():
        if resource["Type"] in ("AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::SecretsManager::Secret", "AWS::S3::Bucket"):
            kept.add(name)
            policies = (resource["DeletionPolicy"], resource["UpdateReplacePolicy"])
            assert policies == ("RetainExceptOnCreate", "Retain"), name
        else:
            assert "DeletionPolicy" not in resource, name
    # The table, the bucket, three secrets; two queues per family and lane, and the subscribers' dead letters.
    assert len(kept) == 1 + 1 + 3 + 2 * len(FAMILIES) + 2 * 2 + 1
    table = resources["Table"]["Properties"]
    assert table["DeletionProtectionEnabled"] == {"Fn::If": ["IsLive", True, False]}
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]


def test_the_dashboard_costs_nothing_and_no_metric_is_paid_for_in_vain(resources):
    """Of 50 metrics at most it is free; of its own metrics a stack pays for each value of each dimension."""
    body = json.loads(resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    shown = [metric for widget in body["widgets"] for metric in widget["properties"].get("metrics", [])]
    assert len(shown) == 50
    dimensions = re.search(r'"Dimensions": (\[.*\]),', (ROOT / "shared" / "src" / "telemetry.rs").read_text())[1]
    watched = {dimension["Name"] for alarm in resources.values() if alarm["Type"] == "AWS::CloudWatch::Alarm"
               and alarm["Properties"].get("MetricName") == "Deliveries" for dimension in alarm["Properties"]["Dimensions"]}
    assert [{name} for name in watched] == [set(dimension) for dimension in json.loads(dimensions)]


def test_the_indexes_are_those_that_the_code_expects(resources):
    store = ROOT / "shared" / "src" / "store"
    listed = re.search(r"INDEX_PROJECTION: \[&str; \d+\] = \[(.*?)\];", (store / "schema.rs").read_text(), re.S)[1]
    declared = re.search(r"INDEXES: \[&str; \d+\] = \[(.*?)\];", (store / "facets.rs").read_text(), re.S)[1]
    facets = re.findall(r'"(by_\w+)"', declared)
    table = resources["Table"]["Properties"]
    indexes = {index["IndexName"]: index for index in table["GlobalSecondaryIndexes"]}
    assert list(indexes) == ["log", *facets] and len(facets) == 14
    for name, index in indexes.items():
        assert index["Projection"]["NonKeyAttributes"] == re.findall(r'"(\w+)"', listed)
        assert [key["AttributeName"] for key in index["KeySchema"]] == [name, "log_sk"]
    for name in ("ApiRole", "ReaderPolicy"):
        allowed_here = {text for found, statement in allowed(resources) if found == name
                        for text in texts(statement["Resource"]) if "/index/" in text}
        assert allowed_here == {"${Table.Arn}/index/*"}, name


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
        "ANY /webhooks/{proxy+}": False,
        "ANY /api/{proxy+}": True, "POST /api/{proxy+}": True, "DELETE /api/{proxy+}": True,
        "GET /": False, "GET /assets/{file}": False, "GET /config.json": False,
    }
    # The page's function has no rights but to log: there is nothing behind it.
    assert {statement["Sid"] for name, statement in allowed(resources) if name == "PageRole"} == {"Log", "Trace"}


def test_the_functions_know_their_version():
    cargo = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.M)[1]
    assert f"BITPOWR_VERSION: {cargo}\n" in (ROOT / "template.yaml").read_text()


def test_every_queue_topic_and_bucket_refuses_what_is_not_over_tls(resources):
    refusing = set()
    for resource in resources.values():
        properties = resource["Properties"]
        for name in ("Queues", "Topics", "Bucket"):
            if name not in properties or "PolicyDocument" not in properties:
                continue
            holders = properties[name] if isinstance(properties[name], list) else [properties[name]]
            denied = [s for s in statements(properties["PolicyDocument"]) if s["Effect"] == "Deny"]
            over_tls = [s for s in denied if s["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}]
            if over_tls and over_tls[0]["Action"] in ("sqs:*", "s3:*", "sns:Publish"):
                refusing |= {holder["Ref"] for holder in holders}
    assert refusing == {name for name, resource in resources.items()
                        if resource["Type"] in ("AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::S3::Bucket")}


def test_the_bucket_forgets(resources):
    rule, = resources["UntoldBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", 365)
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}


def test_the_access_log_says_why_a_token_was_refused_and_no_secret(resources):
    line = json.loads(resources["HttpStage"]["Properties"]["AccessLogSettings"]["Format"])
    assert line["refused"] == "$context.authorizer.error" and line["error"] == "$context.error.message"
    assert "$context.integration.integrationStatus" in line.values()
    assert all(value.startswith("$context.") for value in line.values())


def test_the_parts_of_the_api_are_made_one_after_the_other(resources):
    """Of any two, one waits for the other: API Gateway refuses a concurrent modification."""
    parts = [name for name, resource in resources.items()
             if resource["Type"].startswith("AWS::ApiGatewayV2::") and name != "HttpApi"]

    def awaited(name):
        resource = resources[name]
        direct = resource.get("DependsOn", [])
        direct = set([direct] if isinstance(direct, str) else direct) | set(re.findall(r"'(\w+)'", str(resource["Properties"])))
        direct = {one for one in direct if one in parts and one != name}
        return direct.union(*map(awaited, direct))
    waits = {name: awaited(name) for name in parts}
    for one in parts:
        for other in parts:
            assert one == other or one in waits[other] or other in waits[one], (one, other)


def test_whatever_somebody_has_to_look_at_raises_an_alarm(resources):
    """Each of these at once, by an alarm of its own."""
    looked_at = {alarm["Dimensions"][0]["Value"] for alarm in (
        resource["Properties"] for resource in resources.values() if resource["Type"] == "AWS::CloudWatch::Alarm")
        if alarm["MetricName"] == "Deliveries" and (alarm["Threshold"], alarm["EvaluationPeriods"]) == (1, 1)}
    assert looked_at == {"ambiguous", "conflict", "forged", "none", "oddity", "quarantined", "refused", "not_accepted",
                         "endpoint_failing", "endpoint_disabled"}


def test_each_function_raises_an_alarm_when_it_fails_a_sweep_at_its_first_error(resources):
    thresholds = {alarm["Dimensions"][0]["Value"]["Ref"]: alarm["Threshold"] for alarm in (
        resource["Properties"] for resource in resources.values() if resource["Type"] == "AWS::CloudWatch::Alarm")
        if alarm["MetricName"] == "Errors"}
    assert set(thresholds) == set(functions(resources))
    assert {name for name, threshold in thresholds.items() if threshold == 1} == {"SweepFunction"}


def test_a_sweep_that_does_not_run_raises_an_alarm(resources):
    """It leaves no data at all. That of a new stack, which has not run yet, is in this state from the start."""
    alarm, schedule = resources["SweepMissedAlarm"]["Properties"], resources["SweepFunction"]["Properties"]["Events"]
    assert schedule["Daily"]["Properties"]["Schedule"] == "rate(12 hours)" and alarm["Period"] == 12 * 3600
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": "SweepFunction"}}]
    assert (alarm["MetricName"], alarm["TreatMissingData"]) == ("Invocations", "missing")
    assert alarm["InsufficientDataActions"] == [{"Ref": "AlarmTopic"}]


def test_a_table_that_throttles_raises_an_alarm(resources):
    """Its own capacity by its own metric; what an index refuses by that of the transactions it is in."""
    found = {(alarm["MetricName"], *(dimension["Value"] for dimension in alarm["Dimensions"][1:])) for alarm in (
        resource["Properties"] for resource in resources.values() if resource["Type"] == "AWS::CloudWatch::Alarm")
        if alarm["Namespace"] == "AWS/DynamoDB" and alarm["Dimensions"][0]["Value"] == {"Ref": "Table"}}
    assert {name for name, *_ in found} == {"ReadThrottleEvents", "WriteThrottleEvents", "ThrottledRequests"}
    assert ("ThrottledRequests", "TransactWriteItems") in found


def test_whoever_looks_sees_who_is_sent_alarms(resources):
    seen, = (statement for name, statement in allowed(resources)
             if name == "ReaderPolicy" and statement["Sid"] == "SeeWhoIsTold")
    assert {"Ref": "AlarmTopic"} in seen["Resource"]
    assert resources["NotifyFunction"]["Properties"]["Environment"]["Variables"]["TOPIC_ALARMS"] == {"Ref": "AlarmTopic"}


def conditions_of(value):
    """The conditions by which something in a value depends on where it runs."""
    if isinstance(value, list):
        return [found for part in value for found in conditions_of(part)]
    if not isinstance(value, dict):
        return []
    own = [value["Fn::If"][0]] if "Fn::If" in value else []
    own += [value["Condition"]] if isinstance(value.get("Condition"), str) else []
    return own + [found for part in value.values() for found in conditions_of(part)]


def test_what_an_emulator_does_not_run_is_in_the_document_with_its_reason(template):
    """And nothing else depends on whether it is one."""
    conditions = template["Conditions"]
    of_emulators = {name for name, condition in conditions.items() if name == "IsEmulated"
                    or condition in ({"Condition": "IsEmulated"}, {"Fn::Not": [{"Condition": "IsEmulated"}]})}
    used = set(conditions_of([template["Globals"], template["Resources"]]))
    assert not {name for name, condition in conditions.items()
                if "'Emulator'" in str(condition) and name not in of_emulators}
    document = next((ROOT / "docs" / "decisions").glob("0025-*.md")).read_text()
    assert of_emulators <= used and of_emulators == set(re.findall(r"^\| `(\w+)` \|", document, re.M))


def test_what_the_door_refuses_raises_an_alarm(resources):
    """A mistyped URL in each of three hours; a burst of 4xx and any 5xx of API Gateway, whoever answers them."""
    alarm = resources["NotFoundAlarm"]["Properties"]
    assert alarm["Dimensions"] == [{"Name": "outcome", "Value": "not_found"}]
    assert (alarm["Threshold"], alarm["Period"], alarm["EvaluationPeriods"]) == (1, 3600, 3)
    found = {alarm["MetricName"]: alarm["Threshold"] for alarm in (
        resource["Properties"] for resource in resources.values() if resource["Type"] == "AWS::CloudWatch::Alarm")
        if alarm["Namespace"] == "AWS/ApiGateway" and alarm["Dimensions"][0]["Value"] == {"Ref": "HttpApi"}}
    assert found["5xx"] == 1 and found["4xx"] > 20 and len(found) == 2


@pytest.mark.parametrize("name, accepted, refused", [
    ("Email", ["you@example.com"], ["you", "you@example", "a@example.com b@example.com"]),
    ("AlarmEmail", ["oncall@example.com"], ["oncall"]),
    ("SmsNumber", ["+4912345678"], ["4912345678", "+0123456789", "+49 123 45678"]),
    ("HttpsUrl", ["https://example.com", "https://example.com/hook?token=t"], ["http://example.com", "example.com"]),
    # What the SAM CLI makes of a policy that is not quoted twice.
    ("HttpsFilterPolicy",
     ['{"family":["deposits"]}', '{\n  "family": ["deposits"]\n}', "{}",
      '{"asset":[{"anything-but":["BTC","ETH"]}],"fiat_amount":[{"numeric":[">=",100.5]}],"chain":[{"exists":true}]}'],
     ["{", "family", "{family}", '{"family":"deposits"}', '{"family":[deposits]}', '{"family":["deposits"],}',
      '{"family":["deposits"]', '{"famly":["deposits"]}', '{"family":[]}', '{"family":["a"] "event":["b"]}']),
    ("OidcIssuer", ["https://example.com/realms/one", "https://TENANT.eu.auth0.com/"], ["example.com", "https://a b"]),
    ("OidcClientId", ["0oa1b2c3"], ["a b"]),
    ("OidcAudience", ["https://api.example.com"], ["a b"]),
    ("OidcScope", ["openid email", "openid email api://CLIENT/access"], [" openid", "openid  email"]),
    ("OidcTokenOrigin", ["https://example.auth.eu-west-1.amazoncognito.com"], ["https://example.com/", "example.com"]),
    ("RolesClaim", ["cognito:groups", "https://example.com/roles"], ["two claims"]),
])
def test_a_parameter_that_cannot_be_meant_is_refused_before_anything_is_made(template, name, accepted, refused):
    parameter = template["Parameters"][name]
    assert parameter["ConstraintDescription"].startswith("must ")
    for value in [*accepted, parameter["Default"]]:
        assert re.fullmatch(parameter["AllowedPattern"], value), value
    for value in refused:
        assert not re.fullmatch(parameter["AllowedPattern"], value), value


def commands(*names):
    """The commands of this kind in README and documents, as the shell would pass them."""
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for block in re.findall(r"^```sh\n(.*?)^```", document.read_text(), re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                # The text of another command may go over several lines.
                if line.split()[:len(names)] == list(names):
                    line = line.replace("$AWS_REGION", "eu-west-1")
                    yield document.name, shlex.split(line, comments=True)[len(names):]


def overrides_in_text(parameters):
    """What the documents show of parameters outside of commands, in a line of code."""
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", document.read_text()):
            name = re.match(r"'?(\w+)=", code)
            if name and name[1] in parameters:
                yield document.name, shlex.split(code)


def parsed(words):
    """What `sam deploy` makes of its arguments, by its own parser."""
    return deploy_command.make_context("deploy", [*words]).params


def refused(template, values):
    """The parameters that CloudFormation would refuse."""
    for name, value in values.items():
        parameter = template["Parameters"].get(name)
        fits = parameter is not None and re.fullmatch(parameter.get("AllowedPattern", r"[\s\S]*"), value)
        fits = fits and value in map(str, parameter.get("AllowedValues", [value]))
        if fits and parameter["Type"] == "Number":
            fits = parameter.get("MinValue", float(value)) <= float(value) <= parameter.get("MaxValue", float(value))
        if not fits:
            yield name, value


def test_every_documented_command_that_passes_parameters_passes_what_is_meant(template, monkeypatch):
    monkeypatch.chdir(ROOT)
    seen = set()
    for document, words in commands("sam", "deploy"):
        values = parsed(words)["parameter_overrides"]
        assert not list(refused(template, values)), (document, words)
        # What the shell would show of each is in it, or quoted as the SAM CLI wants it.
        assert values.get("Environment", "test") in ("test", "live"), (document, words)
        if "--parameter-overrides" in words:
            seen |= set(values)
            given = [word for word in words[words.index("--parameter-overrides") + 1:] if "=" in word]
            assert len(given) == len(values), (document, words, values)
    assert {"Email", "AlarmEmail", "HttpsUrl", "HttpsFilterPolicy", "OidcIssuer", "RolesClaim"} <= seen
    shown = list(overrides_in_text(template["Parameters"]))
    assert len(shown) > 10
    for document, words in shown:
        values = parsed(["--config-env", "test", "--parameter-overrides", *words])["parameter_overrides"]
        # A name for what somebody has to put there is as good as that.
        assert len(values) == 1 and not list(refused(template, values)), (document, words, values)


def test_the_longest_name_of_a_stack_is_documented(resources):
    """AWS Lambda, API reference, CreateFunction: 64 characters; Amazon SQS: 80."""
    endings = [text.split("}", 1)[1] for resource in functions(resources).values()
               for text in texts(resource["Properties"]["FunctionName"])]
    longest = 64 - max(map(len, endings))
    assert f"A stack's name has {longest} characters at most" in (ROOT / "docs" / "deploy.md").read_text()
    assert longest + len("-01234567-endpoints-slow") <= 80


def test_every_parameter_is_checked(template):
    for name, parameter in template["Parameters"].items():
        assert {"AllowedPattern", "AllowedValues", "MinValue"} & set(parameter), name


def test_a_first_user_is_asked_what_they_can_answer_first_and_nothing_of_emulators(template):
    assert list(template["Parameters"])[:3] == ["Environment", "Email", "AlarmEmail"]
    assert not [name for name in template["Parameters"] if re.search("Emulat|Endpoint(Url)?$|Architecture", name)]
    for name, parameter in template["Parameters"].items():
        assert "Default" in parameter and not parameter.get("NoEcho"), name
        assert not list(refused(template, {name: str(parameter["Default"])})), name
    grouped = [name for group in template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
               for name in group["Parameters"]]
    assert sorted(grouped) == sorted(template["Parameters"])
    # None unless a test has written one.
    assert template["Mappings"]["Emulator"] == {"Endpoint": {"url": "none"}}


def test_an_issuer_needs_a_client_and_a_claim_and_a_filter_something_to_filter_for(template):
    needed = {rule: [assertion["Assert"]["Fn::Not"][0]["Fn::Equals"][0]["Ref"]
                     for assertion in template["Rules"][rule]["Assertions"]] for rule in ("Issuer", "FilterPolicy", "Budget")}
    assert needed == {"Issuer": ["OidcClientId", "RolesClaim"], "FilterPolicy": ["HttpsUrl"], "Budget": ["AlarmEmail"]}
    assert template["Parameters"]["RolesClaim"]["Default"] == ""


def test_what_the_stack_may_use_is_limited_by_parameters_that_limit_nothing_unless_set(template, resources):
    parameters = template["Parameters"]
    assert (parameters["FamilyConcurrency"]["Default"], parameters["FamilyConcurrency"]["MinValue"]) == (5, 2)
    for name in ("IngestConcurrency", "MaxWriteUnits", "MaxReadUnits", "MonthlyBudget"):
        assert parameters[name]["Default"] == 0, name
    nothing = {"Ref": "AWS::NoValue"}
    table = resources["Table"]["Properties"]
    condition, maximum, otherwise = table["OnDemandThroughput"]["Fn::If"]
    assert (condition, otherwise) == ("HasMaximum", nothing)
    assert maximum == {"MaxReadRequestUnits": {"Fn::Sub": "${MaxReadUnits}"},
                       "MaxWriteRequestUnits": {"Fn::Sub": "${MaxWriteUnits}"}}
    # An index has capacity of its own.
    assert all(index["OnDemandThroughput"] == table["OnDemandThroughput"] for index in table["GlobalSecondaryIndexes"])
    reserved = resources["IngestFunction"]["Properties"]["ReservedConcurrentExecutions"]
    assert reserved == {"Fn::If": ["HasIngestConcurrency", {"Ref": "IngestConcurrency"}, nothing]}
    assert not [name for name, function in functions(resources).items()
                if name != "IngestFunction" and "ReservedConcurrentExecutions" in function["Properties"]]
    budget = resources["Budget"]
    assert budget["Condition"] == "HasBudget"
    assert budget["Properties"]["Budget"]["BudgetLimit"] == {"Amount": {"Ref": "MonthlyBudget"}, "Unit": "USD"}
    assert {texts(notified["Subscribers"])[1] for notified in budget["Properties"]["NotificationsWithSubscribers"]} == {
        "AlarmEmail"}


def test_no_event_for_a_day_raises_an_alarm_in_live(template, resources):
    assert template["Parameters"]["QuietHours"]["Default"] == -1
    assert resources["QuietAlarm"]["Condition"] == "HasQuietHours"
    unset = {"Fn::And": [{"Condition": "IsLive"}, {"Fn::Not": [{"Condition": "HasOwnQuietHours"}]}]}
    assert unset in template["Conditions"]["HasQuietHours"]["Fn::Or"]
    alarm = resources["QuietAlarm"]["Properties"]
    assert alarm["EvaluationPeriods"] == {"Fn::If": ["HasOwnQuietHours", {"Fn::Sub": "${QuietHours}"}, 24]}
    assert (alarm["Period"], alarm["TreatMissingData"]) == (3600, "breaching")


def test_every_subscription_has_dead_letters_and_a_message_that_ends_there_raises_an_alarm(resources):
    subscriptions = [resource["Properties"] for resource in resources.values()
                     if resource["Type"] == "AWS::SNS::Subscription"]
    topics = [{"Ref": "PeopleTopic"}, {"Ref": "ProgramsTopic"}]
    to_dead_letters = {"deadLetterTargetArn": {"Fn::GetAtt": ["SubscriberDeadLetters", "Arn"]}}
    watched = [subscription for subscription in subscriptions if subscription["TopicArn"] in topics]
    assert len(watched) == 3 and all(subscription["RedrivePolicy"] == to_dead_letters for subscription in watched)
    allowed_here, = (statement for statement in statements(
        resources["SubscriberDeadLettersPolicy"]["Properties"]["PolicyDocument"]) if statement["Effect"] == "Allow")
    assert allowed_here["Condition"]["ArnEquals"]["aws:SourceArn"] == topics
    alarms = {(alarm["MetricName"], alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0]) for alarm in (
        resource["Properties"] for resource in resources.values() if resource["Type"] == "AWS::CloudWatch::Alarm")
        if alarm["Namespace"] == "AWS/SNS"}
    assert alarms == {(f"NumberOfNotifications{what}", f"{topic}Topic") for topic in ("People", "Programs")
                      for what in ("Failed", "RedrivenToDlq", "FailedToRedriveToDlq")}


def test_an_https_subscriber_may_be_down_for_an_hour(resources):
    """Amazon SNS, developer guide, "Message delivery retries": 3,600 seconds are the most."""
    policy = resources["HttpsSubscription"]["Properties"]["DeliveryPolicy"]["healthyRetryPolicy"]
    assert policy["minDelayTarget"] == policy["maxDelayTarget"]
    by_command = (ROOT / "local" / "src" / "product" / "subscriptions.rs").read_text()
    written = re.search(r'DELIVERY_POLICY: &str =\s+r#"(.*)"#;', by_command)[1]
    assert json.loads(written)["healthyRetryPolicy"] == policy
    assert 58 * 60 < policy["numRetries"] * policy["minDelayTarget"] <= 3600 and policy["numRetries"] <= 100


def test_sns_logs_what_became_of_messages_only_on_request(template, resources):
    """Of the protocols that it tells anything of, by a role that only it has."""
    assert template["Parameters"]["SnsDeliveryLogs"]["Default"] == "none"
    condition, logging, nothing = resources["ProgramsTopic"]["Properties"]["DeliveryStatusLogging"]["Fn::If"]
    assert (condition, nothing) == ("LogsSnsDeliveries", {"Ref": "AWS::NoValue"})
    assert {entry["Protocol"] for entry in logging} == {"http/s", "sqs", "lambda"}
    assert resources["SnsLogRole"]["Condition"] == "LogsSnsDeliveries"
