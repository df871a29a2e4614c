"""The smoke test of a real account, in an emulated one: it does what it can there, says what it skips, and leaves nothing."""

import json
import re
import signal
import subprocess
import sys

import pytest

import account as emulated
from test_create import everything, that_fails
from tools import ROOT

SMOKE = ROOT / "tests" / "smoke.py"
STACK = "bitpowr-webhooks-smoke"


@pytest.fixture(scope="module")
def empty(built, tmp_path_factory):
    with emulated.started(tmp_path_factory.mktemp("smoke")) as account:
        yield account


def start(account, change=None):
    command = [sys.executable, "-u", SMOKE, "--region", "eu-west-1", "--template", account.emulated(change)]
    return subprocess.Popen(command, cwd=ROOT, env=account.environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finished(smoke):
    """The exit code, what was printed, and the steps of each verdict with what was said of them."""
    shown, _ = smoke.communicate(timeout=600)
    verdicts = {verdict: {} for verdict in ("ok", "skipped", "failed")}
    for line in shown.splitlines():
        if line[:8].strip() in verdicts:
            verdicts[line[:8].strip()][line[8:24].strip()] = line[24:]
    return smoke.returncode, shown, verdicts


def test_every_step_that_an_emulator_can_do_is_ok_and_nothing_is_left(empty):
    before = everything(empty)
    code, shown, verdicts = finished(start(empty))
    assert code == 0, shown
    assert list(verdicts["ok"]) == [
        "build", "deploy", "local receiver", "subscriptions", "events", "state", "notifications", "doctor", "resend",
        "alarm by hand", "wrong secrets", "doctor in alarm", "remove"], shown
    skipped = verdicts["skipped"]
    assert list(skipped) == ["endpoint", "failed publish", "alarm by metric"], shown
    assert "no --endpoint" in skipped["endpoint"] and "dead letters" in skipped["failed publish"], shown
    assert "metrics reach no alarm" in skipped["alarm by metric"], shown
    # 25 queues and one bucket of the stack's, three queues and one bucket of the test's.
    for removed in ("1 Table", "2 Bucket", "28 Queue", "3 Secret"):
        assert removed in verdicts["ok"]["remove"], shown
    assert re.search(r"^ +43\.00 × .*event$", shown, re.M) and re.search(r"^about \$\d\.\d\d together$", shown, re.M), shown
    assert everything(empty) == before


def test_an_existing_stack_is_refused_and_left_alone(empty):
    formation = empty.client("cloudformation")
    formation.create_stack(StackName=STACK, TemplateBody=json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}))
    formation.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})
    before = everything(empty)
    try:
        code, shown, _ = finished(start(empty))
        assert code == 1 and f"the stack {STACK} exists already" in shown, shown
        assert everything(empty) == before and formation.describe_stacks(StackName=STACK)["Stacks"]
    finally:
        formation.delete_stack(StackName=STACK)
        formation.get_waiter("stack_delete_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})


def test_a_failed_deployment_is_said_and_leaves_nothing(empty):
    before = everything(empty)
    code, shown, verdicts = finished(start(empty, that_fails))
    assert code == 1 and list(verdicts["failed"]) == ["deploy"] and list(verdicts["ok"]) == ["build", "remove"], shown
    assert everything(empty) == before


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_ended_in_the_middle_leaves_nothing(empty, ended_by):
    before = everything(empty)
    smoke = start(empty)
    for line in smoke.stdout:
        if line.startswith("ok      subscriptions"):
            break
    smoke.send_signal(ended_by)
    code, shown, verdicts = finished(smoke)
    assert code == 1 and list(verdicts["failed"]) == ["interrupted"] and list(verdicts["ok"])[-1] == "remove", shown
    assert everything(empty) == before


def test_the_prices_are_those_of_the_documented_costs():
    """What an event, a refused request and a month cost is computed there."""
    costs = (ROOT / "docs" / "costs.md").read_text()
    prices = SMOKE.read_text()
    million = re.search(r"^## A million events$.*?^\| \*\*together\*\* \| \| \| \*\*([\d.]+)\*\* \|$", costs, re.M | re.S)[1]
    month, = re.findall(r"^\| \*\*together\*\* \| \| \*\*[\d.]+\*\* \| \*\*([\d.]+)\*\* \|$", costs, re.M)
    assert f'"event": {million} / 1e6' in prices and f'"hour of the stack": {month} / 730' in prices
