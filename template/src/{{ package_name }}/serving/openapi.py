"""What the service says that it takes and gives, as OpenAPI: the row of the task, with an example that is right."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, ConfigDict, Field, create_model

from .limits import OPEN, ServiceConfig
from .predictor import Predictor

REFERENCE = "#/components/schemas/{model}"
TEXT = "a text"
STATUSES = {
    400: "not JSON, or not HTTP as a server reads it",
    401: "no key, or another one",
    408: "the request came too slowly",
    409: "nobody monitors this service",
    413: "the body is too long",
    415: "another content type than application/json",
    422: "the JSON is not what is wanted",
    429: "too many requests of this client",
    500: "the model failed",
    503: "too much waits: try again after the seconds of Retry-After",
    504: "no answer in time",
}


class Trouble(BaseModel):
    """What a request that is not answered gets."""

    error: str = Field(description="one line: what was given, what is wanted")


class Answer(BaseModel):
    """The answer to a row; a task adds more."""

    model_config = ConfigDict(extra="allow")

    answer: Any
    confidence: float | None = Field(description="0 to 1, where the task has one")
    uncertainty: float | None = Field(description="more is less sure, where the task has one")
    uncertain: bool = Field(description="whether the confidence is lower than the service wants it")
    id: str = Field(description="by which POST /labels takes what was right")


class Reply(BaseModel):
    """The answers to the rows of a request, in their order."""

    answers: list[Answer]
    version: str = Field(description="name and version of the model")
    input_sha256: list[str] = Field(description="of each row as JSON with sorted keys and without spaces")


class Label(BaseModel):
    """What would have been the right answer."""

    model_config = ConfigDict(extra="forbid")

    id: str
    target: Any


class Labels(BaseModel):
    """Right answers that became known."""

    model_config = ConfigDict(extra="forbid")

    labels: list[Label] = Field(min_length=1)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what the routes say of their refusals."""
    return {status: {"model": Trouble, "description": STATUSES[status]} for status in statuses}


def document(app: FastAPI, predictor: Predictor, settings: ServiceConfig, version: str) -> dict[str, Any]:
    """Return the whole document: that of the routes, with what their handlers read by themselves."""
    title = f"{predictor.config.name}: {predictor.config.data.task}"
    found = get_openapi(title=title, version=version, routes=app.routes)
    rows = (list[predictor.row], Field(min_length=1, max_length=settings.max_rows))  # type: ignore[name-defined]
    question = create_model("Question", __config__=ConfigDict(extra="forbid"), rows=rows)
    for path, model in (("/predict", question), ("/labels", Labels)):
        schema = model.model_json_schema(ref_template=REFERENCE)
        found["components"]["schemas"] |= schema.pop("$defs", {})
        found["paths"][path]["post"]["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    if right := example(predictor):
        content = found["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
        content["example"] = {"rows": [right]}
    if settings.api_key:
        found["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        for path in found["paths"].keys() - {*OPEN}:
            for operation in found["paths"][path].values():
                operation["security"] = [{"key": []}]
    return found


def example(predictor: Predictor) -> Any:
    """Return a row that the task takes: its own example, or what its schema asks for; None where neither is right."""
    schema = predictor.row.model_json_schema()
    found = (schema.get("examples") or [None])[0] or value_of(schema, schema.get("$defs", {}))
    try:
        predictor.check([found])
    except ValueError:
        return None
    return found


def value_of(schema: Mapping[str, Any], named: Mapping[str, Any]) -> Any:
    """Return a value of a JSON schema, a plain one."""
    if "$ref" in schema:
        return value_of(named[schema["$ref"].rpartition("/")[2]], named)
    for word in ("examples", "enum"):
        if schema.get(word):
            return schema[word][0]
    for word in ("const", "default"):
        if word in schema:
            return schema[word]
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return value_of(choices[0], named)
    make = VALUES.get(schema.get("type", ""))
    return make(schema, named) if make else None


def object_of(schema: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with the properties that must be there."""
    return {name: value_of(schema["properties"][name], named) for name in schema.get("required", ())}


def array_of(schema: Mapping[str, Any], named: Mapping[str, Any]) -> list[Any]:
    """Return an array as short as it may be, but not empty."""
    return [value_of(schema.get("items", {}), named)] * max(1, schema.get("minItems", 1))


def number_of(schema: Mapping[str, Any], _: Mapping[str, Any]) -> float:
    """Return a number in the middle of what may be, or the one that is nearest to 0."""
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    most = schema.get("maximum", schema.get("exclusiveMaximum"))
    if least is not None and most is not None:
        middle = (least + most) / 2
        return int(middle) if schema["type"] == "integer" or middle.is_integer() else middle
    return max(0, least + 1) if least is not None else min(0, most - 1) if most is not None else 0


def string_of(schema: Mapping[str, Any], _: Mapping[str, Any]) -> str:
    """Return a text of a length that may be."""
    return TEXT.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]


Values = Callable[[Mapping[str, Any], Mapping[str, Any]], Any]
VALUES: dict[str, Values] = {
    "object": object_of,
    "array": array_of,
    "number": number_of,
    "integer": number_of,
    "string": string_of,
    "boolean": lambda *_: False,
}
