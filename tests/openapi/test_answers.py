"""Answers that nobody gets by chance, each as it is described; and what is sent."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from schemathesis import checks

from description import DESCRIPTION, SCHEMA, errors, operations, parameters, pointer, resolved
from running import AUTHENTIC, PATIENCE, sealed, transaction

RESEND = "/api/{environment}/events/{id}/resend"
RETRY = "/api/{environment}/quarantine/{id}/retry"
REDRIVE = "/api/{environment}/dead-letters/{family}/redrive"
ENDPOINTS = "/api/{environment}/endpoints"
ENDPOINT = ENDPOINTS + "/{id}"
WEBHOOK = "/webhooks/{environment}"

CONFORMANCE = [checks.status_code_conformance, checks.content_type_conformance, checks.response_headers_conformance,
               checks.response_schema_conformance]


def described(answer, method, path):
    """The answer, which is one of those that an operation may give."""
    parts = {one["name"]: one["example"] for one in parameters(path, method.lower()) if one["in"] == "path"}
    operation = SCHEMA[path][method]
    case = operation.Case(path_parameters=parts)
    case.validate_response(answer, checks=CONFORMANCE)
    return answer


def refused(answer, method, path, status, code):
    assert answer.status_code == status, answer.text
    assert described(answer, method, path).json()["code"] == code


def filled(path, method):
    """A path with the examples of its parameters."""
    for one in parameters(path, method):
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", one["example"])
    return path


# ------------------------------------------------------------------------------------------------ webhooks

@pytest.mark.parametrize("headers", [
    {}, {"x-webhook-secret": ""}, {"x-webhook-secret": "!"}, {"x-webhook-secret": "d3Jvbmc="},
    {"x-webhook-secret": "{0},{0}".format(AUTHENTIC["x-webhook-secret"])},
], ids=["missing", "empty", "not base64", "wrong", "repeated"])
def test_a_webhook_without_the_secret(product, headers):
    answer = product.ask("POST", "/webhooks/test", data=b"{}", headers=headers)
    refused(answer, "POST", WEBHOOK, 401, "unauthenticated")


@pytest.mark.parametrize("code, body", [
    ("empty", b""),
    ("not_utf8", b"\xff"),
    ("not_json", b"{"),
    ("not_json", b'{"event":"a.b","data":{"a":NaN}}'),
    ("not_an_object", b"[]"),
    ("reserved_name", b'{"event":"a.b","data":{"amount":{"$serde_json::private::Number":"2"}}}'),
    ("repeated_field", b'{"event":"a.b","event":"a.b","data":{}}'),
    ("no_event", b'{"data":{}}'),
    ("event_not_text", b'{"event":1,"data":{}}'),
    ("no_data", b'{"event":"a.b"}'),
    ("data_not_an_object", b'{"event":"a.b","data":[]}'),
])
def test_a_webhook_that_cannot_be_read(product, code, body):
    refused(product.receive(body), "POST", WEBHOOK, 400, code)


def test_a_webhook_in_the_wrong_place(product):
    refused(product.receive(transaction("deposit.created", "u", network="TESTNET"), "live"), "POST", WEBHOOK, 400,
            "test_on_live")
    refused(product.receive(b"{}", "elsewhere"), "POST", WEBHOOK, 404, "not_found")
    answer = product.ask("PUT", "/webhooks/test", headers=AUTHENTIC)
    refused(answer, "POST", WEBHOOK, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("size", [128 * 1024 + 1, 10 * 1024 * 1024 + 1])
def test_a_webhook_that_is_too_large(product, size):
    refused(product.receive(b"x" * size), "POST", WEBHOOK, 413, "too_large")


@pytest.mark.parametrize("name, value, status, code", [
    ("origin", "https://tunnel.example", 403, "foreign_origin"),
    # Everybody knows the secret of this product.
    ("host", "tunnel.example", 421, "foreign_host"),
])
def test_no_page_sends_webhooks(product, name, value, status, code):
    headers = {**AUTHENTIC, name: value}
    answer = product.ask("POST", "/webhooks/test", json={"event": "a.b", "data": {}}, headers=headers)
    answer = described(answer, "POST", WEBHOOK)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


# -------------------------------------------------------------------------------------------- who may ask

ELSEWHERE = [(path, method) for path, method, _ in operations() if path != WEBHOOK]


@pytest.mark.parametrize("path, method", ELSEWHERE)
def test_other_names_and_other_pages_are_refused(product, path, method):
    for headers, status, code in [
        ({"host": "evil.example"}, 421, "foreign_host"),
        ({"origin": "http://evil.example"}, 403, "foreign_origin"),
    ]:
        answer = product.ask(method, filled(path, method), headers=headers)
        refused(answer, method.upper(), path, status, code)


@pytest.mark.parametrize("path, method", [(path, method) for path, method, _ in operations()])
def test_other_methods_are_refused_with_those_that_are_served(product, path, method):
    served = [method for method in ("get", "post", "delete") if method in DESCRIPTION["paths"][path]]
    for other in {"GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"} - {one.upper() for one in served}:
        answer = product.ask(other, filled(path, method))
        refused(answer, method.upper(), path, 405, "method_not_allowed")
        allowed = ", ".join("GET, HEAD" if one == "get" else one.upper() for one in served)
        assert answer.headers["allow"] == allowed, other


# ------------------------------------------------------------------------------------------------- reading

READ = [path for path, method, _ in operations() if method == "get"]


@pytest.mark.parametrize("path", READ)
def test_examples_of_the_description_are_answered_and_head_is_served(product, path):
    known = filled(path, "get")
    query = {one["name"]: one["example"] for one in parameters(path, "get")
             if one["in"] == "query" and one.get("required")}
    got = described(product.get(known, params=query), "GET", path)
    assert got.status_code == 200
    head = product.ask("HEAD", known, params=query)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers.get("content-type") == got.headers.get("content-type")


@pytest.mark.parametrize("path", [path for path in READ if any(
    one["name"] == "cursor" for one in parameters(path, "get"))])
def test_a_cursor_leads_on(product, path):
    query = {"limit": 1}
    if path.endswith("/ledger"):
        query["account"] = "c3275a32-0b71-401c-aa25-b5771f22e0b0"
    first = described(product.get(filled(path, "get"), params=query), "GET", path).json()
    second = product.get(filled(path, "get"), params={**query, "cursor": first["cursor"]})
    assert described(second, "GET", path).status_code == 200
    assert second.json() != first
    refused(product.get(filled(path, "get"), params={**query, "cursor": "?"}), "GET", path, 400, "invalid_parameter")


@pytest.mark.parametrize("path", [path for path in READ if path.startswith("/api/{environment}/")])
def test_a_parameter_that_is_not_known_is_refused(product, path):
    answer = product.get(filled(path, "get"), params={"famly": "deposits"})
    refused(answer, "GET", path, 400, "invalid_parameter")
    assert answer.json()["detail"].startswith("Unknown parameter famly: ")


@pytest.mark.parametrize("query, hint", [
    ("event=transaction.deposit.sucess",
     "Unknown event type transaction.deposit.sucess: did you mean transaction.deposit.success?"),
    ("status=sucess", "Unknown status sucess: did you mean success?"),
    ("event=Transaction.Deposit.Success&asset=NONE", None),
])
def test_an_open_word_that_nothing_bears_gets_a_hint(product, query, hint):
    path = "/api/{environment}/events"
    found = described(product.get(f"/api/test/events?{query}"), "GET", path).json()
    assert (found["events"], found["cursor"], found.get("hint")) == ([], None, hint)


def test_a_uid_of_two_kinds(product):
    path = "/api/{environment}/transactions/{uid}"
    refused(product.get("/api/test/transactions/both-ways"), "GET", path, 409, "kind_needed")
    for kind in ("deposit", "transfer"):
        answer = described(product.get(f"/api/test/transactions/both-ways?kind={kind}"), "GET", path)
        assert answer.json()["kind"] == kind


def test_what_cannot_be_counted_is_shown(product):
    path = "/api/{environment}/transactions/{uid}"
    odd = described(product.get("/api/test/transactions/odd"), "GET", path).json()
    assert (odd["amount"], odd["oddity"]) == ("1,5", "not_a_number")
    contradicted = described(product.get("/api/test/transactions/contradicted"), "GET", path).json()
    assert contradicted["contradictions"] == ["amount"]


def test_links_lead_somewhere(product):
    targets = {operation["operationId"]: (path, method) for path, method, operation in operations()}
    followed = 0
    for path, method, operation in operations():
        for link in resolved(operation["responses"].get("200", {})).get("links", {}).values():
            needed = [one for one in parameters(path, method) if one["in"] == "query" and one.get("required")]
            query = {one["name"]: one["example"] for one in needed}
            value = product.get(filled(path, method), params=query).json()
            for part in link["parameters"]["id"].removeprefix("$response.body#/").split("/"):
                value = value[int(part)] if part.isdigit() else value[part]
            target, with_ = targets[link["operationId"]]
            asked = target.replace("{environment}", "test").replace("{id}", value)
            answer = product.act(asked) if with_ == "post" else product.get(asked)
            assert described(answer, with_.upper(), target).status_code in (200, 409), asked
            followed += 1
    assert followed == 4


# ------------------------------------------------------------------------------------------------- actions

def test_what_was_not_notified_is_not_resent(product):
    answer = product.act(f"/api/test/events/{product.known['events']['stale']}/resend")
    refused(answer, "POST", RESEND, 409, "never_told")


def test_what_cannot_be_read_is_not_read(product):
    for reason, code in [("too_large", "not_whole"), ("not_json", "still_unreadable")]:
        answer = product.act(f"/api/test/quarantine/{product.known['quarantine'][reason]}/retry")
        refused(answer, "POST", RETRY, 409, code)


def test_dead_letters_are_put_back_a_hundred_at_a_time(product):
    letter = sealed(transaction("deposit.created", "redriven"))
    with ThreadPoolExecutor(4) as several:
        list(several.map(lambda _: product.hand_over("deposits-dead-letters", letter), range(101)))
    for moved, more in [(100, True), (1, False)]:
        done = described(product.act("/api/test/dead-letters/deposits/redrive"), "POST", REDRIVE).json()
        assert (done["moved"], done["more"], done["action"]["moved"]) == (moved, more, moved)


def test_an_endpoint_lives(product):
    """Each answer in its life is as it is described, also those that nobody gets by chance."""
    endpoint = f"/api/test/endpoints/{product.add_endpoint()}"
    act = lambda what: described(product.act(f"{endpoint}/{what}"), "POST", f"{ENDPOINT}/{what}")
    assert act("test").status_code == 202
    assert act("rotate").json()["secret"].startswith("whsec_")
    refused(product.act(f"{endpoint}/rotate"), "POST", f"{ENDPOINT}/rotate", 409, "rotating")
    assert (act("disable").json()["state"], act("enable").json()["state"]) == ("disabled", "active")
    act("disable")
    refused(product.act(f"{endpoint}/test"), "POST", f"{ENDPOINT}/test", 409, "disabled")
    assert len(described(product.get(endpoint), "GET", ENDPOINT).json()["actions"]) == 6
    # The body may be absent.
    assert described(product.ask("DELETE", endpoint), "DELETE", ENDPOINT).status_code == 204
    refused(product.get(endpoint), "GET", ENDPOINT, 404, "not_found")


@pytest.mark.parametrize("filter, says", [
    ({"family": "depsits"}, "Unknown family depsits: did you mean deposits?"),
    ({"event": ["sucess"]}, "Set `unlisted` to accept it."),
    ({"familly": []}, "Unknown word of a filter familly: did you mean family?"),
])
def test_a_filter_that_is_not_understood(product, filter, says):
    body = {"url": "http://127.0.0.1:1/", "filter": filter, "why": "a test"}
    answer = product.ask("POST", "/api/test/endpoints", json=body)
    refused(answer, "POST", ENDPOINTS, 400, "invalid_request")
    assert says in answer.json()["detail"]


def test_an_event_is_resent_to_one_endpoint(product):
    event = f"/api/test/events/{product.known['events']['applied']}"
    body = {"why": "a test", "endpoint": product.known["endpoints"]["the-books"]}
    done = described(product.ask("POST", f"{event}/resend", json=body), "POST", RESEND).json()
    until = time.monotonic() + PATIENCE
    while not (tried := [one for one in product.get(event).json()["attempts"]
                         if one.get("resend") == done["action"]["id"]]):
        assert time.monotonic() < until, "nothing was tried"
        time.sleep(0.05)
    assert {one["endpoint"] for one in tried} == {body["endpoint"]}
    described(product.get(event), "GET", "/api/{environment}/events/{id}")
    refused(product.ask("POST", f"{event}/resend", json={**body, "endpoint": "ep_none"}), "POST", RESEND, 404,
            "not_found")


@pytest.mark.parametrize("options, status, code", [
    ({"data": b'{"why":"x"}'}, 415, "unsupported_media_type"),
    ({"data": "why=x", "headers": {"content-type": "application/x-www-form-urlencoded"}}, 415,
     "unsupported_media_type"),
    ({"json": {}}, 400, "invalid_request"),
    ({"json": {"why": " "}}, 400, "invalid_request"),
    ({"json": {"why": "x" * 501}}, 400, "invalid_request"),
    ({"json": {"why": "x", "more": 1}}, 400, "invalid_request"),
    ({"json": {"why": "x"}, "headers": {"idempotency-key": "x" * 501}}, 400, "invalid_request"),
    ({"json": {"why": "x" * 10 * 1024 * 1024}}, 413, "too_large"),
])
def test_an_order_that_is_not_understood(product, options, status, code):
    for path in (RESEND, RETRY, REDRIVE, ENDPOINTS, f"{ENDPOINT}/test", f"{ENDPOINT}/rotate"):
        refused(product.ask("POST", filled(path, "post"), **options), "POST", path, status, code)


def test_one_key_names_one_action(product):
    path = f"/api/test/events/{product.known['events']['applied']}/resend"
    first, second = (product.act(path, why, **{"Idempotency-Key": "one"}).json() for why in ("first", "second"))
    assert first == second
    other = product.act(path, "other", **{"Idempotency-Key": "other"}).json()
    assert other["action"]["id"] != first["action"]["id"]


def test_what_is_sent_is_described(product):
    until = time.monotonic() + PATIENCE
    while not any("resend" in sent for sent in product.notifications()):
        assert time.monotonic() < until, "nothing was resent"
        time.sleep(0.05)
    schema = pointer("webhooks", "notification", "post", "requestBody", "content", "application/json", "schema")
    sent = product.notifications()
    assert len(sent) > 80
    assert [found for found in (errors(schema, one) for one in sent) if found] == []
