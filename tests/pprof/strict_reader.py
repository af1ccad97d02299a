# SPDX-License-Identifier: Apache-2.0
"""An independent reader of profile.proto that accepts only what the strictest of the known readers accept.

The rules are those that `go tool pprof` (CheckValid), Parca (pkg/normalizer), Pyroscope (pkg/validation) and speedscope
(src/import/pprof.ts) apply, as far as they can be seen in a file. Python's standard library only.
"""
import gzip
import re

PYROSCOPE_BYTES_MAX = 4 << 20
PYROSCOPE_SAMPLES_MAX = 16_000
PYROSCOPE_LABELS_MAX = 100
PYROSCOPE_FRAMES_MAX = 1000
PYROSCOPE_STRING_BYTES_MAX = 65_535

# Field number -> name; a name that ends in * is repeated, one in capitals a message of that kind.
MESSAGES = {
    "PROFILE": {1: "types* VALUE_TYPE", 2: "samples* SAMPLE", 3: "mappings* MAPPING", 4: "locations* LOCATION",
                5: "functions* FUNCTION", 6: "strings* text", 7: "drop_frames", 8: "keep_frames", 9: "time_ns",
                10: "duration_ns", 11: "period_type VALUE_TYPE", 12: "period", 13: "comments*", 14: "default_type",
                15: "doc_url"},
    "VALUE_TYPE": {1: "type", 2: "unit"},
    "SAMPLE": {1: "location_ids*", 2: "values*", 3: "labels* LABEL"},
    "LABEL": {1: "key", 2: "text", 3: "number", 4: "unit"},
    "MAPPING": {1: "id", 2: "start", 3: "limit", 4: "offset", 5: "filename", 6: "build_id", 7: "has_functions",
                8: "has_filenames", 9: "has_line_numbers", 10: "has_inline_frames"},
    "LOCATION": {1: "id", 2: "mapping_id", 3: "address", 4: "lines* LINE", 5: "is_folded"},
    "LINE": {1: "function_id", 2: "line", 3: "column"},
    "FUNCTION": {1: "id", 2: "name", 3: "system_name", 4: "filename", 5: "start_line"},
}


# What profile.proto declares as uint64 is read so; all other numbers are int64.
UNSIGNED = {"MAPPING": {"id", "start", "limit", "offset"}, "LOCATION": {"id", "mapping_id", "address"},
            "FUNCTION": {"id"}, "LINE": {"function_id"}, "SAMPLE": {"location_ids"}}


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at += 1
        shift += 7
        if byte < 128:
            if value >= 1 << 64:
                raise ValueError(f"a number over 64 bits at {at}")
            return value, at


def number_of(value, kind, name):
    """What the 64 bits of a field mean."""
    if value >> 63 and name not in UNSIGNED.get(kind, ()):
        return value - (1 << 64)
    return value


def parse(data, kind):
    """A dict with every field of the message: 0, {}, or a list when it is not there."""
    names = MESSAGES[kind]
    message = {}
    for description in names.values():
        name, _, inner = description.partition(" ")
        message[name.rstrip("*")] = [] if name.endswith("*") else {"type": 0, "unit": 0} if inner else 0
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key >> 3 not in names:
            raise ValueError(f"{kind} has no field {key >> 3}")
        name, _, inner = names[key >> 3].partition(" ")
        if key & 7 == 0 and not inner:
            number, at = varint(data, at)
            found = [number_of(number, kind, name)]
        elif key & 7 == 2:
            length, at = varint(data, at)
            if at + length > len(data):
                raise ValueError(f"{kind}.{name} is longer than its message")
            part, at = data[at:at + length], at + length
            if inner == "text":
                found = [part.decode("utf-8", "strict")]
            elif inner:
                found = [parse(part, inner)]
            elif name.endswith("*"):
                found, inside = [], 0
                while inside < len(part):
                    number, inside = varint(part, inside)
                    found.append(number_of(number, kind, name.rstrip("*")))
            else:
                raise ValueError(f"{kind}.{name} is no number")
        else:
            raise ValueError(f"{kind}.{name} has wire type {key & 7}")
        if name.endswith("*"):
            message[name[:-1]] += found
        elif message[name] not in (0, {"type": 0, "unit": 0}):
            raise ValueError(f"{kind}.{name} is there twice")
        else:
            message[name] = found[0]
    return message


