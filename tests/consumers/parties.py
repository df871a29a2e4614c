"""Those who take part: the product, services that it sends events to, and Bitpowr's API; all of them real processes, or at
least real servers."""

import base64
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from decimal import Context, Decimal, Inexact, setcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import takewhile
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("BITPOWR_BINARY", ROOT / "target" / "debug" / "bitpowr-webhooks")
NODE = ROOT / "docs" / "consumers" / "node"
PYTHON = ROOT / "docs" / "consumers" / "python"
AUTHENTIC = {"x-webhook-secret": base64.b64encode(b"local-secret").decode(), "content-type": "application/json"}
COLUMNS = ("received", "sent", "fees", "pending")
# The default rounds sums to 28 digits.
setcontext(Context(prec=1000, traps=[Inexact]))
# How long something may take that takes seconds at rest. What fails twice is tried again after a minute.
PATIENCE = 100


def until(question, patience=PATIENCE):
    """Asks until the answer is true, and gives it."""
    end = time.monotonic() + patience
    while not (answer := question()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
    return answer


class Product:
    """The product, with its data in a folder: it can be killed and started again."""

    def __init__(self, data, *options):
        self.command = [BINARY, "serve", "--data", data, "--port", "0", *options]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        # Where it listens, up to an empty line.
        self.head = "".join(takewhile(str.strip, self.process.stdout))
        self.url = re.search(r"http://[0-9.:]+", self.head).group()
        # It stops where nobody reads what it prints.
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def kill(self):
        self.process.kill()
        self.process.wait()

    stop = kill

    def get(self, path):
        answer = requests.get(f"{self.url}/api/test/{path}", timeout=30)
        answer.raise_for_status()
        return answer.json()

    def post(self, path, **fields):
        answer = requests.post(f"{self.url}/api/test/{path}", timeout=30, json={"why": "a test", **fields})
        answer.raise_for_status()
        return answer.json()

    def all(self, path, what):
        """Everything of a list, page by page."""
        cursor = ""
        while cursor is not None:
            page = self.get(f"{path}{'&' if '?' in path else '?'}limit=100&cursor={cursor}")
            yield from page[what]
            cursor = page["cursor"]

    def send(self, body):
        """Delivers a webhook as Bitpowr does, which sends again what was not accepted: also where the product was killed."""
        body = (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()

        def accepted():
            with suppress(requests.ConnectionError):
                answer = requests.post(f"{self.url}/webhooks/test", data=body, headers=AUTHENTIC, timeout=30)
                assert answer.status_code in (200, 503), answer.text
                return answer.status_code == 200

        until(accepted)

    def endpoint(self, url, **fields):
        """Makes an endpoint: its id and its secret."""
        made = self.post("endpoints", url=url, **fields)
        return made["id"], made["secret"]

    def known(self, endpoint):
        return next(one for one in self.get("endpoints")["endpoints"] if one["id"] == endpoint)

    def samples(self):
        """Sends a sample of every event, each about something of its own, and gives their types."""
        payloads = sorted((ROOT / "events" / "payloads").glob("*.json"))
        for payload in payloads:
            text = payload.read_text()
            self.send(text.replace(json.loads(text)["data"]["uid"], f"sample-{payload.stem}"))
        return {payload.stem for payload in payloads}

    def balances(self):
        return books(self.all("balances", "balances"))

    def ledger(self):
        """What the lines of the ledger add up to."""
        sums = {}
        for account in {account for account, _ in self.balances()}:
            for line in self.all(f"ledger?account={account}", "ledger"):
                key = (account, line["asset"])
                sums.setdefault(key, dict.fromkeys(COLUMNS, Decimal(0)))
                for column in COLUMNS:
                    sums[key][column] += Decimal(line["change"].get(column) or "0")
        return {key: amounts for key, amounts in sums.items() if any(amounts.values())}


def books(rows):
    """Balances by account and asset; none where there is nothing."""
    found = {(row["account"], row["asset"]): {column: Decimal(row[column]) for column in COLUMNS} for row in rows}
    return {key: amounts for key, amounts in found.items() if any(amounts.values())}


class Service:
    """One of the services in docs/consumers, as a process."""

    def __init__(self, product, folder, api="http://127.0.0.1:9"):
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port = free.getsockname()[1]
        self.database = folder / f"{self.name}.db"
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self.endpoint, secret = product.endpoint(self.url, description=self.name)
        self.environment = {**os.environ, "WEBHOOK_SECRET": secret, "PORT": str(self.port),
                            "DATABASE": str(self.database), "BITPOWR_API": api, "BITPOWR_TOKEN": "a-token"}
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, cwd=self.folder, env=self.environment, stderr=subprocess.DEVNULL)
        until(self._listens)

    def _listens(self):
        assert self.process.poll() is None, "the service ended"
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", self.port))):
            return True

    def kill(self):
        self.process.kill()
        self.process.wait()

    stop = kill

    def rows(self, query, *values):
        with closing(sqlite3.connect(self.database, timeout=30)) as db:
            db.row_factory = sqlite3.Row
            return db.execute(query, values).fetchall()

    def balances(self):
        return books(self.rows("SELECT * FROM balances WHERE environment = 'test'"))

    def received(self):
        return {row["id"] for row in self.rows("SELECT id FROM received")}

    def hold(self, uid):
        found = self.rows("SELECT hold FROM booked WHERE environment = 'test' AND uid = ?", uid)
        return found[0]["hold"] if found else None

    def ask(self, uid):
        """What the service says where somebody wants to pay out a deposit."""
        answer = subprocess.run([*self.question, uid], cwd=self.folder, env=self.environment, check=True, text=True,
                                stdout=subprocess.PIPE)
        return json.loads(answer.stdout)


class NodeService(Service):
    name, folder, command = "node", NODE, ["node", "service.mjs"]
    question = ["node", "--input-type=module", "--eval", """
        const { reasonNotToPayOut } = await import('./service.mjs')
        console.log(JSON.stringify(await reasonNotToPayOut('test', process.argv[1])))"""]


class PythonService(Service):
    name, folder, command = "python", PYTHON, [sys.executable, "-B", "service.py"]
    question = [sys.executable, "-B", "-c", """
import json, sys, service
print(json.dumps(service.reason_not_to_pay_out("test", sys.argv[1])))"""]


class Server:
    """A server on this machine; `answer(request, body)` gives the status and the body of each answer."""

    def __init__(self, answer):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status, text = answer(self, body)
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = handle_any

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Recorder(Server):
    """Takes everything, and keeps it as it came: the headers and the body."""

    def __init__(self):
        self.requests = []
        super().__init__(self._keep)

    def _keep(self, request, body):
        self.requests.append((dict(request.headers), body.decode()))
        return 204, b""

    def by_id(self):
        return {headers["webhook-id"]: (headers, body) for headers, body in list(self.requests)}
