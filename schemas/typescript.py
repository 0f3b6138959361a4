"""JSON Schema -> the declarations of clients/memoria.d.ts."""

import json
from collections.abc import Iterator

from schemas.documents import ARGUMENTS, FOLDER, Schema, calls, documents, functions

# what is declared beside the calls: what search answers, what callbacks and Realtime tell
ROOTS = (
    ("http", "search"),
    ("http", "search_again"),
    ("http", "removal"),
    ("callbacks", "callback"),
    ("realtime", "message"),
)
BY_HAND = FOLDER / "client.d.ts"
PLACE = "  // every call stands here\n"
_SCALARS = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}


def declarations() -> str:
    """The whole text of clients/memoria.d.ts."""
    named = dict(_reached([*_call_roots(), *ROOTS]))
    types = [_declaration(subject, name) for subject, name in named.values()]
    before, after = BY_HAND.read_text().split(PLACE)
    head = "// Made from schemas/ by `make schemas`: do not edit.\n\n"
    methods = "".join(map(_method, calls()))
    return head + before + methods + after + "\n" + "\n".join(types)


def method_name(function: str) -> str:
    """``memoria_person_photos`` -> ``personPhotos``."""
    first, *rest = function.removeprefix("memoria_").split("_")
    return first + "".join(map(str.capitalize, rest))


def _method(function: str) -> str:
    name = type_name(function)
    said = _comment(documents()[functions()[function]]["$defs"][function], "  ")
    arguments = type_name(function + ARGUMENTS)
    return f"{said}  {method_name(function)}(args: {arguments}): Promise<{name}>;\n"


def type_name(definition: str) -> str:
    """``memoria_people`` -> PeopleAnswer, ``person_fields`` -> Person, ``box`` -> Box."""
    if definition in functions():
        definition += "_answer"
    words = definition.removeprefix("memoria_").removesuffix("_fields").split("_")
    return "".join(map(str.capitalize, words))


def _call_roots() -> Iterator[tuple[str, str]]:
    for function in calls():
        yield functions()[function], function + ARGUMENTS
        yield functions()[function], function


def _reached(roots: list[tuple[str, str]]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Every definition that a root leads to, by the name of its type."""
    seen: dict[str, tuple[str, str]] = {}
    waiting = list(roots)
    while waiting:
        subject, name = waiting.pop(0)
        schema = documents()[subject]["$defs"][name]
        if f"{name}_fields" in documents()[subject]["$defs"]:
            waiting.insert(0, (subject, f"{name}_fields"))
            continue
        known = seen.setdefault(type_name(name), (subject, name))
        if known != (subject, name):
            raise ValueError(f"two types are called {type_name(name)}")
        waiting += [place for place in _references(schema, subject) if place not in seen.values()]
    yield from seen.items()


def _references(schema: object, subject: str) -> Iterator[tuple[str, str]]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield _place(schema["$ref"], subject)
        for value in schema.values():
            yield from _references(value, subject)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value, subject)


def _place(reference: str, subject: str) -> tuple[str, str]:
    file, _, name = reference.partition("#/$defs/")
    return file.removesuffix(".json") or subject, name


def _declaration(subject: str, name: str) -> str:
    schema = documents()[subject]["$defs"][name]
    said, called = _comment(schema, ""), type_name(name)
    if schema.get("type") == "object" and "$ref" not in schema and "properties" in schema:
        return f"{said}export interface {called} {_object(schema, name.endswith(ARGUMENTS))}\n"
    return f"{said}export type {called} = {_type(schema)};\n"


def _comment(schema: Schema, indent: str) -> str:
    return f"{indent}/** {schema['description']} */\n" if "description" in schema else ""


def _object(schema: Schema, arguments: bool = False, indent: str = "") -> str:
    lines = []
    for name, value in schema["properties"].items():
        optional = "" if name in schema.get("required", ()) else "?"
        called = name.removeprefix("p_") if arguments else name
        said = _comment(value, indent + "  ")
        lines.append(f"{said}{indent}  {called}{optional}: {_type(value, indent + '  ')};\n")
    return "{\n" + "".join(lines) + indent + "}"


def _type(schema: Schema, indent: str = "") -> str:
    if "$ref" in schema:
        base = type_name(_place(schema["$ref"], "")[1])
        return f"{base} & {_object(schema, indent=indent)}" if "properties" in schema else base
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if several := schema.get("oneOf") or schema.get("anyOf"):
        return " | ".join(dict.fromkeys(_type(one, indent) for one in several))
    kinds = schema.get("type", [])
    if isinstance(kinds, list):
        return " | ".join(_of_kind(schema, kind, indent) for kind in kinds) or "unknown"
    return _of_kind(schema, kinds, indent)


def _of_kind(schema: Schema, kind: str, indent: str) -> str:
    if kind == "array":
        if "prefixItems" in schema:
            return "[" + ", ".join(_type(one) for one in schema["prefixItems"]) + "]"
        inner = _type(schema.get("items", {}), indent)
        return f"({inner})[]" if " " in inner and not inner.startswith("{") else f"{inner}[]"
    if kind == "object":
        if "properties" in schema:
            return _object(schema, indent=indent)
        values = schema.get("additionalProperties", {})
        return f"Record<string, {_type(values) if isinstance(values, dict) else 'unknown'}>"
    return _SCALARS.get(kind, kind)
