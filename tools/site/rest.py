"""The operations of the REST API, from its OpenAPI description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pizarra.service.commands.table import all_commands
from tools.site.markdown import code, plain, table
from tools.site.server import set_up

Schema = dict[str, Any]
_NO_TYPE = ("null",)
_ROOT = "/api/v1"
_HEAD = f"""# Operations of the REST API

All addresses begin with `{_ROOT}`.

"""


def rest_pages() -> dict[str, str]:
    """A part an operation: its address, arguments and answer."""
    described = description()
    shapes = described["components"]["schemas"]
    sections = [
        _section(method.upper(), path, operation, shapes)
        for path, methods in sorted(described["paths"].items())
        for method, operation in methods.items()
    ]
    return {"rest-operations": _HEAD + "\n".join(sections)}


def description() -> Schema:
    """The document that the server has at ``/api/v1/openapi.json``."""
    set_up()
    from pizarra.server.api.operations import api

    return dict(api.get_openapi_schema())


def _section(method: str, path: str, operation: Schema, shapes: Schema) -> str:
    about = (operation.get("description") or operation.get("summary", "")).partition("\n\n")[0]
    rows = [_row(one["name"], one["schema"], one["in"], one.get("required", False), shapes)
            for one in operation.get("parameters", [])]  # fmt: skip
    rows += [
        _row(name, one, "body", name in needed, shapes)
        for name, one, needed in _body(operation, shapes)
    ]
    parts = [
        f"## `{method} {path.removeprefix(_ROOT)}`\n",
        f"{plain(about)}\n",
        *_command(operation),
        table(("Argument", "In", "Type", "Needed", "Meaning"), rows),
        *(f"{line}\n" for line in _answers(operation)),
    ]
    return "\n".join(part for part in parts if part)


def _command(operation: Schema) -> Iterator[str]:
    """The command that an operation is. The others have long names that ninja makes."""
    name = operation["operationId"].removesuffix("_plan")
    for one in all_commands():
        if one.operation_id == name:
            is_named = f"its `operationId` is `{operation['operationId']}`"
            yield f"The command `pizarra {one.name}`; {is_named}.\n"


def _row(name: str, schema: Schema, place: str, is_needed: bool, shapes: Schema) -> list[str]:
    needed = "yes" if is_needed else ""
    about = plain(schema.get("description", ""))
    return [code(name), place, _type(schema, shapes), needed, about]


def _body(operation: Schema, shapes: Schema) -> Iterator[tuple[str, Schema, list[str]]]:
    """The fields of a JSON body."""
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        if kind != "application/json":
            continue
        shape = _resolve(content.get("schema", {}), shapes)
        for name, field in shape.get("properties", {}).items():
            yield name, field, shape.get("required", [])


def _answers(operation: Schema) -> Iterator[str]:
    for status, answer in operation["responses"].items():
        schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
        name = schema.get("$ref", "").rpartition("/")[2]
        yield f"Answers `{status}`" + (f" with a `{name}`." if name else ".")


def _resolve(schema: Schema, shapes: Schema) -> Schema:
    """The shape behind a reference, or the one of several that is not ``null``."""
    if "$ref" in schema:
        return dict(shapes[schema["$ref"].rpartition("/")[2]])
    for one in schema.get("anyOf", []):
        if one.get("type") not in _NO_TYPE:
            return _resolve(one, shapes)
    return schema


def _type(schema: Schema, shapes: Schema) -> str:
    found = _resolve(schema, shapes)
    if "enum" in found:
        return ", ".join(code(str(one)) for one in found["enum"])
    return plain(str(found.get("type", "any")))
