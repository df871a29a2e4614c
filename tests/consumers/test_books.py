"""The services in docs/consumers, and what goes wrong between the product and them: in the end their books are the product's,
to the last digit."""

import json
import random
import re
import threading
from decimal import Decimal

import pytest
import requests

from parties import NodeService, PythonService, Recorder, Server, until

ACCOUNTS, ASSETS = ("alice", "bob", "carol"), ("BTC", "ETH", "USDT_TRON")


def transaction(event, uid, amount="0.5", account="alice", asset="BTC", **fields):
    """A webhook. An amount that is a number, and no text, keeps its digits."""
    body = {"event": f"transaction.{event}", "data": {
        "uid": uid, "accountId": account, "assetType": asset, "amount": amount, **fields}}
    return re.sub(r'"number ([0-9.]+)"', r"\1", json.dumps(body))


def amount(chance):
    """Up to 38 digits, of which a float keeps 16; every second one a number."""
    digits = f"{chance.randrange(10 ** chance.choice((2, 8, 20)))}.{chance.randrange(10 ** 18):018}"
    return f"number {digits}" if chance.random() < 0.5 else digits


def lives(chance, count, prefix):
    """The webhooks of so many transactions, of which some end well, some do not, some are contradicted, and some say what
    cannot be counted."""
    for number in range(count):
        uid, kind = f"{prefix}-{number}", chance.choice(("deposit", "deposit", "transfer"))
        known = {"account": chance.choice(ACCOUNTS), "asset": chance.choice(ASSETS)}
        known |= {"fee": amount(chance).removeprefix("number ")} if kind == "transfer" else {}
        said = chance.choice(("-3", "1,5")) if number % 10 == 7 else amount(chance)
        yield transaction(f"{kind}.created", uid, said, **known)
        yield transaction(f"{kind}.awaiting_confirmation", uid, said, **known)
        if number % 10 != 9:
            yield transaction(f"{kind}.success", uid, said, **known)
        if number % 10 in (5, 6):
            yield transaction(f"{kind}.success", uid, amount(chance), **known)


def disorder(chance, webhooks):
    """The same in another order, and every third of them twice."""
    webhooks = list(webhooks)
    webhooks += webhooks[::3]
    chance.shuffle(webhooks)
    return webhooks


@pytest.fixture
def services(started, product, tmp_path):
    return [started(kind(product, tmp_path)) for kind in (NodeService, PythonService)]


def applied(product):
    """Waits until everything that was accepted is applied."""
    def idle():
        return not any(queue["waiting"] + queue["in_flight"] for queue in product.get("health")["queues"])
    until(idle)


def notified(product):
    """The events of which endpoints are notified."""
    return {event["id"] for event in product.all("events", "events") if event["effect"] not in ("stale", "repeat")}


def equal(product, service):
    """Waits until a service has got every event, and compares its books with the balances and with the ledger."""
    applied(product)
    missing = notified(product)
    until(lambda: not (missing - service.received()))
    assert service.balances() == product.balances() == product.ledger()


def test_duplicates_and_disorder_change_nothing(product, services):
    chance = random.Random(13)
    for webhook in disorder(chance, lives(chance, 40, "mixed")):
        product.send(webhook)
    applied(product)
    resent = chance.sample(sorted(notified(product)), 20)
    for event in resent:
        product.post(f"events/{event}/resend")
    until(lambda: all(len(product.get(f"events/{event}")["attempts"]) == 2 * len(services) for event in resent))
    for service in services:
        equal(product, service)
    assert len(product.balances()) == 9


def test_an_older_event_that_comes_later_changes_nothing(product, services):
    for service in services:
        service.kill()
    product.send(transaction("deposit.created", "one", "3"))
    for service in services:
        until(lambda: product.known(service.endpoint)["last_failure"])
        service.start()
    product.send(transaction("deposit.success", "one", "3"))
    # The first of the two comes again after five seconds.
    for service in services:
        until(lambda: len(service.received()) == 1)
        assert service.balances()["alice", "BTC"]["received"] == 3
    for service in services:
        equal(product, service)