def read(path):
    """The message and the number of its inflated bytes."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:3] != b"\x1f\x8b\x08":
        raise ValueError("no gzip")
    message = gzip.decompress(data)
    return parse(message, "PROFILE"), len(message)


# A rule yields what is wrong.

def strings_start_empty(p, _):
    if not p["strings"] or p["strings"][0] != "":
        yield "string 0 is not empty"


def strings_are_in_range(p, _):
    used = [p["default_type"], p["drop_frames"], p["keep_frames"], p["doc_url"], *p["comments"]]
    for value_type in (*p["types"], p["period_type"]):
        used += value_type.values()
    for mapping in p["mappings"]:
        used += [mapping["filename"], mapping["build_id"]]
    for function in p["functions"]:
        used += [function["name"], function["system_name"], function["filename"]]
    for sample in p["samples"]:
        for label in sample["labels"]:
            used += [label["key"], label["text"], label["unit"]]
    for index in used:
        if not 0 <= index < len(p["strings"]):
            yield f"string {index} of {len(p['strings'])}"


def ids_count_from_one(p, _):
    for kind in ("mappings", "locations", "functions"):
        ids = [element["id"] for element in p[kind]]
        if ids != list(range(1, len(ids) + 1)):
            yield f"ids of {kind} are {ids[:20]}"


def references_exist(p, _):
    for location in p["locations"]:
        if not 0 <= location["mapping_id"] <= len(p["mappings"]):
            yield f"location {location['id']} is in mapping {location['mapping_id']}"
    for sample in p["samples"]:
        for location_id in sample["location_ids"]:
            if not 1 <= location_id <= len(p["locations"]):
                yield f"a sample is at location {location_id}"


def locations_have_functions(p, _):
    for location in p["locations"]:
        if not location["lines"]:
            yield f"location {location['id']} has no line"
        for line in location["lines"]:
            if not 1 <= line["function_id"] <= len(p["functions"]):
                yield f"location {location['id']} is in function {line['function_id']}"


def functions_have_names(p, _):
    for function in p["functions"]:
        if function["name"] == 0:
            yield f"function {function['id']} has no name"


def build_ids_are_hex(p, _):
    for mapping in p["mappings"]:
        if not re.fullmatch("([0-9a-f]{2})*", p["strings"][mapping["build_id"]]):
            yield f"build id {p['strings'][mapping['build_id']]!r}"


def samples_fit_the_types(p, _):
    for sample in p["samples"]:
        if not p["types"] or len(sample["values"]) != len(p["types"]):
            yield f"{len(sample['values'])} values for {len(p['types'])} sample types"


def types_are_acceptable(p, _):
    for value_type in p["types"]:
        if "-" in p["strings"][value_type["type"]] or value_type["type"] == 0:
            yield f"sample type {p['strings'][value_type['type']]!r}"


def default_type_is_no_index(p, _):
    if 0 < p["default_type"] < len(p["types"]):
        yield f"the string of default_sample_type is {p['default_type']}, an index into the sample types"


def wanted_type_is_last(p, _):
    if p["default_type"] and p["strings"][p["default_type"]] != p["strings"][p["types"][-1]["type"]]:
        yield "default_sample_type does not name the last sample type"


def labels_say_one_thing(p, _):
    for sample in p["samples"]:
        keys = [label["key"] for label in sample["labels"]]
        if len(set(keys)) != len(keys):
            yield "a sample has a label twice"
        for label in sample["labels"]:
            key = p["strings"][label["key"]]
            if not re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", key):
                yield f"label {key!r} is no Prometheus name"
            if bool(label["text"]) == bool(label["number"] or label["unit"]):
                yield f"label {key!r} has neither text nor number, or both"


def samples_are_merged(p, _):
    seen = set()
    for sample in p["samples"]:
        key = (tuple(sample["location_ids"]), tuple(tuple(label.items()) for label in sample["labels"]))
        if key in seen:
            yield f"two samples at {key}"
        seen.add(key)


def sizes_are_acceptable(p, message_bytes):
    if message_bytes > PYROSCOPE_BYTES_MAX:
        yield f"{message_bytes} bytes"
    if len(p["samples"]) > PYROSCOPE_SAMPLES_MAX:
        yield f"{len(p['samples'])} samples"
    for sample in p["samples"]:
        if len(sample["labels"]) > PYROSCOPE_LABELS_MAX or len(sample["location_ids"]) > PYROSCOPE_FRAMES_MAX:
            yield f"{len(sample['labels'])} labels, {len(sample['location_ids'])} frames"
    for text in p["strings"]:
        if len(text.encode()) > PYROSCOPE_STRING_BYTES_MAX:
            yield f"a string of {len(text)} characters"


RULES = (strings_start_empty, strings_are_in_range, ids_count_from_one, references_exist, locations_have_functions,
         functions_have_names, build_ids_are_hex, samples_fit_the_types, types_are_acceptable,
         default_type_is_no_index, wanted_type_is_last, labels_say_one_thing, samples_are_merged, sizes_are_acceptable)


def complaints(profile, message_bytes):
    return [f"{rule.__name__}: {wrong}" for rule in RULES for wrong in rule(profile, message_bytes)]
