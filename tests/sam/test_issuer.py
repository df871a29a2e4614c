"""The stack with an OpenID Connect issuer: who signs in sees the page, and its API, as far as their roles go. It comes
after the tests of the stack without one."""

import base64
import http.server
import json
import threading
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

AUDIENCE = "the-page"


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """An issuer on this machine: its discovery document, its keys, and its tokens."""

    def __init__(self):
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        numbers = self.key.public_key().public_numbers()
        jwk = {"kid": "one", "kty": "RSA", "alg": "RS256", "use": "sig",
               "n": encoded(numbers.n.to_bytes(256, "big")), "e": encoded(numbers.e.to_bytes(3, "big"))}

        class Documents(http.server.BaseHTTPRequestHandler):
            def do_GET(handler):
                documents = {
                    "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
                    "/keys": {"keys": [jwk]},
                }
                handler.send_response(200)
                handler.send_header("content-type", "application/json")
                handler.end_headers()
                handler.wfile.write(json.dumps(documents.get(handler.path, {})).encode())

            def log_message(handler, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Documents)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self, groups, key=None, **changes):
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "subject", "email": "somebody@example.com",
                  "iat": now - 60, "exp": now + 600, "scope": "openid", "groups": groups, **changes}
        signed = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "one"}, claims))
        signature = (key or self.key).sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{encoded(signature)}"


@pytest.fixture(scope="module")
def issuer(stack):
    issuer = Issuer()
    stack.account.deploy(f"OidcIssuer={issuer.url}", f"OidcClientId={AUDIENCE}", "RolesClaim=groups")
    yield issuer
    issuer.server.shutdown()


def ask(stack, method, path, token=None, body=None):
    headers = {"content-type": "application/json"} if body else {}
    if token:
        headers["authorization"] = f"Bearer {token}"
    status, answer = stack.request(method, path, body, headers)
    try:
        return status, json.loads(answer)
    except ValueError:
        return status, answer.decode()


def test_the_page_is_open_and_knows_who_signs_in_but_no_data(stack, issuer):
    status, page = ask(stack, "GET", "/")
    assert status == 200 and "<html" in page
    status, config = ask(stack, "GET", "/config.json")
    assert (status, config["auth"]["issuer"], config["auth"]["client_id"]) == (200, issuer.url, AUDIENCE)
    assert ask(stack, "GET", "/assets/app.js")[0] == 200


def test_a_token_opens_what_its_roles_say(stack, issuer):
    events, redrive = "/api/test/events", "/api/test/dead-letters/deposits/redrive"
    why = b'{"why": "to see"}'
    nobody, reader, actor = (issuer.token(groups) for groups in (["staff"], ["staff", "bitpowr:read"], ["bitpowr:act"]))
    assert ask(stack, "GET", events)[0] == 401
    assert ask(stack, "GET", events, nobody)[0] == 403
    assert ask(stack, "GET", events, reader)[0] == 200
    assert ask(stack, "GET", events, actor)[0] == 200
    assert ask(stack, "POST", redrive, None, why)[0] == 401
    status, refusal = ask(stack, "POST", redrive, reader, why)
    assert (status, refusal["detail"]) == (403, "The token does not have the role bitpowr:act.")
    status, done = ask(stack, "POST", redrive, actor, why)
    assert (status, done["action"]["who"]) == (200, "somebody@example.com (subject)")


def test_only_a_role_of_its_own_manages_endpoints(stack, issuer):
    endpoints, order = "/api/test/endpoints", b'{"url": "https://example.com/hook/token", "why": "to see"}'
    reader, actor, configurer = (issuer.token([f"bitpowr:{role}"]) for role in ("read", "act", "configure"))
    for token in (reader, actor):
        status, refusal = ask(stack, "POST", endpoints, token, order)
        assert (status, refusal["detail"]) == (403, "The token does not have the role bitpowr:configure.")
    status, added = ask(stack, "POST", endpoints, configurer, order)
    assert status == 201 and added["secret"].startswith("whsec_"), added
    status, listed = ask(stack, "GET", endpoints, reader)
    assert (status, [one["url"] for one in listed["endpoints"] if one["id"] == added["id"]]) == (200, ["https://example.com/…"])
    status, rotated = ask(stack, "POST", f"{endpoints}/{added['id']}/rotate", configurer, b'{"why": "to see"}')
    assert status == 200 and rotated["secret"] != added["secret"], rotated
    for token in (reader, actor):
        assert ask(stack, "DELETE", f"{endpoints}/{added['id']}", token)[0] == 403
    assert ask(stack, "DELETE", f"{endpoints}/{added['id']}")[0] == 401
    assert ask(stack, "DELETE", f"{endpoints}/{added['id']}", configurer)[0] == 204
    assert added["id"] not in [one["id"] for one in ask(stack, "GET", endpoints, reader)[1]["endpoints"]]
    assert ask(stack, "POST", "/api/test/dead-letters/deposits/redrive", configurer, b'{"why": "to see"}')[0] == 403


def test_a_group_whose_name_contains_a_role_is_not_the_role(stack, issuer):
    for groups in (["x,bitpowr:act"], ["x bitpowr:act"], "x bitpowr:act", ["[bitpowr:act]"]):
        status, refusal = ask(stack, "GET", "/api/test/events", issuer.token(groups))
        assert (status, refusal["detail"]) == (403, "The token does not have the role bitpowr:read."), groups


def test_a_token_of_somebody_else_opens_nothing(stack, issuer):
    forged = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    now = int(time.time())
    for token in (issuer.token(["bitpowr:act"], forged), issuer.token(["bitpowr:act"], aud="another"),
                  issuer.token(["bitpowr:act"], exp=now - 60), issuer.token(["bitpowr:act"], iss="http://other.example"),
                  "nonsense"):
        assert ask(stack, "GET", "/api/test/events", token)[0] == 401


def test_webhooks_need_no_token(stack, issuer):
    stack.send_event("accounts.created", {"uid": "with-an-issuer"})
