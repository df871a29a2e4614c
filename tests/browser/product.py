"""The product as a process, and real HTTP to it."""

import base64
import contextlib
import json
import os
import pathlib
import queue
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("BITPOWR_BINARY", str(ROOT / "target" / "debug" / "bitpowr-webhooks"))
SECRET = base64.b64encode(b"local-secret").decode()
PATIENCE = 15


def sample(event, **changes):
    """A sample event; `changes` replace fields of its `data`."""
    body = json.loads((ROOT / "events" / "payloads" / f"{event}.json").read_text())
    body["data"].update(changes)
    return body


def until(question, patience=PATIENCE):
    """Asks until the answer is true, and gives it."""
    end = time.monotonic() + patience
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


class Product:
    """One product with empty memory on a free port. `lines` is what it has sent, one notification each."""

    def __init__(self, *options):
        self.process = subprocess.Popen(
            [BINARY, "serve", "--memory", "--port", "0", *options],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8",
        )
        self._out = queue.Queue()
        self.lines = []
        threading.Thread(target=self._read, daemon=True).start()
        first = self._out.get(timeout=PATIENCE)
        self.url = re.search(r"http://127\.0\.0\.1:\d+", first).group()

    def _read(self):
        for line in self.process.stdout:
            self._out.put(line)
            if line.startswith("{"):
                self.lines.append(json.loads(line))

    def ports(self):
        """The ports on which the process listens, as the kernel lists them (proc(5))."""
        process = f"/proc/{self.process.pid}"
        sockets = set()
        for descriptor in os.listdir(f"{process}/fd"):
            with contextlib.suppress(OSError):
                sockets.add(os.readlink(f"{process}/fd/{descriptor}"))
        found = set()
        for table in ("tcp", "tcp6"):
            for line in pathlib.Path(f"{process}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                listens = fields[3] == "0A"
                if listens and f"socket:[{fields[9]}]" in sockets:
                    found.add(int(fields[1].rsplit(":", 1)[1], 16))
        return sorted(found)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def send(self, body, environment="test"):
        """Delivers a webhook as Bitpowr does: an object, or bytes as they are. Gives the status."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}/webhooks/{environment}", data=data,
            headers={"x-webhook-secret": SECRET, "content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status
        except urllib.error.HTTPError as refusal:
            return refusal.code

    def post(self, path, body):
        request = urllib.request.Request(
            self.url + path, data=json.dumps(body).encode(), headers={"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
            return json.load(answer)

    def apply(self, body, environment="test"):
        """Delivers a webhook and waits until the log has it. Gives the event."""
        before = {event["id"] for event in self.events(environment)}
        assert self.send(body, environment) == 200
        return until(lambda: [event for event in self.events(environment) if event["id"] not in before])[0]

    def events(self, environment="test"):
        return self.get(f"/api/{environment}/events?limit=100")["events"]

    def quarantine(self, body):
        """Delivers what cannot be read and waits until the quarantine has it. Gives what is kept."""
        before = len(self.get("/api/test/quarantine")["quarantine"])
        assert self.send(body) >= 400
        return until(lambda: self.get("/api/test/quarantine")["quarantine"][: -before or None])[0]

    def notified(self, **fields):
        """The notifications that have these fields."""
        return [line for line in list(self.lines) if fields.items() <= line.items()]
