"""Answers at the edges of the surface. Each of them was wrong once."""

from urllib.parse import quote

import pytest

from description import errors, pointer
from running import Product, transaction


@pytest.fixture(scope="module")
def product():
    """Another one: what is wrong in it is nobody else's."""
    product = Product()
    yield product
    product.stop()


@pytest.mark.parametrize("path", [
    "/api/test/accounts/%2E%2E%2Fevents",
    "/api/test/accounts/..%2F..%2Flive%2Fhealth",
    "/assets/..%2Fconfig.json",
])
def test_a_path_leads_nowhere_else(product, path):
    """An identifier with dots is taken for a way through the tree."""
    assert product.get(path).status_code == 404


@pytest.mark.parametrize("uid", [".", "..", "x/../y", "a/", "a/."])
def test_every_identifier_can_be_asked_for(product, uid):
    product.receive({"event": "accounts.created", "data": {"uid": uid}})
    product.settle()
    answer = product.get(f"/api/test/accounts/{quote(uid, safe='').replace('.', '%2E')}")
    assert answer.status_code == 200
    assert answer.json()["uid"] == uid


def test_moments_in_answers_are_rfc_3339(product):
    """A year before 0 has a sign and six digits, and so is none of RFC 3339."""
    product.receive(transaction("deposit.created", "early", updatedAt="-000001-01-01T00:00:00Z"))
    product.settle()
    schema = pointer("components", "schemas", "Transaction")
    assert errors(schema, product.get("/api/test/transactions/early").json()) == []


def test_moments_in_questions_are_rfc_3339(product):
    assert product.get("/api/test/events?from=-000001-01-01T00:00:00Z").status_code == 400


def test_an_interval_does_not_end_before_it_begins(product):
    query = "from=2026-11-23T00:00:59Z&to=2026-11-23T00:00:00Z&step=60"
    assert product.get(f"/api/test/stats?{query}").status_code == 400


def test_what_can_only_be_read_says_so(product):
    answer = product.act("/api/openapi.json")
    assert (answer.status_code, answer.headers.get("allow")) == (405, "GET, HEAD")


def test_whether_it_runs_is_only_asked(product):
    assert product.ask("DELETE", "/healthz").status_code == 405


def test_whether_it_runs_is_told_as_text(product):
    assert product.get("/healthz").headers.get("content-type", "").startswith("text/plain")


def test_there_is_nothing_below_healthz(product):
    assert product.get("/healthz/elsewhere").status_code == 404


def test_a_question_that_is_too_long_is_not_said_to_be_unknown(product):
    assert product.get(f"/api/test/events?hash={'a' * 17_000}").status_code == 414


def test_dead_letters_are_put_back_once_for_one_key(product):
    path = "/api/test/dead-letters/contracts/redrive"
    moved = []
    for _ in range(2):
        product.hand_over("contracts-dead-letters", "no envelope")
        moved.append(product.act(path, **{"Idempotency-Key": "one"}).json()["moved"])
    assert moved == [1, 1]
    assert product.get("/api/test/health").json()["queues"][7]["dead_letters"] == 1
