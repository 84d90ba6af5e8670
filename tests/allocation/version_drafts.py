"""Versions of what portfolios follow from, made and published through the front door."""

from app.allocation.engine.defaults import default_document

ROOT = "/v1/allocation"
PATHS = {
    "assumptions": f"{ROOT}/assumption-sets",
    "views": f"{ROOT}/views",
    "policy": f"{ROOT}/policies",
    "questionnaire": f"{ROOT}/questionnaires",
}
NAMES = {"assumptions": "name", "views": "version", "policy": "version", "questionnaire": "version"}


def document_of(kind, **changes):
    """The shipped document under another name, with some members replaced."""
    return {**default_document(kind), NAMES[kind]: "another", **changes}


def assumptions(**of_class):
    """The shipped assumptions with other figures: `equity_return` of domestic equity, or whole members."""
    document = document_of("assumptions")
    for code, figures in of_class.items():
        next(c for c in document["asset_classes"] if c["code"] == code).update(figures)
    return document


def without(code):
    """The shipped assumptions without an asset class, whose market weight goes to the first one left."""
    document = document_of("assumptions")
    place = next(i for i, c in enumerate(document["asset_classes"]) if c["code"] == code)
    gone = document["asset_classes"].pop(place)
    first = document["asset_classes"][0]
    first["market_weight"] = round(first["market_weight"] + gone["market_weight"], 6)
    del document["correlation"][place]
    for row in document["correlation"]:
        del row[place]
    return document


def correlated(document, first, second, value):
    """The document with one correlation replaced, on both sides of the diagonal."""
    codes = [c["code"] for c in document["asset_classes"]]
    i, j = codes.index(first), codes.index(second)
    document["correlation"][i][j] = document["correlation"][j][i] = value
    return document


async def draft(client, kind, document=None, **fields):
    """A new draft."""
    body = {"document": document or document_of(kind), **fields}
    answer = await client.post(PATHS[kind], json=body)
    assert answer.status_code == 201, answer.text
    return answer


def match(answer):
    """The header that names the version read or written."""
    return {"If-Match": answer.headers["etag"]}


async def publish(client, kind, drafted, **headers):
    """The answer to publishing a draft."""
    version = drafted.json()["version"]
    return await client.post(f"{PATHS[kind]}/{version}/publish", headers={**match(drafted), **headers})


async def bring_into_force(client, kind, document):
    """Draft and publish; the version as it is then."""
    answer = await publish(client, kind, await draft(client, kind, document))
    assert answer.status_code == 200, answer.text
    return answer.json()


def problem(answer, status, code):
    """The errors of a refusal: (pointer, code) -> detail."""
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return {(e["pointer"], e["code"]): e["detail"] for e in answer.json()["errors"]}


async def check(client, kind, document):
    """What validation says of a document."""
    answer = await client.post(f"{PATHS[kind]}/validate", json={"document": document})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def as_other(client, name, *scopes):
    """Headers with the key of somebody else."""
    answer = await client.post("/v1/api-keys", json={"name": name, "scopes": list(scopes)})
    return {"Authorization": f"Bearer {answer.json()['key']}"}
