"""What stays behind: nothing of a creation that fails, what is kept of a stack that is deleted."""

import pytest

from tools import eventually

UNFINISHED = "bitpowr-webhooks-unfinished"


def status(account):
    """The status of the stack; nothing where there is none."""
    pages = account.client("cloudformation").get_paginator("describe_stacks").paginate()
    return next((stack["StackStatus"] for page in pages for stack in page["Stacks"]
                 if stack["StackName"] == UNFINISHED), None)


def everything(account):
    """What a stack keeps, by kind, and what else of it would cost money or be in the way."""
    client, found = account.client, set()
    found |= {("table", name) for name in client("dynamodb").list_tables()["TableNames"]}
    found |= {("queue", url) for page in client("sqs").get_paginator("list_queues").paginate()
              for url in page.get("QueueUrls", [])}
    found |= {("secret", secret["ARN"]) for secret in client("secretsmanager").list_secrets()["SecretList"]}
    found |= {("bucket", bucket["Name"]) for bucket in client("s3").list_buckets()["Buckets"]}
    found |= {("role", role["RoleName"]) for page in client("iam").get_paginator("list_roles").paginate()
              for role in page["Roles"]}
    found |= {("topic", topic["TopicArn"]) for page in client("sns").get_paginator("list_topics").paginate()
              for topic in page["Topics"]}
    found |= {("log", group["logGroupName"]) for page in client("logs").get_paginator("describe_log_groups").paginate()
              for group in page["logGroups"]}
    return found


@pytest.fixture
def in_the_way(account):
    """A log group that has the name of one of the stack's: the stack cannot be created."""
    logs, name = account.client("logs"), f"/aws/lambda/{UNFINISHED}-sweep"
    logs.create_log_group(logGroupName=name)
    yield
    if name in {group["logGroupName"] for group in logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]}:
        logs.delete_log_group(logGroupName=name)


def remove(account):
    account.client("cloudformation").delete_stack(StackName=UNFINISHED)
    eventually(lambda: status(account) in (None, "DELETE_COMPLETE"))


def test_a_creation_that_fails_leaves_nothing(built, account, in_the_way):
    before = everything(account)
    done = account.try_to_deploy(stack=UNFINISHED)
    assert done.returncode != 0 and "ROLLBACK_COMPLETE" in done.stdout, done.stdout
    remove(account)
    assert everything(account) - before == set()


def test_a_stack_that_is_deleted_keeps_table_queues_secrets_and_bucket(built, account):
    before = everything(account)
    account.deploy(stack=UNFINISHED)
    created = everything(account) - before
    remove(account)
    kept = everything(account) - before
    kinds = ("table", "queue", "secret", "bucket")
    assert kept == {(kind, name) for kind, name in created if kind in kinds}
    assert [sum(kind == one for one, _ in kept) for kind in kinds] == [1, 25, 3, 1]


@pytest.mark.parametrize("parameters", [
    ["Email=you"], ["HttpsFilterPolicy={"], ["OidcIssuer=https://example.com"], ["QuietHours=25"],
    ["HttpsFilterPolicy={}"],
])
def test_a_wrong_parameter_is_refused_before_anything_is_created(built, account, parameters):
    before = everything(account)
    done = account.try_to_deploy(*parameters, stack="bitpowr-webhooks-refused")
    assert done.returncode != 0, done.stdout
    assert everything(account) == before
