"""Prints the names of the JSON files in a folder that a JSON Schema rejects, one a line.

    validate_by_schema.py SCHEMA.json FOLDER        exit code 77: no validator is installed
"""
import json
import pathlib
import sys

try:
    import jsonschema
except ImportError:
    sys.exit(77)

with open(sys.argv[1]) as file:
    schema = json.load(file)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for path in sorted(pathlib.Path(sys.argv[2]).glob("*.json")):
    if not validator.is_valid(json.loads(path.read_text())):
        print(path.name)
