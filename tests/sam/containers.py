"""`sam local`: the functions in containers, with the local product for an AWS account.

Everything is made and ended here: a Docker engine of its own, an image to run the functions in (what AWS would
pull from its registry, made from this machine's own libraries), and the local product. Where no engine can be
started the tests fail; SKIP_SAM_LOCAL=1 skips them, and says so.
"""

import contextlib
import fcntl
import io
import json
import os
import shutil
import socket
import struct
import subprocess
import tarfile
import urllib.request

import certifi
import pytest

from tools import ROOT, TOOLS, end, environment, eventually

SAM = TOOLS / "sam"
PRODUCT = ROOT / "target" / "debug" / "bitpowr-webhooks"
IMAGE = "public.ecr.aws/lambda/provided:al2023-x86_64"


@contextlib.contextmanager
def engine(folder):
    """A Docker engine: the environment of its clients."""
    if os.environ.get("SKIP_SAM_LOCAL"):
        pytest.skip("SKIP_SAM_LOCAL is set: sam local is NOT tested")
    assert shutil.which("dockerd"), "install a Docker engine (apt-get install docker.io iptables), or set SKIP_SAM_LOCAL=1"
    host = f"unix://{folder}/docker.sock"
    client = environment(DOCKER_HOST=host)
    # It refuses to start where the machine's own settings say one of these things too.
    (folder / "settings.json").write_text("{}")
    with open(folder / "log", "w") as log:
        engine = subprocess.Popen(
            ["dockerd", "--config-file", folder / "settings.json", "--data-root", folder / "data",
             "--exec-root", folder / "exec", "--pidfile", folder / "pid", "-H", host], stdout=log, stderr=log)
    try:
        def answers():
            assert engine.poll() is None, (folder / "log").read_text()
            return subprocess.run(["docker", "version"], env=client, capture_output=True).returncode == 0
        eventually(answers)
        subprocess.run(["docker", "import", "--change", "ENV PATH=/bin", "--change", "ENV LAMBDA_TASK_ROOT=/var/task",
                        "--change", "ENV LAMBDA_RUNTIME_DIR=/var/runtime", "--change", "WORKDIR /var/task", "-", IMAGE],
                       env=client, input=image(), check=True, capture_output=True)
        yield client
    finally:
        end(engine)


def bridge(docker):
    """The host's address on the network of the containers. The kernel is asked, not the engine: one that has just made
    the bridge names no gateway, only one that found it does. An address of our own choice (`--bip`) is refused where
    the bridge is there with another one."""
    interface = subprocess.run(
        ["docker", "network", "inspect", "bridge",
         "--format", '{{index .Options "com.docker.network.bridge.name"}}'],
        env=docker, check=True, capture_output=True, text=True).stdout.strip()
    return address(interface)


def address(interface):
    """The IPv4 address of an interface, as the kernel says it."""
    get_address = 0x8915  # SIOCGIFADDR, netdevice(7)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, get_address, struct.pack("256s", interface.encode()))
    # A `struct ifreq`: 16 bytes of name; then a `struct sockaddr_in`, whose address begins at its fifth byte.
    return socket.inet_ntoa(answer[20:24])


def image():
    """A root file system in which a function's bootstrap runs, as a tar archive."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        def folder(name, mode=0o755):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)

        def text(name, contents):
            entry = tarfile.TarInfo(name)
            entry.size = len(contents)
            tar.addfile(entry, io.BytesIO(contents.encode()))

        def program(source, name):
            tar.add(os.path.realpath(source), arcname=name)

        for name in ("bin", "etc", "etc/ssl", "etc/ssl/certs", "lib", "lib64", "opt", "var", "var/task", "var/runtime"):
            folder(name)
        folder("tmp", 0o1777)
        text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
        # As AWS's image has some: without any, no client for HTTPS can be made.
        program(certifi.where(), "etc/ssl/certs/ca-certificates.crt")
        # The commands that SAM's own layer on top of the image uses, and every library they and the bootstrap name.
        commands = ["sh", "mv", "chmod", "cp", "rm", "ls", "cat"]
        libraries = set()
        for command in commands:
            path = shutil.which(command)
            program(path, f"bin/{command}")
            libraries |= needed(path)
        bootstrap = ROOT / "target" / "lambda" / "ingest" / "bootstrap"
        for library in libraries | needed(bootstrap):
            program(library, library.lstrip("/"))
    return archive.getvalue()


def needed(program):
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    words = [word for line in listed.splitlines() for word in line.split()]
    return {word for word in words if word.startswith("/")}


class Local:
    """The local product, and `sam local` around it."""

    def __init__(self, environment, url, settings, host):
        self.environment, self.url, self.host = environment, url, host
        # On Linux a container knows the host by no name of itself.
        self.options = ["--skip-pull-image", "--region", "eu-west-1", "--env-vars", settings,
                        "--add-host", f"host.docker.internal:{host}"]

    def invoke(self, function, event):
        """`sam local invoke`: what the function answered. Its exit status tells nothing: what it prints does."""
        done = subprocess.run(
            [SAM, "local", "invoke", function, "--event", ROOT / "events" / event, *self.options],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0 and done.stdout.strip(), done.stderr
        answer = json.loads(done.stdout.strip().splitlines()[-1])
        assert not isinstance(answer, dict) or "errorType" not in answer, (answer, done.stderr)
        return answer

    def get(self, path):
        with urllib.request.urlopen(f"{self.url}/api/test/{path}", timeout=30) as answer:
            return json.load(answer)


@contextlib.contextmanager
def product(docker, folder):
    """The local product, serving AWS to containers."""
    host = bridge(docker)
    with open(folder / "out", "w") as out:
        product = subprocess.Popen(
            [PRODUCT, "--port", "0", "--data", folder / "data", "--aws-endpoint", f"{host}:0"],
            stdout=out, stderr=subprocess.STDOUT)
    try:
        def started():
            assert product.poll() is None, (folder / "out").read_text()
            lines = (folder / "out").read_text().splitlines()
            found = [word for line in lines[:4] for word in line.split() if word.startswith("http://")]
            return found if len(found) >= 4 else None
        found = eventually(started)
        port = next(word for word in found if f"//{host}:" in word).rsplit(":", 1)[1]
        settings = folder / "environment.json"
        settings.write_text((ROOT / "events" / "environment.json").read_text().replace(":8788", f":{port}"))
        local = Local(docker, found[0].removesuffix("/webhooks/test"), settings, host)
        local.notified = lambda: (folder / "out").read_text()
        yield local
    finally:
        end(product)
