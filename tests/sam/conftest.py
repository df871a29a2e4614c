"""What the tests with the real SAM CLI share: the functions, built; an emulated AWS account with the stack deployed
into it; a Docker engine with the local product beside it. All of it listens on this machine only, and is ended
with the run."""

import subprocess

import pytest

import account as emulated
import containers
from tools import ROOT, TOOLS, environment


@pytest.fixture(scope="session")
def built():
    """The functions and the local product, built as a user builds them."""
    for command in ([TOOLS / "sam", "build"], ["cargo", "build", "--locked"]):
        done = subprocess.run(command, cwd=ROOT, env=environment(), text=True, timeout=1800,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout


@pytest.fixture(scope="session")
def account(tmp_path_factory):
    with emulated.started(tmp_path_factory.mktemp("ministack")) as account:
        yield account


@pytest.fixture(scope="session")
def stack(built, account):
    account.deploy()
    return emulated.Stack(account)


@pytest.fixture(scope="session")
def docker(tmp_path_factory):
    with containers.engine(tmp_path_factory.mktemp("docker")) as docker:
        yield docker


@pytest.fixture(scope="session")
def local(built, docker, tmp_path_factory):
    with containers.product(docker, tmp_path_factory.mktemp("product")) as local:
        yield local


@pytest.fixture(scope="session")
def payloads():
    """The samples, in the order of their lives."""
    catalogue = (ROOT / "shared" / "src" / "model" / "catalogue.rs").read_text()
    names = [line.split('"')[1] for line in catalogue.splitlines() if line.strip().endswith(tuple(
        f'" {family.capitalize()};' for family in emulated.FAMILIES))]
    assert len(names) == 43
    return {name: (ROOT / "events" / "payloads" / f"{name}.json").read_bytes() for name in names}
