# SPDX-License-Identifier: Apache-2.0
"""Profiles as the profiler's tests ask about them: stacks of names, values by type, labels by key.

Files are read by tests/pprof/strict_reader.py, which shares no code with the product, and refused when one of the rules
of the known readers is broken.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "pprof"))
import strict_reader  # noqa: E402 (found by the line above)


class Bad(Exception):
    pass


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
        self.path = path
        try:
            root, message_bytes = strict_reader.read(path)
        except (ValueError, IndexError, OSError) as error:
            raise Bad(f"{path}: {error}") from error
        wrong = strict_reader.complaints(root, message_bytes)
        if wrong:
            raise Bad(f"{path}: {'; '.join(wrong)}")
        text = root["strings"]
        self.strings = text
        self.types = [(text[kind["type"]], text[kind["unit"]]) for kind in root["types"]]
        self.type_names = [name for name, _ in self.types]
        self.time_ns, self.duration_ns, self.period = root["time_ns"], root["duration_ns"], root["period"]
        self.period_type = text[root["period_type"]["type"]], text[root["period_type"]["unit"]]
        self.comments = [text[index] for index in root["comments"]]
        self.default_type = text[root["default_type"]]
        self.mappings = [{**mapping, "file": text[mapping["filename"]], "build_id": text[mapping["build_id"]],
                          "has_functions": bool(mapping["has_functions"])} for mapping in root["mappings"]]
        self.functions = root["functions"]
        self.locations = [self._location(location) for location in root["locations"]]
        self.samples = [self._sample(sample) for sample in root["samples"]]

    def _location(self, location):
        mapping = self.mappings[location["mapping_id"] - 1] if location["mapping_id"] else None
        frames = []
        for index, line in enumerate(location["lines"]):
            function = self.functions[line["function_id"] - 1]
            frames.append(Frame(self.strings[function["name"]], self.strings[function["system_name"]],
                                self.strings[function["filename"]], line["line"], mapping, location["address"],
                                index < len(location["lines"]) - 1))
        return frames

    def _sample(self, sample):
        labels = {self.strings[label["key"]]: self.strings[label["text"]] if label["text"] else label["number"]
                  for label in sample["labels"]}
        frames = [frame for number in sample["location_ids"] for frame in self.locations[number - 1]]
        return Sample(frames, dict(zip(self.type_names, sample["values"])), labels)

    def total(self, kind, wanted=lambda sample: True):
        return sum(sample.values[kind] for sample in self.samples if wanted(sample))

    def by_function(self, kind, names):
        """Sum by the innermost frame that is one of `names`."""
        sums = {}
        for sample in self.samples:
            name = next((frame.name for frame in sample.frames if frame.name in names), None)
            sums[name] = sums.get(name, 0) + sample.values[kind]
        return sums
