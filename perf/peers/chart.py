# SPDX-License-Identifier: Apache-2.0
"""The peers' chart: how many events a second of CPU time reads, a bar for each client, a panel for each size of events.
One SVG without anything from outside, readable on light and on dark ground."""
import html

import table

WIDTH, LABEL_WIDTH, BAR_WIDTH = 916, 248, 430
ROW, BAR, HEAD, GAP, MARGIN = 22, 14, 46, 26, 20
FAMILIES = {"akamai-prof": "ours", "Go": "go", "Go, interpreted by Yaegi": "yaegi", "Python": "python",
            "shell": "shell"}
STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f; }
.value { paint-order: stroke; stroke: #ffffff; stroke-width: 5px; stroke-linejoin: round; }
.title { font-size: 15px; font-weight: 600; } .head { font-weight: 600; } .quiet { fill: #57606a; }
.strong { font-weight: 600; }
.ground { fill: #ffffff; } .axis { stroke: #d0d7de; } .limit { stroke: #57606a; stroke-dasharray: 4 3; }
.ours { fill: #0a7d4f; } .go { fill: #4a7fb5; } .yaegi { fill: #8a63b8; } .python { fill: #b98a1d; }
.shell { fill: #8b8f94; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; } .value { stroke: #0d1117; } .quiet { fill: #9da7b1; }
.ground { fill: #0d1117; } .axis { stroke: #30363d; }
.limit { stroke: #9da7b1; }
.ours { fill: #3fb984; } .go { fill: #6ea4dc; } .yaegi { fill: #b08be0; } .python { fill: #d9ab45; }
.shell { fill: #7d858e; }
}
"""


def panels_of(results):
    """Of each size the group with the fewest streams."""
    found = {}
    for group in results["groups"]:
        kept = found.get(group["event_size"])
        if kept is None or group["streams"] < kept["streams"]:
            found[group["event_size"]] = group
    return list(found.values())


def shown(results, group):
    """[(label, row)]: the ways of TLS stand in the table; here one bar for each program and level of parsing, and for
    the collector with more streams."""
    found = [(row["client"], row) for row in group["rows"] if row["decodes"] and " -tls " not in row["client"]]
    for other in results["groups"]:
        row = table.row_of(other, table.OURS)
        if row and other["event_size"] == group["event_size"] and other["streams"] > group["streams"]:
            found.append((f"{table.OURS}, {table.counted(other['streams'])}", row))
    return sorted(found, key=lambda entry: entry[1]["cpu_seconds_per_million"])


def rate_of(cpu_seconds_per_million):
    return 1e6 / cpu_seconds_per_million


def write(x, y, content, style="", anchor="start"):
    style = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{html.escape(content)}</text>'


def bar(label, row, y, scale):
    style = FAMILIES.get(row["family"], "shell")
    rate = rate_of(row["cpu_seconds_per_million"])
    width = max(1.0, rate * scale)
    ours = style == "ours"
    text = f'{rate:,.0f} ({row["cpu_seconds_per_million"]:.2f} CPU-s per million)'
    return [write(LABEL_WIDTH - 8, y + 11, label, "strong" if ours else "", "end"),
            f'<rect class="{style}" x="{LABEL_WIDTH}" y="{y:.1f}" width="{width:.1f}" height="{BAR}" rx="2">'
            f'<title>{html.escape(label)}: {rate:,.0f} events per CPU-second</title></rect>',
            write(LABEL_WIDTH + width + 6, y + 11, text, "value" if ours else "value quiet")]


def panel(results, group, top, scale):
    rows = shown(results, group)
    limit_x = LABEL_WIDTH + rate_of(group["in_memory_cpu_seconds_per_million"]) * scale
    bottom = top + HEAD + ROW * len(rows)
    more = any(label != row["client"] for label, row in rows)
    head = (f'{table.SIZES[group["event_size"]]} events, {table.counted(group["streams"])}'
            + (" where nothing else is said" if more else ""))
    parts = [write(MARGIN, top + 16, head, "head"),
             write(limit_x, top + 34, "decoding alone, in memory", "quiet", "middle"),
             f'<line class="limit" x1="{limit_x:.1f}" y1="{top + 38}" x2="{limit_x:.1f}" y2="{bottom}"/>',
             f'<line class="axis" x1="{LABEL_WIDTH}" y1="{top + 38}" x2="{LABEL_WIDTH}" y2="{bottom}"/>']
    for number, (label, row) in enumerate(rows):
        parts += bar(label, row, top + HEAD + ROW * number, scale)
    return parts, bottom


def draw(results):
    groups = panels_of(results)
    largest = max([rate_of(row["cpu_seconds_per_million"]) for group in groups for _, row in shown(results, group)]
                  + [rate_of(group["in_memory_cpu_seconds_per_million"]) for group in groups])
    scale = BAR_WIDTH / largest
    parts = [write(MARGIN, 28, "Events read per second of CPU time, over TLS, on one core", "title")]
    top = 40
    for group in groups:
        drawn, bottom = panel(results, group, top, scale)
        parts += drawn
        top = bottom + GAP
    for line in [table.machine_line(results).split(". ")[0] + "."] + (
            ["Taken on a busy machine."] if results["machine"]["busy_before"] > table.QUIET_SHARE else []):
        parts.append(write(MARGIN, top, line, "quiet"))
        top += 18
    height = top + 4
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'role="img" aria-label="Events read per second of CPU time"><style>{STYLE}</style>'
            f'<rect class="ground" width="{WIDTH}" height="{height}" rx="6"/>\n' + "\n".join(parts) + "\n</svg>\n")
