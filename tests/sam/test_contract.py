"""The contract tests of store, queue and publishing, over the emulated account."""

import subprocess

from tools import ROOT, environment


def test_the_contracts_hold_in_an_emulated_account(account):
    done = subprocess.run(
        ["cargo", "test", "--locked", "--package", "bitpowr-webhooks", "--test", "contract", "--", "--ignored"],
        cwd=ROOT, env=environment(CONTRACT_ENDPOINT=account.endpoint), text=True, timeout=1800,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(done.stdout)
    assert done.returncode == 0 and "3 passed" in done.stdout, done.stdout