def test_what_is_not_signed_is_not_booked(product, services, started):
    recorder = started(Recorder())
    product.endpoint(recorder.url)
    product.send(transaction("deposit.success", "one"))
    (headers, body), = until(recorder.by_id).values()
    for service in services:
        equal(product, service)
        for forged in ({}, headers, {**headers, "webhook-id": "another"}, {**headers, "webhook-signature": "v1,"}):
            assert requests.post(service.url, data=body.encode(), headers=forged, timeout=30).status_code == 401
        assert len(service.received()) == 1


def test_a_contradiction_takes_money_back_and_is_not_paid_out(product, services):
    product.send(transaction("deposit.success", "one", "0.100000000000000001"))
    product.send(transaction("deposit.success", "other", "7"))
    for service in services:
        until(lambda: service.balances().get(("alice", "BTC"), {}).get("received") == Decimal("7.100000000000000001"))
        assert service.hold("one") is None
    product.send(transaction("deposit.success", "one", "100"))
    product.send(transaction("deposit.success", "odd", "1,5"))
    applied(product)
    for service in services:
        equal(product, service)
        assert service.balances()["alice", "BTC"]["received"] == 7
        assert [service.hold(uid) for uid in ("one", "odd", "other")] == ["conflict", "not_a_number", None]
        assert [service.ask(uid) for uid in ("one", "odd")] == ["conflict", "not_a_number"]


def test_what_an_outage_kept_away_is_made_up_for(product, services):
    chance = random.Random(14)
    for webhook in lives(chance, 5, "before"):
        product.send(webhook)
    for service in services:
        equal(product, service)
        service.kill()
    for webhook in disorder(chance, lives(chance, 15, "during")):
        product.send(webhook)
    until(lambda: all(product.known(service.endpoint)["state"] == "failing" for service in services))
    applied(product)
    for service in services:
        assert service.balances() != product.balances()
        service.start()
        product.post(f"endpoints/{service.endpoint}/enable")
    for service in services:
        equal(product, service)
        assert product.known(service.endpoint)["state"] == "active"


def test_kills_in_the_middle_change_nothing(product, services):
    chance = random.Random(15)
    webhooks = disorder(chance, lives(chance, 40, "killed"))
    sent = []

    def send():
        for webhook in webhooks:
            product.send(webhook)
            sent.append(webhook)

    sending = threading.Thread(target=send)
    sending.start()
    # While others are sent, and some are on their way.
    for number, party in enumerate((*services, product) * 2, start=1):
        until(lambda: len(sent) >= 20 * number)
        party.kill()
        party.start()
    sending.join()
    applied(product)
    for service in services:
        product.post(f"endpoints/{service.endpoint}/enable")
    for service in services:
        equal(product, service)


BOOKED = {"uid": "d", "status": "SUCCESS", "amount": "0.100000000000000001", "assetType": "BTC", "accountId": "alice"}


def test_bitpowr_is_asked_before_a_deposit_is_paid_out(started, product, tmp_path):
    answers, asked = [], []

    def answer(request, _):
        asked.append((request.path, request.headers["authorization"]))
        status, fields = answers[0]
        body = json.dumps({"status": "success", "data": {**BOOKED, **fields}})
        return status, re.sub(r'"number ([0-9.]+)"', r"\1", body).encode()

    bitpowr = started(Server(answer))
    services = [started(kind(product, tmp_path, bitpowr.url)) for kind in (NodeService, PythonService)]
    product.send(transaction("deposit.success", "d/1", "0.100000000000000001"))
    product.send(transaction("deposit.created", "pending"))
    for service in services:
        equal(product, service)
        for status, fields, expected in [
            (200, {}, None),
            # As a JSON number, which no float holds.
            (200, {"amount": "number 0.100000000000000001"}, None),
            (200, {"amount": "0.1"}, "Bitpowr says that the amount is 0.1"),
            (200, {"status": "PENDING"}, "Bitpowr says that it is PENDING"),
            (200, {"accountId": "mallory"}, "Bitpowr says that it is BTC of mallory"),
            (200, {"assetType": "ETH"}, "Bitpowr says that it is ETH of alice"),
            (404, {}, "Bitpowr answered 404"),
            (503, {}, "Bitpowr answered 503"),
        ]:
            answers[:] = [(status, fields)]
            assert service.ask("d/1") == expected
            assert asked.pop() == ("/transactions/d%2F1", "Bearer a-token")
        assert service.ask("pending") == service.ask("unknown") == "nothing was received"
    assert asked == []
