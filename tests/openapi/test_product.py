"""Whether the running product does what the description says, whatever it is asked."""

import re
from collections import defaultdict
from urllib.parse import quote
from zlib import crc32

import pytest
from schemathesis import checks
from schemathesis.core.parameters import ParameterLocation

from description import SCHEMA, operations, parameters
from running import AUTHENTIC, NOBODY

answered = defaultdict(set)


def about_what_exists(case, product):
    """Most of the cases: nothing that is generated exists. Which follows from the case, so that what fails once fails
    again."""
    meta = case.meta.components.get(ParameterLocation.PATH)
    names = re.findall(r"{(\w+)}", case.path)
    number = crc32(repr((case.path_parameters, case.query, case.body)).encode())
    if names[1:] in (["id"], ["uid"]) and meta and meta.mode.is_positive and number % 4:
        values = [quote(value, safe="") for value in product.known[case.path.split("/")[3]].values()]
        known = {"environment": "test", names[1]: values[number // 4 % len(values)]}
        if case.method == "DELETE":
            # What the others ask for stays.
            known["id"] = product.add_endpoint()
        case.path_parameters = {**case.path_parameters, **known}
    url = case.body.get("url") if isinstance(case.body, dict) else None
    if isinstance(url, str) and re.fullmatch(r"https?://[^@#]+", url):
        # Nothing is sent to others.
        case.body["url"] = NOBODY


def is_beyond_schemas(case, response):
    """Whether something was refused that only words can describe."""
    problem = response.json() if response.status_code == 400 else {"code": "", "detail": ""}
    return (
        "cursor" in case.query and "`cursor`" in problem["detail"]
        or case.path.endswith("/stats") and "times `step`" in problem["detail"]
        or case.path.endswith("/balances") and "sub_account" in case.query and "`at`" in problem["detail"]
        or problem["code"] == "test_on_live"
        or case.path.endswith("/endpoints")
        and any(words in problem["detail"] for words in ("`unlisted`", "256 bytes", "`least`"))
    )


@SCHEMA.parametrize()
def test_every_operation_does_what_is_described(case, product):
    about_what_exists(case, product)
    headers = AUTHENTIC if case.path.startswith("/webhooks") else None
    response = case.call(base_url=product.url, headers=headers)
    answered[case.operation.label].add(response.status_code)
    if response.status_code == 201:
        # Otherwise there are too many before long.
        product.ask("DELETE", f"/api/{case.path_parameters['environment']}/endpoints/{response.json()['id']}")
    excluded = [checks.positive_data_acceptance] if is_beyond_schemas(case, response) else []
    case.validate_response(response, headers=headers, excluded_checks=excluded)


@SCHEMA.include(operation_id="receiveWebhook").parametrize()
def test_nobody_without_the_secret_is_let_in(case, product):
    response = case.call(base_url=product.url)
    case.validate_response(response)
    assert response.status_code in (401, 404, 405)


@pytest.mark.parametrize("path, method, operation", list(operations()))
def test_answers_of_every_sort_were_among_them(path, method, operation):
    """A test that reaches nothing finds nothing."""
    found = answered[f"{method.upper()} {path}"]
    if not found:
        pytest.skip("nothing was asked")
    expected = {200, 201, 202, 204, 400, 404, 415}.intersection(map(int, operation["responses"]))
    if method == "get" and not any(one["in"] == "query" for one in parameters(path, method)):
        # Only an unknown parameter is refused.
        expected -= {400}
    assert expected <= found
