"""The description of the HTTP surface, and what is valid by it."""

import json
from pathlib import Path
from urllib.parse import quote

import schemathesis
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "docs" / "openapi.json"
DESCRIPTION = json.loads(PATH.read_text())

SCHEMA = schemathesis.openapi.from_path(PATH, config=schemathesis.Config.from_dict({
    "suppress-health-check": ["all"],
    # The same cases in every run.
    "generation": {"deterministic": True, "max-examples": 100, "database": "none"},
}))

BASE = "urn:description"
REGISTRY = Registry().with_resource(BASE, DRAFT202012.create_resource(DESCRIPTION))


def operations():
    """Every operation: path, method, and what is said of it."""
    for path, item in DESCRIPTION["paths"].items():
        for method in ("get", "post", "delete"):
            if method in item:
                yield path, method, item[method]


def resolved(thing):
    while "$ref" in thing:
        found = DESCRIPTION
        for part in thing["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        thing = found
    return thing


def parameters(path, method):
    item = DESCRIPTION["paths"][path]
    return [resolved(one) for one in [*item.get("parameters", []), *item[method].get("parameters", [])]]


def errors(schema, value):
    """Why a value is not valid. `schema` is a JSON pointer into the description."""
    validator = Draft202012Validator(
        {"$ref": f"{BASE}#{schema}"}, registry=REGISTRY, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def pointer(*parts):
    """A JSON pointer as a URI's fragment (RFC 6901, section 6)."""
    escaped = (str(part).replace("~", "~0").replace("/", "~1") for part in parts)
    return "".join("/" + quote(part, safe="~") for part in escaped)
