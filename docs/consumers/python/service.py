"""A service that gets Bitpowr's events from an endpoint, and keeps books that equal the receiver's. ../README.md says why it
is as it is."""

import json
import os
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from decimal import Context, Decimal, FloatOperation, Inexact, InvalidOperation
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

from standardwebhooks import Webhook, WebhookVerificationError

DATABASE = os.environ.get("DATABASE", "books.db")
BITPOWR_API = os.environ.get("BITPOWR_API", "https://developers.bitpowr.com/api/v1")
SCHEMA = """PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS received (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS booked (environment TEXT, uid TEXT, version INTEGER, lines TEXT, hold TEXT,
    PRIMARY KEY (environment, uid));
CREATE TABLE IF NOT EXISTS balances (environment TEXT, account TEXT, asset TEXT, received TEXT, sent TEXT, fees TEXT,
    pending TEXT, PRIMARY KEY (environment, account, asset));"""
COLUMNS = ("received", "sent", "fees", "pending")
# A sum that would have to be rounded is an error. The default rounds to 28 digits without a word.
EXACT = Context(prec=1000, traps=[Inexact, FloatOperation, InvalidOperation])
exact = EXACT.create_decimal


def connect():
    db = sqlite3.connect(DATABASE, timeout=10, isolation_level=None)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA synchronous = FULL")
    return closing(db)


def find(db, environment, uid):
    return db.execute("SELECT * FROM booked WHERE environment = ? AND uid = ?", (environment, uid)).fetchone()


def book(db, event_id, said):
    """What changes the books is one transaction: killed at any time, it has happened or not."""
    db.execute("BEGIN IMMEDIATE")
    with db:
        is_new = db.execute("INSERT OR IGNORE INTO received VALUES (?)", (event_id,)).rowcount > 0
        if not is_new or (said.get("entity") or {}).get("type") != "transaction":
            return
        environment, uid, counts = said["environment"], said["entity"]["uid"], said["counts"]
        before = find(db, environment, uid)
        if before and before["version"] >= counts["version"]:
            return  # It was overtaken.
        for line in json.loads(before["lines"]) if before else []:
            add(db, environment, line, EXACT.subtract)
        for line in counts["lines"]:
            add(db, environment, line, EXACT.add)
        hold = "conflict" if said["conflict"] else said["oddity"]
        db.execute("INSERT OR REPLACE INTO booked VALUES (?, ?, ?, ?, ?)",
                   (environment, uid, counts["version"], json.dumps(counts["lines"]), hold))


def add(db, environment, line, operation):
    key = (environment, line["account"], line["asset"])
    known = db.execute("SELECT * FROM balances WHERE environment = ? AND account = ? AND asset = ?", key).fetchone()
    sums = [operation(exact(known[column] if known else "0"), exact(line[column])) for column in COLUMNS]
    db.execute("INSERT OR REPLACE INTO balances VALUES (?, ?, ?, ?, ?, ?, ?)", (*key, *(f"{each:f}" for each in sums)))


def reason_not_to_pay_out(environment, uid):
    """Why a deposit must not be paid out; None if it may. What webhooks say is not enough: a secret can leak."""
    with connect() as db:
        booked = find(db, environment, uid) or {"lines": "[]", "hold": None}
    lines = [line for line in json.loads(booked["lines"]) if line["kind"] == "deposit" and exact(line["received"]) > 0]
    if booked["hold"] or not lines:
        return booked["hold"] or "nothing was received"
    line = lines[0]
    request = urllib.request.Request(f"{BITPOWR_API}/transactions/{quote(uid, safe='')}",
                                     headers={"authorization": f"Bearer {os.environ['BITPOWR_TOKEN']}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            body = json.load(answer, parse_float=Decimal, parse_int=Decimal)
    except urllib.error.HTTPError as refused:
        return f"Bitpowr answered {refused.code}"
    found = body.get("data", body)
    if str(found.get("status")).lower() != "success":
        return f"Bitpowr says that it is {found.get('status')}"
    if exact(found["amount"]) != exact(line["received"]):
        return f"Bitpowr says that the amount is {found['amount']}"
    asset = found.get("assetType") or found.get("assetId")
    account = found.get("accountId") or found.get("walletId") or found.get("subAccountId")
    return None if (asset, account) == (line["asset"], line["account"]) else f"Bitpowr says that it is {asset} of {account}"


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        # The bytes as they came: JSON that was parsed and written again has another signature.
        body = self.rfile.read(min(int(self.headers["content-length"]), 1_000_000))
        try:
            said = Webhook(os.environ["WEBHOOK_SECRET"]).verify(body, dict(self.headers))
        except (WebhookVerificationError, ValueError):
            self.close_connection = True
            return self.answer(401)
        with connect() as db:
            book(db, self.headers["webhook-id"], said)
        self.answer(204)  # Only now: whatever has no 2xx comes again.

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()


if __name__ == "__main__":
    with connect() as db:
        db.executescript(SCHEMA)
    ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Service).serve_forever()
