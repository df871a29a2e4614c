import subprocess

import pytest

from parties import NODE, ROOT, Product


@pytest.fixture(scope="session", autouse=True)
def packages():
    """The packages of Node's service, as its lock file has them."""
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline",
                    "--cache", ROOT / "target" / "npm"], cwd=NODE, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def started():
    """Starts parties, and ends them with the test."""
    running = []

    def start(party):
        running.append(party)
        return party

    yield start
    for party in reversed(running):
        party.stop()


@pytest.fixture
def product(started, tmp_path):
    return started(Product(tmp_path / "product"))
