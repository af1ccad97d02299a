# SPDX-License-Identifier: Apache-2.0
"""A decoder of pprof files that shares no code with the product: profile.proto by hand, and strict.

It refuses what any known reader refuses: ids that are not 1..N in order, locations without a line or without a
function, samples with the wrong number of values, indices out of range, a file that is not gzip.
"""
import gzip
import re


class Bad(Exception):
    pass


def fields(data):
    """(field number, int or bytes) of each field of a message."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            if at >= len(data) or shift > 63:
                raise Bad("a number is cut off or too long")
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        elif key & 7 == 2:
            length = varint()
            if at + length > len(data):
                raise Bad("a field is longer than the file")
            yield key >> 3, data[at:at + length]
            at += length
        else:
            raise Bad(f"wire type {key & 7}")


def signed(value):
    return value - (1 << 64) if value >> 63 else value


def numbers(value):
    """One element, or a packed list of them."""
    if isinstance(value, int):
        return [value]
    result, number, shift = [], 0, 0
    for byte in value:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            result.append(number)
            number = shift = 0
    if shift:
        raise Bad("a packed list is cut off")
    return result


def message(data, lists=()):
    """field number -> last value, or list of values for those named."""
    result = {field: [] for field in lists}
    for field, value in fields(data):
        if field in result and field in lists:
            result[field].append(value)
        else:
            result[field] = value
    return result


class Frame:
    """One function at one place of a stack. Inlined functions are frames of their own."""

    def __init__(self, name, system_name, file, line, mapping, address, inlined):
        self.name, self.system_name, self.file, self.line = name, system_name, file, line
        self.mapping, self.address, self.inlined = mapping, address, inlined

    @property
    def object(self):
        """The last part of the path of the mapping."""
        return self.mapping["file"].rsplit("/", 1)[-1] if self.mapping else ""

    def __repr__(self):
        return self.name


class Sample:
    def __init__(self, frames, values, labels):
        self.frames = frames  # leaf first
        self.values = values  # by type
        self.labels = labels

    @property
    def names(self):
        return [frame.name for frame in self.frames]

    def has(self, name):
        return any(frame.name == name for frame in self.frames)

    def __repr__(self):
        return f"{self.values} {self.labels} {' < '.join(self.names)}"


class Profile:
    def __init__(self, path):
        with open(path, "rb") as file:
            packed = file.read()
        if packed[:2] != b"\x1f\x8b":
            raise Bad(f"{path} is not gzip")
        self.path = path
        try:
            self._decode(message(gzip.decompress(packed), (1, 2, 3, 4, 5, 6, 13)))
        except Bad as error:
            raise Bad(f"{path}: {error}") from error

    def _text(self, index):
        if index >= len(self.strings):
            raise Bad(f"string {index} of {len(self.strings)}")
        return self.strings[index]

    def _ids(self, elements, what):
        for index, element in enumerate(elements):
            if element.get(1, 0) != index + 1:
                raise Bad(f"{what} {index} has the id {element.get(1, 0)}")
        return elements

    def _value_type(self, data):
        part = message(data)
        return self._text(part.get(1, 0)), self._text(part.get(2, 0))

    def _decode(self, root):
        self.strings = [text.decode() for text in root[6]]
        if not self.strings or self.strings[0] != "":
            raise Bad('string 0 is not ""')
        self.types = [self._value_type(data) for data in root[1]]
        self.type_names = [name for name, _ in self.types]
        if any("-" in name for name in self.type_names):
            raise Bad("a '-' in a sample type")
        self.time_ns, self.duration_ns = signed(root.get(9, 0)), signed(root.get(10, 0))
        self.period_type = self._value_type(root[11]) if 11 in root else None
        self.period = signed(root.get(12, 0))
        self.comments = [self._text(index) for value in root[13] for index in numbers(value)]
        self.default_type = self._text(root.get(14, 0))
        self.mappings = [{"start": part.get(2, 0), "limit": part.get(3, 0), "offset": part.get(4, 0),
                          "file": self._text(part.get(5, 0)), "build_id": self._text(part.get(6, 0)),
                          "has_functions": bool(part.get(7, 0))}
                         for part in self._ids([message(data) for data in root[3]], "mapping")]
        for mapping in self.mappings:
            if not re.fullmatch(r"([0-9a-f]{2})*", mapping["build_id"]):
                raise Bad(f"build id {mapping['build_id']!r}")
        self.functions = self._ids([message(data) for data in root[5]], "function")
        self.locations = [self._location(part) for part in
                          self._ids([message(data, (4,)) for data in root[4]], "location")]
        self.samples = [self._sample(message(data, (1, 2, 3))) for data in root[2]]

    def _location(self, part):
        if part.get(2, 0) > len(self.mappings):
            raise Bad(f"mapping {part[2]} of {len(self.mappings)}")
        mapping = self.mappings[part[2] - 1] if part.get(2, 0) else None
        frames = []
        for index, data in enumerate(part[4]):
            line = message(data)
            if not 1 <= line.get(1, 0) <= len(self.functions):
                raise Bad(f"function {line.get(1, 0)} of {len(self.functions)}")
            function = self.functions[line[1] - 1]
            name = self._text(function.get(2, 0))
            if not name:
                raise Bad("a function without a name")
            frames.append(Frame(name, self._text(function.get(3, 0)), self._text(function.get(4, 0)), line.get(2, 0),
                                mapping, part.get(3, 0), index < len(part[4]) - 1))
        if not frames:
            raise Bad("a location without a function")
        return frames

    def _label(self, data):
        part = message(data)
        key = self._text(part.get(1, 0))
        if not key or (2 in part and 3 in part):
            raise Bad("a label without a key, or with two values")
        return key, self._text(part[2]) if 2 in part else signed(part.get(3, 0))

    def _sample(self, part):
        values = [signed(number) for value in part[2] for number in numbers(value)]
        if len(values) != len(self.types):
            raise Bad(f"{len(values)} values for {len(self.types)} types")
        labels = [self._label(data) for data in part[3]]
        if len(dict(labels)) != len(labels):
            raise Bad(f"a label twice: {labels}")
        frames = []
        for number in (number for value in part[1] for number in numbers(value)):
            if not 1 <= number <= len(self.locations):
                raise Bad(f"location {number} of {len(self.locations)}")
            frames += self.locations[number - 1]
        return Sample(frames, dict(zip(self.type_names, values)), dict(labels))

    def total(self, kind, wanted=lambda sample: True):
        return sum(sample.values[kind] for sample in self.samples if wanted(sample))

    def by_function(self, kind, names):
        """Sum by the innermost frame that is one of `names`."""
        sums = {}
        for sample in self.samples:
            name = next((frame.name for frame in sample.frames if frame.name in names), None)
            sums[name] = sums.get(name, 0) + sample.values[kind]
        return sums
