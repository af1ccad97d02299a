# SPDX-License-Identifier: Apache-2.0
"""Writes pprof files (github.com/google/pprof/proto/profile.proto) in plain Python, apart from what is tested."""
import gzip


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7f:
        out.append(number & 0x7f | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def number(field, value):
    return varint(field << 3) + varint(value) if value else b""


def piece(field, content):
    return varint(field << 3 | 2) + varint(len(content)) + content


class Profile:
    """types: [("cpu", "nanoseconds"), ...]. Stacks are root first.

    A frame is (module, name), or (module, [outer, inlined into it, ...]).
    """

    def __init__(self, types, modules=(), time_ns=0, duration_ns=0):
        self.strings, self.mappings, self.functions, self.locations = [b""], {}, {}, {}
        self.types = [(self.string(kind), self.string(unit)) for kind, unit in types]
        self.samples, self.time_ns, self.duration_ns = [], time_ns, duration_ns
        for module in modules:
            self.mapping(module)

    def string(self, text):
        text = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
        if text not in self.strings:
            self.strings.append(text)
        return self.strings.index(text)

    def mapping(self, module):
        return self.mappings.setdefault(module, len(self.mappings) + 1) if module else 0

    def location(self, frame):
        module, names = frame
        names = (names,) if isinstance(names, (str, bytes)) else tuple(names)
        self.mapping(module)
        for name in names:
            self.functions.setdefault(name, len(self.functions) + 1)
        return self.locations.setdefault((module, names), len(self.locations) + 1)

    def add(self, stack, values, labels=()):
        self.samples.append(([self.location(frame) for frame in reversed(stack)], values, dict(labels)))

    def encode(self):
        out = b"".join(piece(1, number(1, kind) + number(2, unit)) for kind, unit in self.types)
        for locations, values, labels in self.samples:
            body = piece(1, b"".join(map(varint, locations))) + piece(2, b"".join(map(varint, values)))
            for key, value in labels.items():
                body += piece(3, number(1, self.string(key)) + number(2, self.string(value)))
            out += piece(2, body)
        for module, identity in self.mappings.items():
            out += piece(3, number(1, identity) + number(2, identity << 32) + number(3, (identity << 32) + 0x100000) +
                         number(5, self.string(module)) + number(7, 1))
        for (module, names), identity in self.locations.items():
            body = number(1, identity) + number(2, self.mappings.get(module, 0))
            body += number(3, (self.mappings.get(module, 0) << 32) + identity * 16)
            for name in reversed(names):  # innermost first
                body += piece(4, number(1, self.functions[name]) + number(2, 7))
            out += piece(4, body)
        for name, identity in self.functions.items():
            out += piece(5, number(1, identity) + number(2, self.string(name)) + number(3, self.string(name)))
        out += number(9, self.time_ns) + number(10, self.duration_ns)
        return out + b"".join(piece(6, text) for text in self.strings)

    def write(self, path):
        with open(path, "wb") as file:
            file.write(gzip.compress(self.encode(), mtime=0))
