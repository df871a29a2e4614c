"""`sam deploy --guided`, as a first user runs it: on a terminal, with Enter to every question."""

import os
import pty
import re
import select
import shutil
import subprocess
import time

import pytest

import account as emulated
from tools import ROOT, TOOLS

# An account of its own: the others' stack has the name that is offered here.
LONGEST = 600


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    with emulated.started(tmp_path_factory.mktemp("guided")) as account:
        yield account


def enter_to_everything(command, environment):
    """Runs a command on a terminal: its exit status, and what it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown, answered, deadline = "", 0, time.monotonic() + LONGEST
    try:
        while True:
            assert time.monotonic() < deadline, shown
            if select.select([ours], [], [], 0.2)[0]:
                try:
                    got = os.read(ours, 65536)
                except OSError:
                    # The other end is closed: it has ended.
                    break
                shown += got.decode(errors="replace")
            # A question ends with what Enter means.
            elif len(shown) > answered and re.search(r"\]: ?(\x1b\[\d*m)*$", shown):
                answered = len(shown)
                os.write(ours, b"\n")
        return process.wait(60), re.sub(r"\x1b\[\d*m", "", shown)
    finally:
        process.kill()
        os.close(ours)


def test_enter_all_through_deploys_a_stack_and_the_settings_that_it_writes_deploy_it_again(built, empty, tmp_path):
    settings = tmp_path / "samconfig.toml"
    shutil.copy(ROOT / "samconfig.toml", settings)
    files = ["--template-file", empty.emulated(), "--config-file", settings]
    status, shown = enter_to_everything([TOOLS / "sam", "deploy", "--guided", *files], empty.environment)
    assert status == 0 and "Successfully created/updated stack - bitpowr-webhooks-test" in shown, shown
    asked = re.findall(r"Parameter (\w+) \[", shown)
    assert asked[:3] == ["Environment", "Email", "AlarmEmail"]
    assert empty.outputs()["WebhookUrl"].endswith("/webhooks/test")
    again = subprocess.run([TOOLS / "sam", "deploy", *files], cwd=ROOT, env=empty.environment, text=True, timeout=300,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert again.returncode == 0 and "No changes to deploy" in again.stdout, again.stdout
