"""Drafts of policies, made and published through the front door."""

from copy import deepcopy

from app.lifecycle.policies import shipped_document

URL = "/v1/lifecycle/policies"


def place_of(document, name):
    return next(i for i, rule in enumerate(document["rules"]) if rule["id"] == name)


def wealth(name=None, **fields):
    """The shipped document, one rule of it changed."""
    document = deepcopy(shipped_document("wealth"))
    if name is not None:
        document["rules"][place_of(document, name)].update(fields)
    return document


AT_RISK = place_of(wealth(), "at_risk")
STRICTER = wealth("at_risk", when={"fact": "attrition_score", "op": ">=", "value": 50})


async def make_draft(client, document=STRICTER, **fields):
    answer = await client.post(URL, json={"document": document, **fields})
    assert answer.status_code == 201, answer.text
    return answer


def match(answer):
    return {"If-Match": answer.headers["etag"]}


async def publish(client, draft, **options):
    return await client.post(f"{URL}/{draft.json()['version']}/publish", json=options, headers=match(draft))


def problem(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return {(e["pointer"], e["code"]): e["detail"] for e in answer.json()["errors"]}


async def as_other(client, name, *scopes):
    """Headers with the key of somebody else."""
    answer = await client.post("/v1/api-keys", json={"name": name, "scopes": list(scopes)})
    return {"Authorization": f"Bearer {answer.json()['key']}"}
