"""The API's documentation: one plain page out of its OpenAPI description, without any script."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def render_reference(document: dict[str, Any]) -> str:
    """The page of an OpenAPI document, as HTML."""
    from jinja2 import Environment, PackageLoader

    jinja = Environment(
        loader=PackageLoader("tll_index.web.api"), autoescape=True, trim_blocks=True
    )
    schemas = [
        {"name": name, "about": schema.get("description", ""), "fields": list(_fields(schema))}
        for name, schema in document["components"]["schemas"].items()
        if "properties" in schema
    ]
    root = document.get("servers", [{"url": ""}])[0]["url"]
    return jinja.get_template("reference.html").render(
        root=root,
        title=document["info"]["title"],
        version=document["info"]["version"],
        calls=list(_calls(document)),
        schemas=schemas,
    )


def _calls(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            body = call.get("requestBody", {}).get("content", {})
            yield {
                "method": method.upper(),
                "path": path,
                "about": call.get("description", ""),
                "parameters": [
                    {
                        "name": one["name"],
                        "in": one["in"],
                        "type": _type(one["schema"]),
                        "about": one.get("description") or one["schema"].get("description", ""),
                    }
                    for one in call.get("parameters", [])
                ],
                "bodies": [
                    {"media": media, "type": _type(content["schema"])}
                    for media, content in body.items()
                ],
                "responses": [
                    {
                        "status": status,
                        "media": media,
                        "type": _type(content.get("schema", {})),
                    }
                    for status, response in call["responses"].items()
                    for media, content in (response.get("content") or {"": {}}).items()
                ],
            }


def _fields(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, field in schema["properties"].items():
        yield {
            "name": name,
            "type": _type(field),
            "about": field.get("description", ""),
            "required": name in schema.get("required", ()),
        }


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words."""
    if reference := schema.get("$ref"):
        return str(reference.rpartition("/")[2])
    if choices := schema.get("anyOf"):
        return " or ".join(_type(choice) for choice in choices)
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if schema.get("format") == "binary":
        return "a file"
    if "properties" in schema:
        return "fields " + ", ".join(schema["properties"])
    parts = [str(schema.get("type", ""))]
    parts += [f"{bound} {schema[key]:g}" for key, bound in _BOUNDS.items() if key in schema]
    if schema.get("default") is not None:
        parts.append(f"default {schema['default']}")
    return ", ".join(part for part in parts if part)


_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
}
