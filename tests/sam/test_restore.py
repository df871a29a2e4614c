"""docs/restore.md, step by step, in an emulated account: the real template, deployed with empty functions, the real command
line, and data that the product made."""

import json
import re
import shutil
import subprocess
import sys

import boto3
import pytest
from samcli.yamlhelper import yaml_parse

import account as emulated
from tools import ROOT, TOOLS, environment, eventually

PRODUCT = ROOT / "target" / "debug" / "bitpowr-webhooks"
CUSTOMER = "5742dc8e-7694-4f26-9d74-2d1e0d77bbc2"
KEY = "local"  # the access key that it answers


@pytest.fixture(scope="module")
def account(tmp_path_factory):
    with emulated.started(tmp_path_factory.mktemp("ministack")) as account:
        yield account


@pytest.fixture(scope="module")
def stack(account, tmp_path_factory):
    """The template as it is, deployed from a folder in which no function is built."""
    folder = tmp_path_factory.mktemp("project")
    account.write(yaml_parse((ROOT / "template.yaml").read_text()), folder / "template.yaml")
    shutil.copy(ROOT / "samconfig.toml", folder)
    for function in {path.parent.name for path in (ROOT / "functions").glob("*/Cargo.toml")}:
        code = folder / "target" / "lambda" / function
        code.mkdir(parents=True)
        (code / "bootstrap").write_text(f"#!/bin/sh\n# {function}\n")
    deploy = [TOOLS / "sam", "deploy", "--config-env", "test", "--region", "eu-west-1", "--no-resolve-s3", "--s3-bucket",
              "artifacts", "--no-progressbar", "--parameter-overrides", "Environment=test"]

    def again():
        done = subprocess.run(deploy, cwd=folder, env=account.environment, text=True, timeout=300,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout
    again()
    return again


@pytest.fixture(scope="module")
def command(account):
    """The command line, on the stack."""
    built = subprocess.run(["cargo", "build", "--locked"], cwd=ROOT, env=environment(), timeout=1800)
    assert built.returncode == 0

    def run(*arguments, code=0):
        done = subprocess.run([PRODUCT, *arguments, "--stack", emulated.STACK], env=account.environment, text=True,
                              timeout=120, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout
    return run


def samples(folder):
    """All that the product keeps of its samples, as items of a table."""
    with open(folder / "log", "w") as log:
        serving = subprocess.Popen([PRODUCT, "--port", "0", "--memory", "--aws-endpoint", "127.0.0.1:0"], cwd=folder,
                                   stdout=log, stderr=log)
    try:
        said = eventually(lambda: "Ctrl-C" in (text := (folder / "log").read_text()) and text)
        url = re.search(r"http://127\.0\.0\.1:\d+", said)[0]
        endpoint = re.search(r"AWS services for sam local: (\S+)", said)[1]
        subprocess.run([PRODUCT, "trigger", "all", "--url", url], check=True, stdout=subprocess.DEVNULL)
        database = boto3.client("dynamodb", endpoint_url=endpoint, region_name="eu-west-1", aws_access_key_id=KEY,
                                aws_secret_access_key=KEY)

        def everything():
            items = [item for page in database.get_paginator("scan").paginate(TableName="bitpowr-webhooks")
                     for item in page["Items"]]
            return len([item for item in items if item["sk"]["S"].startswith("event#")]) == 43 and items
        return eventually(everything)
    finally:
        serving.terminate()
        serving.wait(30)


def everything(database, table):
    return [item for page in database.get_paginator("scan").paginate(TableName=table) for item in page["Items"]]


def test_the_runbook_is_followed_step_by_step(account, stack, command, tmp_path, monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, account.environment[name])
    database, functions = account.client("dynamodb"), account.client("lambda")
    skipped = []
    old = account.resource("Table")
    for item in samples(tmp_path):
        database.put_item(TableName=old, Item=item)
    command("rebuild", "--check")

    def restore():
        database.restore_table_to_point_in_time(
            SourceTableName=old, TargetTableName=f"{old}-restored", UseLatestRestorableTime=True)
        database.get_waiter("table_exists").wait(TableName=f"{old}-restored")
        # What happens after it, and the harm.
        command("erase", "--customer", CUSTOMER, "--why", "request 7", "--yes")
        for item in everything(database, old):
            if item.get("event", {}).get("S") == "transaction.deposit.success":
                body = {"pk": {"S": f"test#raw#{item['id']['S']}"}, "sk": {"S": "raw"}}
                database.delete_item(TableName=old, Key=body)
        command("rebuild", "--check", code=1)
        skipped.append("1: an earlier time, and how long it takes")

    def set_up():
        table = f"{old}-restored"
        refused = take_in(table)
        assert refused.returncode == 1 and "lacks its stream, with new images, its time to live" in refused.stderr, refused
        database.update_table(TableName=table, DeletionProtectionEnabled=True,
                              StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"})
        database.update_time_to_live(
            TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"})
        database.update_continuous_backups(
            TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})

    def check():
        said = command("rebuild", "--check", "--table", f"{old}-restored")
        assert "43 events" in said and "everything matches" in said
        assert "sample.customer@example.com" in command("export", "--raw", "--table", f"{old}-restored")

    def take_in(table):
        script = [sys.executable, ROOT / "docs/restore/take_in.py", "--stack", emulated.STACK, "--table", table,
                  "--bucket", "artifacts"]
        return subprocess.run(script, cwd=tmp_path, text=True, timeout=300, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)

    def take_it_in():
        table = f"{old}-restored"
        done = take_in(table)
        assert done.returncode == 0, done
        assert account.resource("Table") == table
        # Whatever names the table names the new one.
        for name in ("api", "actions", "deposits", "notify", "deliver", "sweep"):
            found = functions.get_function_configuration(FunctionName=f"{emulated.STACK}-{name}")
            assert found["Environment"]["Variables"]["TABLE_NAME"] == table, name
        stream = database.describe_table(TableName=table)["Table"]["LatestStreamArn"]
        mappings = functions.list_event_source_mappings(FunctionName=f"{emulated.STACK}-notify")["EventSourceMappings"]
        assert [mapping["EventSourceArn"] for mapping in mappings] == [stream]
        rights = json.dumps([
            account.client("iam").get_role_policy(RoleName=role["RoleName"], PolicyName=policy)["PolicyDocument"]
            for role in account.client("iam").list_roles()["Roles"]
            for policy in account.client("iam").list_role_policies(RoleName=role["RoleName"])["PolicyNames"]])
        assert f"table/{table}" in rights and f"table/{old}\"" not in rights and f"table/{old}/" not in rights
        # The old one is kept. Doing it again, and a deployment, change nothing.
        assert old in database.list_tables()["TableNames"]
        assert take_in(table).returncode == 0
        stack()
        assert account.resource("Table") == table
        command("rebuild", "--check")

    def apply_again():
        said = [json.loads(line) for line in command("export", "--raw", "--table", old, "--from", "1h").splitlines()]
        # A body that is gone does not hold up the others.
        assert (len(said), len([event for event in said if event.get("raw")])) == (43, 42)
        skipped.append("5: sending the bodies again: the functions are empty here")

    def erase_again():
        said = command("export", "--raw", "--table", old)
        erased = [event["id"] for event in map(json.loads, said.splitlines())
                  if any(action["action"] == "erase" for action in event.get("actions", []))]
        # The customer's four events, and a transaction that has texts.
        assert len(erased) == 5
        for event in erased:
            command("erase", "--event", event, "--why", "restored", "--yes")
        assert "sample.customer" not in command("export", "--raw", "--table", f"{old}-restored")

    def look_and_remove():
        command("rebuild")
        command("rebuild", "--check")
        database.update_table(TableName=old, DeletionProtectionEnabled=False)
        database.delete_table(TableName=old)
        command("rebuild", "--check")
        skipped.append("7: doctor: the functions are empty here")

    steps = [restore, set_up, check, take_it_in, apply_again, erase_again, look_and_remove]
    runbook = re.findall(r"^## (\d\. .*)$", (ROOT / "docs/restore.md").read_text(), re.MULTILINE)
    assert len(runbook) == len(steps)
    for title, step in zip(runbook, steps):
        print(title)
        step()
    print("skipped:", *skipped, sep="\n  ")
