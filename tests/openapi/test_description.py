"""Whether the description is one, and says what the source says."""

import re
import tomllib

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from description import DESCRIPTION, PATH, ROOT, errors, operations, parameters, pointer, resolved


def source(path):
    return (ROOT / path).read_text()


def between(path, start, end="\n    }\n"):
    """The part of a file from one text to the next."""
    _, _, rest = source(path).partition(start)
    assert rest, f"{path} has no `{start}`"
    return rest.partition(end)[0]


def enumerated(name):
    return DESCRIPTION["components"]["schemas"][name]["enum"]


def test_it_is_valid():
    validate(DESCRIPTION, cls=OpenAPIV31SpecValidator)


def test_it_is_served(product):
    answer = product.get("/api/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == PATH.read_bytes()


def test_its_version_is_the_products():
    assert DESCRIPTION["info"]["version"] == tomllib.loads(source("Cargo.toml"))["workspace"]["package"]["version"]


def examples(thing, at):
    """The examples of a parameter, a media type or a schema, and where they are."""
    if "example" in thing:
        yield thing["example"]
    for example in (thing.get("examples") or {}).values() if at[-1] != "schema" else []:
        yield example["value"]


def described(thing, at=()):
    """Everything that has a schema, and where it is."""
    if isinstance(thing, dict):
        if isinstance(thing.get("schema"), dict):
            yield thing, at
        for name, member in thing.items():
            yield from described(member, (*at, name))
    elif isinstance(thing, list):
        for number, member in enumerate(thing):
            yield from described(member, (*at, number))


EXAMPLES = [(example, (*at, "schema")) for thing, at in described(DESCRIPTION) for example in examples(thing, at)]
EXAMPLES += [(example, ("components", "schemas", name)) for name, schema in
             DESCRIPTION["components"]["schemas"].items() for example in schema.get("examples", [])]


@pytest.mark.parametrize("example, at", EXAMPLES, ids=["/".join(map(str, at)) for _, at in EXAMPLES])
def test_examples_are_valid(example, at):
    assert errors(pointer(*at), example) == []


def test_every_answer_with_json_has_an_example():
    for path, method, operation in operations():
        for status, answer in operation["responses"].items():
            for media_type, content in resolved(answer).get("content", {}).items():
                if media_type.endswith("json") and path != "/api/openapi.json":
                    assert "example" in content, (method, path, status)


def test_every_operation_that_is_handled_is_described():
    handled = set()
    reads = source("functions/api/src/lib.rs")
    for kind in re.findall(r'\["(\w+)"\] => self\.', reads):
        handled.add(("get", f"/api/{{}}/{kind}"))
    for kind in re.findall(r'\["(\w+)", id\] => self\.', reads):
        handled.add(("get", f"/api/{{}}/{kind}/{{}}"))
    for file in re.findall(r'\("([\w.]+)", \[\]\)', reads):
        handled.add(("get", f"/api/{file}"))
    assert "known.plural()" in reads
    for plural in re.findall(r'"(\w+)"', between("shared/src/model/entity.rs", "fn plural")):
        handled.add(("get", f"/api/{{}}/{plural}/{{}}"))
    for kind, action in re.findall(r'\["([\w-]+)", \w+, "(\w+)"\] => ', source("functions/actions/src/lib.rs")):
        handled.add(("post", f"/api/{{}}/{kind}/{{}}/{action}"))
    for kind, more, method in re.findall(r'\["(\w+)"(, id)?\] if \*method == Method::(\w+)',
                                         source("functions/actions/src/lib.rs")):
        handled.add((method.lower(), f"/api/{{}}/{kind}" + ("/{}" if more else "")))
    for first in re.findall(r'\["(\w+)", name\]', source("functions/ingest/src/lib.rs")):
        handled.add(("post", f"/{first}/{{}}"))
    page = source("functions/page/src/lib.rs")
    for path in re.findall(r'^ +\["([\w.]*)"\] =>', page, re.M):
        handled.add(("get", f"/{path}"))
    for folder in re.findall(r'\["(\w+)", file\] =>', page):
        handled.add(("get", f"/{folder}/{{}}"))
    for path in re.findall(r'path\(\) == "(/\w+)"', source("local/src/standins/gateway.rs")):
        handled.add(("get", path))
    assert len(handled) == 31
    assert {(method, re.sub(r"{\w+}", "{}", path)) for path, method, _ in operations()} == handled


def test_every_parameter_that_is_read_is_described():
    read = set(re.findall(r'(?:text|self\.get|self\.read|self\.name|self\.name::<\w+>|self\.moment)\("(\w+)"', source("functions/api/src/query.rs")
                          .partition("#[cfg(test)]")[0]))
    read |= set(re.findall(r'query\s*\.(?:get|moment)\("(\w+)"\)', source("functions/api/src/lib.rs")))
    found = [one for path, method, _ in operations() for one in parameters(path, method)]
    assert {one["name"] for one in found if one["in"] == "query"} == read
    headers = set(re.findall(r'headers\(\)\.get\("([\w-]+)"\)', source("functions/actions/src/lib.rs")))
    assert {one["name"].lower() for one in found if one["in"] == "header"} == headers


def test_who_may_ask_is_described():
    read, act, configure = re.findall(r'^ +\w+ "([\w:]+)"', between("shared/src/access.rs", '"role" Role {'), re.M)
    for path, method, operation in operations():
        role = read if method == "get" else configure if "/endpoints" in path else act
        expected = ([{"webhookSecret": []}] if path.startswith("/webhooks/") else
                    [{"oidc": [role]}, {"awsSigV4": []}, {}] if path.startswith("/api/") else [])
        assert operation["security"] == expected, (method, path)
    header = re.search(r'HEADER: &str = "([\w-]+)"', source("shared/src/verify/secret.rs")).group(1)
    assert DESCRIPTION["components"]["securitySchemes"]["webhookSecret"]["name"] == header


def test_limits_are_those_of_the_source():
    query = source("functions/api/src/query.rs")
    number = lambda name: int(re.search(rf"const {name}: \w+ = (\d+);", query).group(1))
    shared = DESCRIPTION["components"]["parameters"]
    assert shared["limit"]["schema"]["default"] == number("LIMIT")
    assert shared["limit"]["schema"]["maximum"] == number("MOST")
    stats = {one["name"]: one["schema"] for one in parameters("/api/{environment}/stats", "get")}
    least, most = re.search(r"\((\d+)\.\.=([\d_]+)\)\.contains\(&step\)", query).groups()
    assert (stats["step"]["minimum"], stats["step"]["maximum"]) == (int(least), int(most))
    characters = re.search(r"MOST_CHARACTERS: usize = (\d+);", source("functions/actions/src/lib.rs")).group(1)
    schemas = DESCRIPTION["components"]["schemas"]
    assert schemas["Order"]["properties"]["why"]["maxLength"] == int(characters)
    assert schemas["NewEndpoint"]["properties"]["description"]["maxLength"] == int(characters)


@pytest.mark.parametrize("schema, file, start, more", [
    ("Environment", "shared/src/environment.rs", '"environment" Environment {', []),
    ("Effect", "shared/src/fold/mod.rs", '"effect" Effect {', []),
    ("EntityType", "shared/src/model/entity.rs", '"entity type" EntityType {', []),
    ("Kind", "shared/src/model/entity.rs", '"kind" Kind {', []),
    ("Family", "shared/src/model/catalogue.rs", '"family" Family {', []),
    ("Reason", "shared/src/model/body.rs", "\nreasons! {", []),
    ("EndpointState", "shared/src/endpoints/endpoint.rs", '"state" EndpointState {', []),
    ("Progress", "shared/src/endpoints/attempt.rs", '"progress" Progress {', []),
    ("Step", "shared/src/model/lifecycle.rs", "\nsteps! {", ["unknown"]),
])
def test_names_are_those_of_the_source(schema, file, start, more):
    assert enumerated(schema) == re.findall(r'^ +\w+ "(\w+)"', between(file, start, "\n}\n"), re.M) + more


@pytest.mark.parametrize("start, names", [
    ('"action" Action {', DESCRIPTION["components"]["schemas"]["Action"]["properties"]["action"]["enum"]),
    ('"type of target" TargetType {',
     DESCRIPTION["components"]["schemas"]["Action"]["properties"]["target"]["properties"]["type"]["enum"]),
])
def test_names_of_actions_are_those_of_the_source(start, names):
    assert names == re.findall(r'^ +\w+ "(\w+)"', between("shared/src/store/actions.rs", start, "\n}\n"), re.M)


def test_codes_are_those_of_the_source():
    used = set()
    for file in ("functions/api/src/lib.rs", "functions/actions/src/lib.rs", "functions/ingest/src/lib.rs",
                 "functions/page/src/lib.rs", "local/src/standins/gateway.rs", "local/src/standins/guard.rs", "shared/src/http.rs",
                 "shared/src/refusal.rs"):
        used |= set(re.findall(r'StatusCode::\w+,\s*"(\w+)"', source(file)))
    used |= set(re.findall(r'Refusal::Conflict\("(\w+)"', source("functions/actions/src/endpoints.rs")))
    # Nobody has seen them: what they tell of is a fault of the local server.
    used -= {"internal", "bad_request"}
    used |= set(enumerated("Reason")) - {"not_applied", "not_understood"}
    described_codes = set()
    for thing, _ in described(DESCRIPTION):
        code = thing["schema"].get("properties", {}).get("code", {})
        described_codes |= set(code.get("enum", [code["const"]] if "const" in code else []))
    assert described_codes == used
