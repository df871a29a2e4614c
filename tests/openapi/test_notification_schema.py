"""What programs are sent is what docs/notification.schema.json says, which is written from the code."""

import json
import time

from jsonschema import Draft202012Validator

from description import DESCRIPTION, ROOT
from running import PATIENCE

PUBLISHED = json.loads((ROOT / "docs" / "notification.schema.json").read_text())
SAMPLES = {path.stem for path in (ROOT / "events" / "payloads").glob("*.json")}
VALIDATOR = Draft202012Validator(PUBLISHED, format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_the_schema_is_one():
    Draft202012Validator.check_schema(PUBLISHED)


def test_every_sample_is_notified_as_the_schema_says(product):
    until = time.monotonic() + PATIENCE
    while not (SAMPLES <= {one["type"] for one in product.notifications()}
               and any("resend" in one for one in product.notifications())):
        assert time.monotonic() < until, SAMPLES - {one["type"] for one in product.notifications()}
        time.sleep(0.05)
    assert len(SAMPLES) == 43
    for one in product.notifications():
        assert [error.message for error in VALIDATOR.iter_errors(one)] == [], one
        # No field that is not described.
        assert one.keys() <= PUBLISHED["properties"].keys()
        assert one.keys() >= set(PUBLISHED["required"])


def test_a_notification_that_is_otherwise_is_found(product):
    one = product.notifications()[0]
    for wrong in ({"effect": "aplied"}, {"amount": 0.45}, {"counts": None}, {"counted": [{"field": "balance"}]}):
        assert not VALIDATOR.is_valid({**one, **wrong}), wrong


def test_the_description_of_the_surface_has_the_same_fields():
    described = DESCRIPTION["components"]["schemas"]
    for name, of in [("Notification", PUBLISHED), *PUBLISHED["$defs"].items()]:
        if "properties" in of:
            assert list(described[name]["properties"]) == list(of["properties"]), name
            assert set(described[name]["required"]) == set(of["required"]), name
        elif name in described:
            assert described[name].get("enum", []) == [one["const"] for one in of.get("oneOf", [])], name
