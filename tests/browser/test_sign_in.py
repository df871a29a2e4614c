"""Signing in where the receiver asks for it. The issuer is played by the test, under the page's own origin."""

import base64
import hashlib
import json
import re
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import expect

from product import sample


class Issuer:
    def __init__(self, page, product):
        self.url = f"{product.url}/issuer"
        self.config = {"environments": ["test", "live"], "stack": None, "version": "0.1.0",
                       "auth": {"issuer": self.url, "client_id": "page", "scope": "openid"}}
        self.asked = []
        self.exchanged = []
        self.shown = []
        self.state = lambda state: state
        self.nonce = lambda nonce: nonce
        self.lifetime = 3600
        self.is_known = True
        page.route("**/config.json", lambda route: answer(route, self.config))
        page.route("**/issuer/.well-known/openid-configuration", lambda route: answer(route, {
            "issuer": self.url, "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token", "end_session_endpoint": f"{self.url}/logout"}))
        page.route("**/issuer/authorize?**", self._authorize)
        page.route("**/issuer/token", self._token)
        page.route("**/issuer/logout?**", lambda route: route.fulfill(body="Signed out.", content_type="text/html"))
        page.route("**/api/**", self._api)

    def _authorize(self, route):
        question = {name: values[0] for name, values in parse_qs(urlsplit(route.request.url).query).items()}
        self.asked.append(question)
        back = urlencode({"code": f"code-{len(self.asked)}", "state": self.state(question["state"])})
        route.fulfill(status=302, headers={"location": f"{question['redirect_uri']}?{back}"})

    def _token(self, route):
        form = {name: values[0] for name, values in parse_qs(route.request.post_data).items()}
        self.exchanged.append(form)
        claims = {"iss": self.url, "aud": "page", "sub": "me", "exp": 4_000_000_000,
                  "nonce": self.nonce(self.asked[-1]["nonce"])}
        token = ".".join(["e30", base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("="), "x"])
        if form["grant_type"] == "refresh_token" and not self.is_known:
            return route.fulfill(status=400, body='{"error":"invalid_grant"}', content_type="application/json")
        return answer(route, {"access_token": f"access-{len(self.exchanged)}", "id_token": token, "token_type": "Bearer",
                       "refresh_token": "refresh", "expires_in": self.lifetime})

    def _api(self, route):
        self.shown.append(route.request.headers.get("authorization"))
        if self.is_known:
            route.continue_()
        else:
            route.fulfill(status=401, body='{"message":"Unauthorized"}', content_type="application/json")


def answer(route, body):
    route.fulfill(body=json.dumps(body), content_type="application/json")


@pytest.fixture
def issuer(page, product):
    product.apply(sample("transaction.deposit.created", uid="secret"))
    return Issuer(page, product)


def test_who_is_not_signed_in_signs_in_and_comes_back_to_the_same_place(page, issuer):
    page.goto("/?env=test&family=deposits")
    expect(page.get_by_role("link", name="secret", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?env=test&family=deposits$"))
    question, exchanged = issuer.asked[0], issuer.exchanged[0]
    assert (question["response_type"], question["client_id"], question["scope"]) == ("code", "page", "openid")
    digest = hashlib.sha256(exchanged["code_verifier"].encode()).digest()
    assert question["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert question["code_challenge_method"] == "S256"
    assert exchanged["code"] == "code-1"
    assert set(issuer.shown) == {"Bearer access-1"}


def test_no_token_is_left_in_any_storage_and_a_reload_signs_in_again(page, issuer):
    page.goto("/")
    expect(page.get_by_role("link", name="secret", exact=True)).to_be_visible()
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert "access-" not in kept and "refresh" not in kept
    page.reload()
    expect(page.get_by_role("link", name="secret", exact=True)).to_be_visible()
    assert len(issuer.asked) == 2


def test_an_answer_to_another_question_is_refused(page, issuer):
    issuer.state = lambda _: "forged"
    page.goto("/")
    expect(page.get_by_text("does not match a request of this page")).to_be_visible()
    assert issuer.exchanged == [] and issuer.shown == []
    issuer.state = lambda state: state
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="secret", exact=True)).to_be_visible()


def test_an_identity_for_another_sign_in_is_refused(page, issuer):
    issuer.nonce = lambda _: "replayed"
    page.goto("/")
    expect(page.get_by_text("is not for this sign-in")).to_be_visible()
    assert issuer.shown == []


def test_an_expired_token_is_renewed_without_a_question(page, issuer):
    issuer.lifetime = 1
    page.goto("/")
    expect(page.get_by_role("link", name="secret", exact=True)).to_be_visible()
    assert len(issuer.asked) == 1
    assert {"grant_type": "refresh_token", "refresh_token": "refresh", "client_id": "page"} in issuer.exchanged
    assert None not in issuer.shown


def test_a_sign_in_that_has_ended_is_said_and_can_be_made_again(page, issuer):
    page.watch.expected += ["401", "400"]
    page.goto("/")
    expect(page.get_by_role("link", name="secret", exact=True)).to_be_visible()
    issuer.is_known = False
    expect(page.get_by_text("Your sign-in has ended.")).to_be_visible()
    expect(page.get_by_role("link", name="secret", exact=True)).to_be_visible()
    issuer.is_known = True
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Your sign-in has ended.")).to_have_count(0)
    expect(page.get_by_role("link", name="secret", exact=True)).to_be_visible()
    assert len(issuer.asked) == 2


def test_signing_out_forgets_the_token_and_tells_the_issuer(page, issuer):
    page.goto("/")
    expect(page.get_by_role("link", name="secret", exact=True)).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile(r"/issuer/logout\?.*client_id=page"))
