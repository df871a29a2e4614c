"""Takes a restored table into a stack, in the place of its own (docs/restore.md, step 4).

    python3 docs/restore/take_in.py --stack NAME --table RESTORED --bucket BUCKET

CloudFormation takes a table into a stack only as a resource that the stack does not have. So the stack is first updated to use
the restored table by its name, without a table of its own: that one is kept, and belongs to no stack. Then the restored table is
imported. Then the template is deployed as it was. A run that was interrupted goes on with --template, the file that it named.
"""

import argparse
import json
import re
import sys
import time

import boto3
from botocore.exceptions import ClientError, WaiterError

TABLE = "Table"  # its logical id


def settings_missing(database, name, template):
    """What a restored table lacks of what the template gives its own."""
    table = database.describe_table(TableName=name)["Table"]
    wanted = template["Resources"][TABLE]["Properties"]
    stream = table.get("StreamSpecification") or {}
    ttl = database.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    backups = database.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    has = {index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])}
    needs = {index["IndexName"] for index in wanted.get("GlobalSecondaryIndexes", [])}
    checks = {
        "its stream, with new images": stream.get("StreamViewType") == wanted["StreamSpecification"]["StreamViewType"],
        "its time to live": ttl["TimeToLiveStatus"] in ("ENABLING", "ENABLED"),
        "point-in-time recovery":
            backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED",
        "protection against deletion": table.get("DeletionProtectionEnabled", False),
        f"the indexes {sorted(needs - has)}": needs <= has,
    }
    return [check for check, is_there in checks.items() if not is_there], table


def with_names(value, names):
    """A template in which what refers to the table names it: `!Ref`, `!GetAtt` and `!Sub`, in their long forms."""
    if isinstance(value, list):
        return [with_names(one, names) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("Ref") == TABLE:
        return names["Ref"]
    attribute = value.get("Fn::GetAtt")
    if attribute is not None:
        logical, _, name = attribute.partition(".") if isinstance(attribute, str) else (attribute[0], "", attribute[1])
        return names[name] if logical == TABLE else value
    if "Fn::Sub" in value:
        text, *more = value["Fn::Sub"] if isinstance(value["Fn::Sub"], list) else [value["Fn::Sub"]]
        text = re.sub(r"\$\{Table(?:\.(\w+))?\}", lambda found: names[found[1] or "Ref"], text)
        return {"Fn::Sub": [text, *(with_names(one, names) for one in more)] if more else text}
    return {name: with_names(one, names) for name, one in value.items()}


def without_table(template, names):
    """The template of a stack that uses a table which is not its own."""
    resources = {name: resource for name, resource in template["Resources"].items() if name != TABLE}
    return with_names({**template, "Resources": resources}, names)


class Stack:
    def __init__(self, name, bucket):
        self.name, self.bucket = name, bucket
        self.formation, self.storage = boto3.client("cloudformation"), boto3.client("s3")

    def template(self):
        """Its template, as CloudFormation runs it: without transforms and loops."""
        body = self.formation.get_template(StackName=self.name, TemplateStage="Processed")["TemplateBody"]
        return json.loads(body) if isinstance(body, str) else body

    def table(self):
        """The name of its own table; none where it has none."""
        try:
            found = self.formation.describe_stack_resource(StackName=self.name, LogicalResourceId=TABLE)
        except ClientError:
            return None
        detail = found["StackResourceDetail"]
        return detail["PhysicalResourceId"] if detail["ResourceStatus"] != "DELETE_SKIPPED" else None

    def change(self, template, kind, imported=()):
        """Makes a change set, and executes it. A template of this size has to come from a bucket."""
        key, change_set = f"take-in/{self.name}.json", f"take-in-{time.time_ns()}"
        self.storage.put_object(Bucket=self.bucket, Key=key, Body=json.dumps(template).encode())
        url = self.storage.generate_presigned_url("get_object", Params={"Bucket": self.bucket, "Key": key})
        parameters = self.formation.describe_stacks(StackName=self.name)["Stacks"][0].get("Parameters", [])
        keep = [{"ParameterKey": one["ParameterKey"], "UsePreviousValue": True} for one in parameters]
        more = {"ResourcesToImport": list(imported)} if imported else {}
        self.formation.create_change_set(
            StackName=self.name, ChangeSetName=change_set, ChangeSetType=kind, TemplateURL=url.split("?")[0],
            Parameters=keep, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"], **more)
        try:
            self.formation.get_waiter("change_set_create_complete").wait(
                StackName=self.name, ChangeSetName=change_set, WaiterConfig={"Delay": 3})
        except WaiterError:
            found = self.formation.describe_change_set(StackName=self.name, ChangeSetName=change_set)
            self.formation.delete_change_set(StackName=self.name, ChangeSetName=change_set)
            reason = found.get("StatusReason", "")
            if "No updates" in reason or "didn't contain changes" in reason:
                return
            sys.exit(f"CloudFormation refuses: {reason}")
        self.formation.execute_change_set(StackName=self.name, ChangeSetName=change_set)
        done = "stack_import_complete" if kind == "IMPORT" else "stack_update_complete"
        self.formation.get_waiter(done).wait(StackName=self.name, WaiterConfig={"Delay": 5})


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--stack", required=True)
    options.add_argument("--table", required=True, help="the restored table")
    options.add_argument("--bucket", required=True, help="a bucket of the account, for templates: sam deploy has one")
    options.add_argument("--template", help="to go on: the file that an interrupted run wrote")
    options = options.parse_args()
    stack = Stack(options.stack, options.bucket)
    if options.template:
        with open(options.template) as file:
            template = json.load(file)
    else:
        template = stack.template()
    if TABLE not in template["Resources"]:
        sys.exit("The stack has no table of its own: an earlier run was interrupted. Give its file with --template.")
    missing, table = settings_missing(boto3.client("dynamodb"), options.table, template)
    if missing:
        sys.exit(f"The table {options.table} lacks {', '.join(missing)}.")
    kept = options.template or f"take-in-{options.stack}.json"
    if not options.template:
        with open(kept, "w") as file:
            json.dump(template, file)
    names = {"Ref": options.table, "Arn": table["TableArn"], "StreamArn": table["LatestStreamArn"]}
    aside = without_table(template, names)

    own = stack.table()
    if own not in (None, options.table):
        print(f"1. The stack uses {options.table}. {own} is kept, and belongs to no stack. To go on: --template {kept}")
        stack.change(aside, "UPDATE")
    if own != options.table:
        print("2. The table becomes the stack's own.")
        resource = {**template["Resources"][TABLE], "DeletionPolicy": "Retain"}
        identifier = {"ResourceType": resource["Type"], "LogicalResourceId": TABLE,
                      "ResourceIdentifier": {"TableName": options.table}}
        whole = {**aside, "Resources": {**aside["Resources"], TABLE: resource}}
        stack.change(whole, "IMPORT", [identifier])
    print("3. The template is as it was.")
    stack.change(template, "UPDATE")
    print(f"{options.stack} has the table {stack.table()}.")


if __name__ == "__main__":
    main()
