# SPDX-License-Identifier: Apache-2.0
"""What one writes in Python today to read a SIEM feed: http.client, gzip or zlib, json. For the peers' bench; it is no
part of the product.

usage: client.py URL CA_FILE EDGERC CONFIG_ID LIMIT PAGES FROM LEVEL [--print]

Three levels of parsing: "lines" counts line ends in large blocks; "last" goes over every line and parses the page's
last one; "full" decodes every event.
"""
import gzip
import http.client
import json
import os
import ssl
import sys
import urllib.parse
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "flow"))
from flow import authorization, read_edgerc  # noqa: E402 (found by the line above)

BLOCK_BYTES = 256 << 10
TAIL_BYTES = 4096  # a page's last line is far shorter


def count_lines(answer, _):
    decoder = zlib.decompressobj(31)
    lines, tail = 0, b""
    while block := answer.read(BLOCK_BYTES):
        plain = decoder.decompress(block)
        lines += plain.count(b"\n")
        tail = (tail + plain[-TAIL_BYTES:])[-TAIL_BYTES:]
    return lines - 1, json.loads(tail.rstrip(b"\n").rsplit(b"\n", 1)[-1])


def keep_lines(answer, write):
    events, last = 0, None
    for line in gzip.GzipFile(fileobj=answer):
        if last is not None:
            write(last)
            events += 1
        last = line
    return events, json.loads(last)


def parse_lines(answer, write):
    events, context = 0, None
    for line in gzip.GzipFile(fileobj=answer):
        event = json.loads(line)
        if "attackData" not in event and "offset" in event:
            context = event
            continue
        write(line)
        events += 1
    return events, context


LEVELS = {"lines": count_lines, "last": keep_lines, "full": parse_lines}


def main():
    url, ca_file, edgerc, config_id, limit, pages, start, level = sys.argv[1:9]
    printing = sys.argv[9:] == ["--print"]
    write = sys.stdout.buffer.write if printing else lambda line: None
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPSConnection(parts.netloc, context=ssl.create_default_context(cafile=ca_file))
    credentials = read_edgerc(edgerc)
    query, events = f"from={start}", 0
    for _ in range(int(pages)):
        target = f"{parts.path}/configs/{config_id}?{query}&limit={limit}"
        connection.request("GET", target, headers={
            "Accept-Encoding": "gzip", "Authorization": authorization(credentials, parts.netloc, target)})
        answer = connection.getresponse()
        if answer.status != 200:
            sys.exit(f"client.py: configId {config_id}: {answer.status}: {answer.read()[:200]}")
        count, context = LEVELS[level](answer, write)
        answer.read()  # the end of the body, so that the connection can be used again
        if context["total"] != count:
            sys.exit(f"client.py: configId {config_id}: {count} events, the page says {context['total']}")
        events += count
        query = "offset=" + urllib.parse.quote(context["offset"], safe="")
    print(json.dumps({"events": events}), file=sys.stderr if printing else sys.stdout)


if __name__ == "__main__":
    main()
