#!/usr/bin/env python3
"""Test vectors for the two verification schemes, computed outside the product.

    python3 generate.py           write secret.json and seal.json beside this file
    python3 generate.py --check   write nothing; exit 1 if either file differs

The output is deterministic: no clock, no randomness, standard library only.

Each case states the expected verdict by hand. Before anything is written, the
reference implementation below (`check_secret`, `open_envelope`) must reach
that same verdict, so a slip in either the case or the implementation stops
the run instead of reaching a vector file.

One long file on purpose: it runs by itself, and most of it is the two tables
of cases.

Layout: 1. Base64   2. the secret header   3. the sealed envelope
        4. cases for secret.json   5. cases for seal.json   6. command line
"""

import base64
import hashlib
import hmac
import json
import struct
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


# --- 1. Base64 ---------------------------------------------------------------

ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
STANDARD = ALPHANUMERIC + "+/"
URL_SAFE = ALPHANUMERIC + "-_"


class NotBase64(Exception):
    """The text is not Base64 under the rules in force."""


def decode_base64(text, alphabets, padding):
    """Decode `text` strictly: one alphabet, exact padding, zero trailing bits.

    `alphabets`: those allowed; all characters must come from a single one.
    `padding`: "required", "forbidden" or "optional". Where padding is present
    it must be exactly what the length calls for.
    """
    data = text.rstrip("=")
    pads = len(text) - len(data)
    alphabet = next((a for a in alphabets if all(c in a for c in data)), None)
    if alphabet is None:
        raise NotBase64("bad character, or two alphabets in one value")
    if len(data) % 4 == 1:
        raise NotBase64("impossible length")
    full = -len(data) % 4
    allowed = {"required": {full}, "forbidden": {0}, "optional": {0, full}}[padding]
    if pads not in allowed:
        raise NotBase64("wrong padding")
    bits = 0
    for character in data:
        bits = bits << 6 | alphabet.index(character)
    spare = len(data) * 6 % 8
    if bits & ((1 << spare) - 1):
        raise NotBase64("trailing bits are not zero")
    return (bits >> spare).to_bytes(len(data) * 6 // 8, "big")


def std(raw):
    """Standard alphabet, padded."""
    return base64.b64encode(raw).decode("ascii")


def url(raw):
    """URL-safe alphabet, padded."""
    return base64.urlsafe_b64encode(raw).decode("ascii")


def unpadded(text):
    return text.rstrip("=")


# --- 2. The secret header ----------------------------------------------------


def check_secret(accepted, headers):
    """None when the headers prove an accepted secret, otherwise the refusal reason."""
    if not headers:
        return "missing"
    if len(headers) > 1:
        return "repeated"
    try:
        offered = decode_base64(headers[0], (STANDARD, URL_SAFE), "optional")
    except NotBase64:
        return "not_base64"
    matches = [hmac.compare_digest(offered, secret) for secret in accepted]
    return None if any(matches) else "wrong"


# --- 3. The sealed envelope --------------------------------------------------

LABEL = b"bitpowr-webhooks/envelope"

# In the order in which they enter the MAC, between the version and the body.
TEXT_FIELDS = (
    "key_id",
    "environment",
    "family",
    "event",
    "received_at",
    "delivery_id",
    "reason",
    "detail",
)
BODY_FIELDS = ("body", "body_base64")
ALL_FIELDS = {"version", *TEXT_FIELDS, *BODY_FIELDS, "seal"}


def mac_parts(fields, body, version=1):
    """The byte strings that enter the MAC, in order."""
    texts = [fields[name].encode("utf-8") for name in TEXT_FIELDS]
    return [LABEL, str(version).encode("ascii"), *texts, body]


def frame(parts, length_format=">Q"):
    """Each byte string preceded by its length (64-bit big-endian)."""
    return b"".join(struct.pack(length_format, len(part)) + part for part in parts)


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def seal_text(raw):
    return unpadded(url(raw))


class Refused(Exception):
    """Carries a refusal reason."""


class JsonObject(list):
    """A JSON object as its list of (name, value) pairs, so duplicates stay visible."""


def parse_envelope(message):
    """(fields, raw body) of a well-formed envelope; Refused("unreadable") otherwise."""

    def no_constants(_name):
        raise ValueError("NaN and Infinity are not JSON")

    try:
        pairs = json.loads(
            message, object_pairs_hook=JsonObject, parse_constant=no_constants
        )
    except ValueError:
        raise Refused("unreadable") from None
    if not isinstance(pairs, JsonObject):
        raise Refused("unreadable")
    fields = dict(pairs)
    names = set(fields)
    required = ALL_FIELDS - set(BODY_FIELDS)
    if len(fields) != len(pairs) or not required <= names <= ALL_FIELDS:
        raise Refused("unreadable")
    if len(names & set(BODY_FIELDS)) != 1:
        raise Refused("unreadable")
    if type(fields["version"]) is not int:
        raise Refused("unreadable")
    try:
        for name in names - {"version"}:
            if not isinstance(fields[name], str):
                raise Refused("unreadable")
            fields[name].encode("utf-8")  # a lone surrogate is not text
        if "body" in fields:
            body = fields["body"].encode("utf-8")
        else:
            body = decode_base64(fields["body_base64"], (STANDARD,), "required")
    except (NotBase64, UnicodeEncodeError):
        raise Refused("unreadable") from None
    return fields, body


def open_envelope(keys, environment, family, message):
    """The raw body bytes, or Refused(reason). `keys` is a list of (id, key bytes)."""
    fields, body = parse_envelope(message)
    if fields["version"] != 1:
        raise Refused("unknown_version")
    key = dict(keys).get(fields["key_id"])
    if key is None:
        raise Refused("unknown_key")
    try:
        offered = decode_base64(fields["seal"], (URL_SAFE,), "forbidden")
    except NotBase64:
        raise Refused("altered") from None
    if not hmac.compare_digest(offered, mac(key, frame(mac_parts(fields, body)))):
        raise Refused("altered")
    if fields["environment"] != environment:
        raise Refused("wrong_environment")
    if fields["family"] != family:
        raise Refused("wrong_family")
    return body


# --- Shared by the case tables -----------------------------------------------


def derived(label, length=32):
    """Deterministic bytes: SHA-256 of "label/0", "label/1", … joined and cut."""
    blocks = -(-length // 32)
    stream = b"".join(
        hashlib.sha256(f"{label}/{n}".encode("ascii")).digest() for n in range(blocks)
    )
    return stream[:length]


def flip(raw, index, mask=1):
    """`raw` with the bits of `mask` flipped in one byte."""
    changed = bytearray(raw)
    changed[index] ^= mask
    return bytes(changed)


def nonzero_spare_bits(text, alphabet):
    """The same bytes spelled with a non-zero unused bit in the last character."""
    data, pads = unpadded(text), text[len(unpadded(text)) :]
    assert len(data) % 4 in (2, 3), "every bit is used: nothing to spoil"
    return data[:-1] + alphabet[alphabet.index(data[-1]) | 1] + pads


def checked(cases, expected, actual, name):
    """Stop on a repeated name or when the two verdicts differ."""
    if any(case["name"] == name for case in cases):
        raise SystemExit(f"two cases are named {name!r}")
    if expected != actual:
        raise SystemExit(f"{name!r}: expected {expected!r}, computed {actual!r}")


# --- 4. Cases for secret.json ------------------------------------------------


def secret_cases():
    cases = []

    def case(name, accepted, headers, reason):
        """`reason` None means accepted."""
        checked(cases, reason, check_secret(accepted, headers), name)
        cases.append(
            {
                "name": name,
                "accepted": [std(secret) for secret in accepted],
                "headers": headers,
                "verdict": "refused" if reason else "accepted",
                "reason": reason,
            }
        )

    # "+/v/Pj8A/xA=" / "-_v_Pj8A_xA=": both special characters, one pad, not UTF-8.
    both = bytes.fromhex("fbfbff3e3f00ff10")
    assert "+" in std(both) and "/" in std(both) and std(both).endswith("=")
    two_pads = bytes.fromhex("fbefff01")
    no_pads = b"Case Sensitive Value 123"
    assert std(two_pads).endswith("==") and "=" not in std(no_pads)
    local = b"local-secret"
    one = b"\xff"
    long = derived("secret/200 bytes", 200)
    current, previous = derived("secret/current"), derived("secret/previous")
    retired = derived("secret/retired")

    # The four spellings, for each number of padding characters.
    for label, secret in (
        ("one pad", both),
        ("two pads", two_pads),
        ("no pad needed", local),
        ("1-byte secret", one),
        ("200-byte secret", long),
    ):
        case(f"right, standard padded, {label}", [secret], [std(secret)], None)
        if label == "no pad needed":
            continue  # all four spellings are this one
        case(f"right, standard unpadded, {label}", [secret], [unpadded(std(secret))], None)
        case(f"right, URL-safe padded, {label}", [secret], [url(secret)], None)
        case(f"right, URL-safe unpadded, {label}", [secret], [unpadded(url(secret))], None)
    case("right, secret of zero bytes", [bytes(3)], [std(bytes(3))], None)

    # Several accepted secrets.
    case("current of two accepted", [current, previous], [std(current)], None)
    case("previous of two accepted", [current, previous], [std(previous)], None)
    case("last of three accepted", [current, both, previous], [url(previous)], None)
    case("accepted secrets of different lengths", [long, one], [std(one)], None)
    case("retired, no longer accepted", [current, previous], [std(retired)], "wrong")
    case("previous, once dropped from the list", [current], [std(previous)], "wrong")
    case("two accepted secrets joined", [current, previous], [std(current + previous)], "wrong")

    # Missing and repeated.
    case("header missing", [both], [], "missing")
    case("two headers, both right", [both], [std(both), std(both)], "repeated")
    case("two headers, right then wrong", [both], [std(both), std(retired)], "repeated")
    case("two headers, wrong then right", [both], [std(retired), std(both)], "repeated")
    case("two headers, both wrong", [both], [std(retired), std(previous)], "repeated")
    case("two headers, right then garbled", [both], [std(both), "!"], "repeated")
    case("two headers, right then empty", [both], [std(both), ""], "repeated")
    case("two headers, two accepted secrets", [current, previous], [std(current), std(previous)], "repeated")
    case("three headers, all right", [both], [std(both)] * 3, "repeated")

    # Decodes, but to no accepted secret.
    case("empty header value", [both], [""], "wrong")
    case("empty header value, 1-byte secret", [one], [""], "wrong")
    case("wrong secret", [current], [std(retired)], "wrong")
    case("truncated by one byte", [current], [std(current[:-1])], "wrong")
    case("200-byte secret truncated by one byte", [long], [std(long[:-1])], "wrong")
    case("prefix, first half", [current], [std(current[:16])], "wrong")
    case("prefix, one byte", [current], [std(current[:1])], "wrong")
    case("header text cut after four characters", [current], [std(current)[:4]], "wrong")
    case("suffix, first byte missing", [current], [std(current[1:])], "wrong")
    case("one byte appended", [current], [std(current + b"!")], "wrong")
    case("NUL byte appended", [current], [std(current + b"\0")], "wrong")
    case("newline byte appended inside the encoding", [local], [std(local + b"\n")], "wrong")
    case("one byte prepended", [current], [std(b"\0" + current)], "wrong")
    case("secret repeated twice inside the encoding", [current], [std(current * 2)], "wrong")
    case("same length, other bytes", [current], [std(bytes(32))], "wrong")
    case("letter case of the secret swapped", [no_pads], [std(no_pads.swapcase())], "wrong")
    case("letter case of the header swapped", [no_pads], [std(no_pads).swapcase()], "wrong")
    case("Base64 applied twice", [current], [std(std(current).encode("ascii"))], "wrong")
    case("hexadecimal instead of Base64", [current], [current.hex()], "wrong")
    case("lowest bit of the first byte flipped", [current], [std(flip(current, 0))], "wrong")
    case("highest bit of a middle byte flipped", [current], [std(flip(current, 16, 0x80))], "wrong")
    case("lowest bit of the last byte flipped", [current], [std(flip(current, -1))], "wrong")
    case("lowest bit of the 200th byte flipped", [long], [std(flip(long, -1))], "wrong")
    # Twelve characters of the URL-safe alphabet: decodable, to nine other bytes.
    case("the plain secret, which happens to decode", [local], ["local-secret"], "wrong")

    # Not Base64.
    case("the plain secret, which does not decode", [b"test secret"], ["test secret"], "not_base64")
    case("joined by comma", [both], [std(both) + "," + std(both)], "not_base64")
    case("joined by comma and space", [both], [std(both) + ", " + std(both)], "not_base64")
    case("joined by comma, no padding", [local], [std(local) + "," + std(local)], "not_base64")
    case("two padded values run together", [both], [std(both) * 2], "not_base64")
    case("leading space", [both], [" " + std(both)], "not_base64")
    case("trailing space", [both], [std(both) + " "], "not_base64")
    case("leading tab", [both], ["\t" + std(both)], "not_base64")
    case("space inside", [both], [std(both)[:4] + " " + std(both)[4:]], "not_base64")
    case("only a space", [both], [" "], "not_base64")
    case("bad characters", [both], ["!@#$%^&*"], "not_base64")
    case("in quotes", [both], ['"' + std(both) + '"'], "not_base64")
    case("padding percent-encoded", [both], [std(both).replace("=", "%3D")], "not_base64")
    case("scheme word in front", [both], ["Bearer " + std(both)], "not_base64")
    case("non-ASCII letter inside", [both], [std(both)[:4] + "\u00e9" + std(both)[5:]], "not_base64")
    case("full-width letter inside", [both], [std(both)[:4] + "\uff30" + std(both)[5:]], "not_base64")
    case("mixed alphabets, + and _", [both], [std(both).replace("/", "_")], "not_base64")
    case("mixed alphabets, - and /", [both], [std(both).replace("+", "-")], "not_base64")
    case("one padding character alone", [both], ["="], "not_base64")
    case("two padding characters alone", [both], ["=="], "not_base64")
    case("four padding characters alone", [both], ["===="], "not_base64")
    case("impossible length, one character", [both], ["A"], "not_base64")
    case("impossible length, five characters", [both], ["AAAAA"], "not_base64")
    case("impossible length, padded with three", [both], ["A==="], "not_base64")
    case("padding in the middle", [both], ["AA=A"], "not_base64")
    case("padding in front", [both], ["=" + unpadded(std(both))], "not_base64")
    case("excess padding, two for one", [both], [std(both) + "="], "not_base64")
    case("excess padding, three for two", [two_pads], [std(two_pads) + "="], "not_base64")
    case("excess padding, one for none", [local], [std(local) + "="], "not_base64")
    case("excess padding, four for none", [local], [std(local) + "===="], "not_base64")
    case("too little padding, one for two", [two_pads], [std(two_pads)[:-1]], "not_base64")
    for label, secret in (("one pad", both), ("two pads", two_pads), ("1-byte secret", one)):
        spoiled = nonzero_spare_bits(std(secret), STANDARD)
        case(f"non-zero trailing bits, {label}", [secret], [spoiled], "not_base64")
        case(f"non-zero trailing bits, unpadded, {label}", [secret], [unpadded(spoiled)], "not_base64")

    return cases


# --- 5. Cases for seal.json --------------------------------------------------

KEY_1 = ("key-1", derived("sealing key 1"))  # older
KEY_2 = ("key-2", derived("sealing key 2"))  # current
RING = [KEY_2, KEY_1]

BODY_TEXT = '{"event":"transaction.incoming","data":{"amount":"0.5","asset":"BTC"}}'
BASE = {
    "key_id": "key-2",
    "environment": "test",
    "family": "deposits",
    "event": "transaction.incoming",
    "received_at": "2025-01-02T03:04:05.678Z",
    "delivery_id": "delivery-0001",
    "reason": "",
    "detail": "",
}


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def envelope(body=BODY_TEXT, key=None, as_base64=None, parts=None, **changes):
    """A correctly sealed envelope: BASE with `changes`.

    `body` as str travels as text, as bytes in Base64, unless `as_base64` says.
    `key` overrides the key bytes, `parts` the MAC input (for wrong seals).
    """
    fields = {**BASE, **changes}
    raw = body.encode("utf-8") if isinstance(body, str) else body
    if as_base64 is None:
        as_base64 = isinstance(body, bytes)
    if key is None:
        key = dict(RING)[fields["key_id"]]
    if parts is None:
        parts = frame(mac_parts(fields, raw))
    carried = {"body_base64": std(raw)} if as_base64 else {"body": raw.decode("utf-8")}
    return {"version": 1, **fields, **carried, "seal": seal_text(mac(key, parts))}


def without(fields, *names):
    return {name: value for name, value in fields.items() if name not in names}


def seal_cases():
    cases = []

    def case(name, message, reason=None, body=None, keys=RING, environment="test", family="deposits"):
        """`message`: text, or an object to write compactly. `body`: the bytes expected."""
        if not isinstance(message, str):
            message = compact(message)
        try:
            opened, actual = open_envelope(keys, environment, family, message), None
        except Refused as refusal:
            opened, actual = None, str(refusal)
        checked(cases, reason, actual, name)
        checked(cases, body, opened, name)
        entry = {
            "name": name,
            "keys": [{"id": key_id, "key": std(key)} for key_id, key in keys],
            "environment": environment,
            "family": family,
            "message": message,
            "verdict": "refused" if reason else "accepted",
            "reason": reason,
        }
        if reason is None:
            entry["body_base64"] = std(opened)
        cases.append(entry)

    def accepted(name, body, message=None, **where):
        """`message` defaults to the plain envelope around `body`."""
        raw = body.encode("utf-8") if isinstance(body, str) else body
        case(name, envelope(body) if message is None else message, body=raw, **where)

    good = envelope()
    text = compact(good)

    # Accepted.
    accepted("right, text body", BODY_TEXT)
    not_utf8 = b"\xff\xfe\x00not UTF-8\x80"
    accepted(
        "right, body_base64 of bytes that are not UTF-8, delivery held back",
        not_utf8,
        envelope(not_utf8, family="unrecognised", event="", reason="not_json", detail="the body is not UTF-8"),
        family="unrecognised",
    )
    accepted("right, body_base64 of every byte value", bytes(range(256)))
    in_base64 = envelope(as_base64=True)
    assert in_base64["seal"] == good["seal"]
    accepted("right, the same ASCII body as body_base64 (same seal as text)", BODY_TEXT, in_base64)
    emoji = "\u00e9 \u4e16\u754c \U0001f680"
    accepted("right, non-ASCII text body", emoji)
    accepted("right, the same non-ASCII body as body_base64", emoji, envelope(emoji, as_base64=True))
    accepted("right, sealed under the older key in the ring", BODY_TEXT, envelope(key_id="key-1"))
    accepted("right, ring of one key", BODY_TEXT, keys=[KEY_2])
    accepted("right, ring in the other order", BODY_TEXT, keys=[KEY_1, KEY_2])
    accepted("right, body with quotes, newlines, emoji", 'say "hi" \\ back\r\n\tnext \U0001f600\n/end\n')
    accepted("right, body with control characters and NUL", "a\u0000b\u0001c\u007fd\u001fe")
    accepted("right, body starting with a byte order mark", "\ufeff{}")
    accepted("right, body not JSON-normalised", '{ "b" : 1.0 ,\n  "a":1e2, "a":"\\u0041" }\n')
    accepted("right, body that looks like an envelope", text)
    accepted("right, body of one space", " ")
    not_empty = dict(reason="empty", detail="the body is empty", family="unrecognised", event="")
    accepted("right, empty body as text, reason empty", "", envelope("", **not_empty), family="unrecognised")
    accepted("right, empty body as body_base64, reason empty", b"", envelope(b"", **not_empty), family="unrecognised")
    held = dict(family="unrecognised", event="", reason="not_json", detail="expected value at line 1 column 1")
    accepted("right, quarantined delivery, not_json", "<html>", envelope("<html>", **held), family="unrecognised")
    accepted("right, non-ASCII detail (lengths count bytes)", "x", envelope("x", detail=emoji))
    accepted("right, fields in reverse order", BODY_TEXT, dict(reversed(good.items())))
    accepted("right, message with white space between tokens", BODY_TEXT, "\n" + json.dumps(good, indent=4) + "\n")
    accepted(
        "right, message with every character of the strings escaped",
        BODY_TEXT,
        "{" + ",".join(
            f'"{name}":' + ("1" if name == "version" else '"' + "".join(f"\\u{ord(c):04x}" for c in value) + '"')
            for name, value in good.items()
        ) + "}",
    )
    accepted("right, emoji escaped as a surrogate pair", emoji, json.dumps(envelope(emoji)))

    # One field altered after sealing.
    case("body altered", {**good, "body": BODY_TEXT.replace("0.5", "9.5")}, "altered")
    case("body altered, one space appended", {**good, "body": BODY_TEXT + " "}, "altered")
    case("body emptied", {**good, "body": ""}, "altered")
    case("body altered, Unicode form changed", {**envelope("\u00e9"), "body": "e\u0301"}, "altered")
    case("body_base64 altered", {**in_base64, "body_base64": std(flip(BODY_TEXT.encode(), 3))}, "altered")
    case("body_base64 moved into body without decoding",
         {**without(in_base64, "body_base64"), "body": in_base64["body_base64"]}, "altered")
    case("event altered", {**good, "event": "transaction.outgoing"}, "altered")
    case("event altered, letter case", {**good, "event": "Transaction.incoming"}, "altered")
    case("environment altered", {**good, "environment": "live"}, "altered")
    case("environment altered to the opener's", {**envelope(environment="live"), "environment": "test"}, "altered")
    case("family altered", {**good, "family": "addresses"}, "altered")
    case("family altered to the opener's", {**envelope(family="addresses"), "family": "deposits"}, "altered")
    case("received_at altered", {**good, "received_at": "2025-01-02T03:04:05.679Z"}, "altered")
    case("received_at altered, same instant", {**good, "received_at": "2025-01-02T03:04:05.678+00:00"}, "altered")
    case("delivery_id altered", {**good, "delivery_id": "delivery-0002"}, "altered")
    case("reason altered", {**good, "reason": "not_json"}, "altered")
    case("reason emptied", {**envelope("<html>", **held), "reason": ""}, "altered", family="unrecognised")
    case("detail altered", {**good, "detail": "x"}, "altered")

    # Bytes moved across a field boundary: the plain concatenation is unchanged.
    def moved(name, first, second, keys=RING):
        """`first`, `second`: field -> (value sealed, value sent)."""
        both = {**first, **second}
        sealed = {field: values[0] for field, values in both.items()}
        sent = {field: values[1] for field, values in both.items()}
        assert "".join(sealed.values()) == "".join(sent.values())
        body = sealed.pop("body", BODY_TEXT)
        key = dict(keys).get(sealed.get("key_id", BASE["key_id"]))
        case(f"bytes moved from {name}", {**envelope(body, key=key, **sealed), **sent}, "altered", keys=keys)

    moved("event to received_at", {"event": ("ab", "a")}, {"received_at": ("c2025", "bc2025")})
    moved("received_at to event", {"event": ("a", "ab")}, {"received_at": ("bc2025", "c2025")})
    moved("received_at to delivery_id", {"received_at": ("20250", "2025")}, {"delivery_id": ("1", "01")})
    moved("delivery_id to reason", {"delivery_id": ("d-1not_json", "d-1")}, {"reason": ("", "not_json")})
    moved("reason to detail", {"reason": ("empty", "")}, {"detail": ("", "empty")})
    moved("detail to body", {"detail": ("ab", "a")}, {"body": ("c", "bc")})
    moved("body to detail", {"detail": ("", "abc")}, {"body": ("abc", "")})
    moved("environment to family", {"environment": ("testx", "test")}, {"family": ("deposits", "xdeposits")})
    moved("family to event", {"family": ("depositsx", "deposits")}, {"event": ("y", "xy")})
    shared = derived("one key under two ids")
    moved("environment to key_id, same key under both ids", {"key_id": ("k", "kx")},
          {"environment": ("xtest", "test")}, keys=[("k", shared), ("kx", shared)])

    # Keys.
    case("key_id swapped to another known key", {**good, "key_id": "key-1"}, "altered")
    case("key_id swapped to another id of the same key", {**envelope(key_id="k", key=shared), "key_id": "kx"},
         "altered", keys=[("k", shared), ("kx", shared)])
    case("known key id, other key bytes in the ring", good, "altered", keys=[("key-2", KEY_1[1])])
    case("key id says key-2, sealed with key-1", envelope(key=KEY_1[1]), "altered")
    other = derived("sealing key 3")
    case("unknown key id", envelope(key_id="key-3", key=other), "unknown_key")
    case("key id removed from the ring", envelope(key_id="key-1"), "unknown_key", keys=[KEY_2])
    case("key id swapped to an unknown one", {**good, "key_id": "key-9"}, "unknown_key")
    case("key id in other letter case", {**good, "key_id": "KEY-2"}, "unknown_key")
    case("key id with a trailing space", {**good, "key_id": "key-2 "}, "unknown_key")
    case("key id that begins a known one", {**good, "key_id": "key"}, "unknown_key")
    case("key id empty", {**good, "key_id": ""}, "unknown_key")
    case("empty ring", good, "unknown_key", keys=[])

    # Version.
    version_2 = {**envelope(parts=frame(mac_parts(BASE, BODY_TEXT.encode(), version=2))), "version": 2}
    case("version 2, correctly sealed as version 2", version_2, "unknown_version")
    case("version 2, seal of version 1", {**good, "version": 2}, "unknown_version")
    case("version 0", {**good, "version": 0}, "unknown_version")
    case("version 10", {**good, "version": 10}, "unknown_version")
    case('version "1" as a string', {**good, "version": "1"}, "unreadable")
    case('version "2" as a string', {**good, "version": "2"}, "unreadable")
    case("version null", {**good, "version": None}, "unreadable")
    case("version true", {**good, "version": True}, "unreadable")
    case("version with a leading zero (not JSON)", text.replace('"version":1', '"version":01'), "unreadable")

    # Seals of the right envelope in the wrong shape.
    raw_seal = decode_base64(good["seal"], (URL_SAFE,), "forbidden")
    body_bytes = BODY_TEXT.encode("utf-8")
    parts = mac_parts(BASE, body_bytes)
    key = KEY_2[1]

    def sealed_as(name, seal):
        assert seal != good["seal"]
        case(f"seal {name}", {**good, "seal": seal}, "altered")

    sealed_as("empty", "")
    sealed_as("truncated by one character", good["seal"][:-1])
    sealed_as("truncated to 31 bytes", seal_text(raw_seal[:31]))
    sealed_as("truncated to 16 bytes", seal_text(raw_seal[:16]))
    sealed_as("of one byte", seal_text(raw_seal[:1]))
    sealed_as("with one byte appended", seal_text(raw_seal + b"\0"))
    sealed_as("with one bit of the first byte flipped", seal_text(flip(raw_seal, 0)))
    sealed_as("with one bit of a middle byte flipped", seal_text(flip(raw_seal, 16, 0x80)))
    sealed_as("with one bit of the last byte flipped", seal_text(flip(raw_seal, -1)))
    sealed_as("all zero", seal_text(bytes(32)))
    sealed_as("padded Base64", good["seal"] + "=")
    sealed_as("with non-zero trailing bits", nonzero_spare_bits(good["seal"], URL_SAFE))
    sealed_as("with a leading space", " " + good["seal"])
    sealed_as("with a trailing newline", good["seal"] + "\n")
    sealed_as("in hexadecimal", raw_seal.hex())
    sealed_as("in other letter case", good["seal"].swapcase())
    sealed_as("of characters outside Base64", "!" * 43)
    sealed_as("of non-ASCII characters", "\u00e9" * 43)
    special = next(  # the first delivery whose seal uses both special characters
        candidate
        for candidate in (envelope(delivery_id=f"delivery-{n:04}") for n in range(2, 10000))
        if "-" in candidate["seal"] and "_" in candidate["seal"]
    )
    accepted("right, seal containing - and _", BODY_TEXT, special)
    standard_seal = special["seal"].replace("-", "+").replace("_", "/")
    case("seal in the standard alphabet", {**special, "seal": standard_seal}, "altered")

    # Seals computed another way.
    def computed(name, digest):
        sealed_as("computed " + name, seal_text(digest))

    computed("with the webhook secret", mac(b"local-secret", frame(parts)))
    computed("with an empty key", mac(b"", frame(parts)))
    computed("with the Base64 text of the key", mac(std(key).encode("ascii"), frame(parts)))
    computed("without lengths", mac(key, b"".join(parts)))
    computed("with little-endian lengths", mac(key, frame(parts, "<Q")))
    computed("with 32-bit lengths", mac(key, frame(parts, ">I")))
    computed("without the label", mac(key, frame(parts[1:])))
    computed("without the version", mac(key, frame(parts[:1] + parts[2:])))
    computed("with the version as one byte", mac(key, frame([parts[0], b"\x01", *parts[2:]])))
    computed("over the Base64 text of the body", mac(key, frame([*parts[:-1], std(body_bytes).encode("ascii")])))
    computed("over the body alone", mac(key, body_bytes))
    computed("as SHA-256 without a key", hashlib.sha256(frame(parts)).digest())
    computed("as SHA-256 of key and input", hashlib.sha256(key + frame(parts)).digest())
    transplant = envelope("{}", delivery_id="delivery-0002")["seal"]
    sealed_as("transplanted from another delivery", transplant)
    case("body transplanted from another delivery",
         {**good, "body": envelope("{}", delivery_id="delivery-0002")["body"]}, "altered")

    # Not such an object: fields.
    for name in good:
        case(f"missing {name}" + (" (neither body)" if name == "body" else ""), without(good, name), "unreadable")
    for name in [name for name in good if name != "version"]:
        case(f"{name} is a number", {**good, name: 1}, "unreadable")
    case("reason is null", {**good, "reason": None}, "unreadable")
    case("body_base64 is a number", {**in_base64, "body_base64": 1}, "unreadable")
    case("body is null", {**good, "body": None}, "unreadable")
    case("body is an object", {**good, "body": {"event": "x"}}, "unreadable")
    case("seal is null", {**good, "seal": None}, "unreadable")
    case("both bodies, same bytes", {**good, "body_base64": std(body_bytes)}, "unreadable")
    case("both bodies, different bytes", {**good, "body_base64": std(b"other")}, "unreadable")
    case("both bodies, text empty", {**in_base64, "body": ""}, "unreadable")
    case("both bodies, text null", {**in_base64, "body": None}, "unreadable")
    case("both bodies, body_base64 null", {**good, "body_base64": None}, "unreadable")
    case("unknown extra field", {**good, "note": ""}, "unreadable")
    case("field name in other letter case", {**without(good, "event"), "Event": good["event"]}, "unreadable")
    case("duplicate field, same value", text[:-1] + ',"event":"transaction.incoming"}', "unreadable")
    case("duplicate field, different value", text[:-1] + ',"event":"transaction.outgoing"}', "unreadable")
    case("duplicate field, right value last", '{"event":"transaction.outgoing",' + text[1:], "unreadable")
    case("duplicate body", text[:-1] + ',"body":' + compact(BODY_TEXT) + "}", "unreadable")
    case("duplicate seal", text[:-1] + f',"seal":"{good["seal"]}"' + "}", "unreadable")
    case("duplicate version", text[:-1] + ',"version":1}', "unreadable")
    case("duplicate field, name escaped", text[:-1] + ',"\\u0065vent":"transaction.incoming"}', "unreadable")

    # Not such an object: body_base64.
    pads = envelope(b"\xfb\xff\xbf\xfe")
    assert pads["body_base64"] == "+/+//g=="
    accepted("right, body_base64 with +, / and two pads", b"\xfb\xff\xbf\xfe", pads)
    for name, value in (
        ("garbled", "!!!!"),
        ("in the URL-safe alphabet", "-_-__g=="),
        ("unpadded", "+/+//g"),
        ("with too little padding", "+/+//g="),
        ("with excess padding", "+/+//g==="),
        ("with non-zero trailing bits", nonzero_spare_bits("+/+//g==", STANDARD)),
        ("of impossible length", "A"),
        ("of padding only", "===="),
        ("with a line break", "+/+/\n/g=="),
    ):
        case(f"body_base64 {name}", {**pads, "body_base64": value}, "unreadable")

    # Not JSON, or not an object.
    case("empty text", "", "unreadable")
    case("white space only", " \n", "unreadable")
    case("not JSON", "hello", "unreadable")
    case("JSON array", "[]", "unreadable")
    case("JSON array around the envelope", f"[{text}]", "unreadable")
    # The same values without names, in field order.
    case("JSON array of the field values", list(good.values()), "unreadable")
    case("JSON null", "null", "unreadable")
    case("JSON string holding the envelope", compact(text), "unreadable")
    case("JSON number", "1", "unreadable")
    case("empty object", "{}", "unreadable")
    case("cut short", text[:-1], "unreadable")
    case("text after the object", text + "x", "unreadable")
    case("two envelopes in one message", text + text, "unreadable")
    case("trailing comma", text[:-1] + ",}", "unreadable")
    case("single quotes", text.replace('"', "'"), "unreadable")
    case("byte order mark before the object", "\ufeff" + text, "unreadable")
    case("raw newline inside a string", text.replace("delivery-0001", "delivery\n0001"), "unreadable")
    case("lone surrogate in the body", text.replace(compact(BODY_TEXT), '"\\ud800"'), "unreadable")
    case("lone surrogate in the detail", text.replace('"detail":""', '"detail":"\\udc00"'), "unreadable")

    # Correctly sealed, for another opener.
    case("sealed for another environment", envelope(environment="live"), "wrong_environment")
    case("opener of another environment", good, "wrong_environment", environment="live")
    case("environment in other letter case", envelope(environment="Local"), "wrong_environment")
    case("sealed for another family", envelope(family="addresses"), "wrong_family")
    case("opener of another family", good, "wrong_family", family="addresses")
    case("quarantined delivery at a family's opener", envelope("<html>", **held), "wrong_family")
    case("family delivery at the quarantine's opener", good, "wrong_family", family="unrecognised")
    case("family in other letter case", envelope(family="Transaction"), "wrong_family")

    # Two faults at once: the earlier check answers.
    case("order: extra field before version", {**good, "version": 2, "note": ""}, "unreadable")
    case("order: version before key", {**good, "version": 2, "key_id": "key-9"}, "unknown_version")
    case("order: version before environment", {**envelope(environment="live"), "version": 2}, "unknown_version")
    case("order: key before seal", {**good, "key_id": "key-9", "seal": ""}, "unknown_key")
    case("order: key before environment", envelope(key_id="key-9", key=other, environment="live"), "unknown_key")
    case("order: seal before environment", {**envelope(environment="live"), "seal": good["seal"]}, "altered")
    case("order: seal before family", {**envelope(family="addresses"), "seal": good["seal"]}, "altered")
    case("order: environment before family", envelope(environment="live", family="addresses"), "wrong_environment")

    return cases


# --- 6. Command line ---------------------------------------------------------


def documents():
    return {
        "secret.json": {
            "description": (
                "The x-webhook-secret header. accepted: the secrets accepted at once, each in "
                "standard padded Base64. headers: the value of every such header of the request, "
                "in order, taken as they are (no trimming); none means the header is absent; "
                "a non-ASCII character stands for its UTF-8 bytes. reason: missing, repeated, "
                "not_base64 or wrong; null when accepted. Written by generate.py."
            ),
            "cases": secret_cases(),
        },
        "seal.json": {
            "description": (
                "Opening a sealed envelope. keys: the keyring, each key in standard padded Base64. "
                "environment, family: what the opener expects. message: the text received. "
                "reason: unreadable, unknown_version, unknown_key, altered, wrong_environment or "
                "wrong_family, the first that applies in this order; null when accepted. "
                "body_base64 (accepted only): the raw body, in standard padded Base64. "
                "Written by generate.py."
            ),
            "cases": seal_cases(),
        },
    }


def main(arguments):
    if arguments not in ([], ["--check"]):
        print("usage: generate.py [--check]", file=sys.stderr)
        return 2
    stale = False
    for name, document in documents().items():
        path = HERE / name
        content = (json.dumps(document, indent=2) + "\n").encode("ascii")
        count = len(document["cases"])
        if not arguments:
            path.write_bytes(content)
            print(f"{name}: {count} cases written")
        elif path.is_file() and path.read_bytes() == content:
            print(f"{name}: {count} cases, up to date")
        else:
            print(f"{name}: differs from what generate.py writes", file=sys.stderr)
            stale = True
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
