#!/usr/bin/env python3
"""Makes tests/judges/fuzz/endpoints.json, the table of endpoints that the fuzz test reads.

    git clone https://github.com/matrix-org/matrix-spec
    tests/judges/fuzz/endpoints.py matrix-spec/data > tests/judges/fuzz/endpoints.json

Needs pyyaml. The data are facts of the Matrix specification's OpenAPI files (Apache-2.0): methods, paths, and the names and
types of parameters; no prose is taken over. A schema is reduced to what a generator needs: a name of a type
("string", "string:mx-user-id" with a format, "integer", "number", "boolean", "any"), "=a|b" for one of these words, a list with the
schema of its items, or an object with the schema of each key and, under "*", of all others.
"""

import json
import pathlib
import sys

import yaml

METHODS = ("get", "put", "post", "delete")
# How deep a schema is followed; some contain themselves.
DEPTH = 7

documents = {}


def load(path):
    path = path.resolve()
    if path not in documents:
        documents[path] = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    return documents[path]


def follow(node, base):
    """What a chain of references leads to, and the file in which that stands."""
    while isinstance(node, dict) and isinstance(node.get("$ref"), str):
        file, _, fragment = node["$ref"].strip().partition("#")
        base = (base.parent / file).resolve() if file else base
        node = load(base)
        for part in filter(None, fragment.split("/")):
            node = node[part.replace("~1", "/").replace("~0", "~")]
    return node, base


def reduced(schema, base, depth=0):
    schema, base = follow(schema, base)
    if not isinstance(schema, dict) or depth > DEPTH:
        return "any"
    merged = {}
    for part in schema.get("allOf", []):
        inner = reduced(part, base, depth + 1)
        if isinstance(inner, dict):
            merged.update(inner)
    for choices in ("oneOf", "anyOf"):
        if schema.get(choices):
            return reduced(schema[choices][0], base, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "any")
    if kind == "array":
        return [reduced(schema.get("items", {}), base, depth + 1)]
    if merged or kind == "object" or "properties" in schema:
        for name, inner in (schema.get("properties") or {}).items():
            merged[name] = reduced(inner, base, depth + 1)
        others = schema.get("additionalProperties")
        patterns = list((schema.get("patternProperties") or {}).values())
        if isinstance(others, dict):
            merged["*"] = reduced(others, base, depth + 1)
        elif patterns:
            merged["*"] = reduced(patterns[0], base, depth + 1)
        return merged
    if schema.get("enum"):
        return "=" + "|".join(str(word) for word in schema["enum"])
    form = schema.get("format") or ""
    if kind == "string" and (form.startswith("mx-") or form == "uri"):
        return f"string:{form}"
    return kind or "any"


def parameters(item, operation, file, place):
    found = {}
    for parameter in (item.get("parameters") or []) + (operation.get("parameters") or []):
        parameter, base = follow(parameter, file)
        if parameter["in"] == place:
            found[parameter["name"]] = reduced(parameter.get("schema", {}), base)
    return found


def body(operation, file):
    request, base = follow(operation.get("requestBody"), file)
    content = (request or {}).get("content") or {}
    if "application/json" in content:
        return reduced(content["application/json"].get("schema", {}), base)
    return "file" if content else None


def endpoints(data):
    for file in sorted((data / "api" / "client-server").glob("*.yaml")):
        document = load(file)
        if not isinstance(document, dict) or "paths" not in document:
            continue
        prefix = document["servers"][0].get("variables", {}).get("basePath", {}).get("default", "").rstrip("/")
        for path, item in document["paths"].items():
            item, _ = follow(item, file)
            for method in METHODS:
                if method in item:
                    operation = item[method]
                    security = operation.get("security", document.get("security")) or []
                    yield {
                        "method": method.upper(),
                        "path": prefix + path.strip(),
                        "auth": any(security),
                        "parameters": parameters(item, operation, file, "path"),
                        "query": parameters(item, operation, file, "query"),
                        "body": body(operation, file),
                    }


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rows = sorted(endpoints(pathlib.Path(sys.argv[1])), key=lambda row: (row["path"], row["method"]))
    print("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]")


main()
