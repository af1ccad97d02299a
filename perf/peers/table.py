# SPDX-License-Identifier: Apache-2.0
"""The peers' results as text and as Markdown. Which row is which is said by clients.py; numbers come from peers.py."""

SIZES = {"full": "1.9 KB", "lean": "0.95 KB"}
QUIET_SHARE = 0.1  # of all cores
HEADS = ["client", "events/s", "CPU-s/M", "x", "of limit", "RSS MB", "heap B/event", "client core", "server"]
OURS = "akamai-direct-prof"


def counted(streams):
    return "one stream" if streams == 1 else f"{streams} streams"


def heap_text(row):
    """Ours is the difference of two runs, whose run.json may differ by some digits."""
    value = row["allocated_bytes_per_event"]
    return "-" if value is None else f"{value:,.{1 if value < 10 else 0}f}"


def cells_of(row, ours):
    decoded = row["decodes"]
    times = row["cpu_seconds_per_million"] / ours["cpu_seconds_per_million"] if ours and decoded else None
    return [row["client"], f"{row['events_per_second']:,.0f}", f"{row['cpu_seconds_per_million']:.2f}",
            f"{times:.1f}" if times else "-", f"{row['share_of_in_memory_limit']:.3f}" if decoded else "-",
            f"{row['rss_bytes'] / 1e6:.1f}", heap_text(row), f"{row['client_busy']:.0%}",
            f"{row['server_busy']:.0%}" + ("*" if row["server_is_limit"] else "")]


def cells(group):
    ours = row_of(group, OURS)
    return [cells_of(row, ours) for row in group["rows"]]


def aligned(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  " + "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                             for column, (cell, width) in enumerate(zip(row, widths))) for row in rows]


def row_of(group, client):
    return next((row for row in group["rows"] if row["client"] == client), None)


def overview(results):
    """One table of everything, its head first: the first group in full, of the others what a million events cost, and
    what the most streams have resident."""
    first, others = results["groups"][0], results["groups"][1:]
    most = max(results["groups"], key=lambda group: (group["streams"], group is first))
    heads = ["client", f"CPU-s/M, {SIZES[first['event_size']]}", "x", "of limit", "events/s", "RSS MB", "heap B/event"]
    for group in others:
        same = group["event_size"] == first["event_size"]
        heads.append(counted(group["streams"]) if same else
                     SIZES[group["event_size"]] + ("" if group["streams"] == first["streams"] else
                                                   f", {counted(group['streams'])}"))
    if most is not first:
        heads.append(f"RSS MB, {most['streams']}")
    rows = [heads]
    for cells_first, row in zip(cells(first), first["rows"]):
        line = [cells_first[index] for index in (0, 2, 3, 4, 1, 5, 6)]
        for group in others:
            found = row_of(group, row["client"])
            line.append(f"{found['cpu_seconds_per_million']:.2f}" if found else "-")
        if most is not first:
            found = row_of(most, row["client"])
            line.append(f"{found['rss_bytes'] / 1e6:.1f}" if found else "-")
        rows.append(line)
    return rows


def overview_text(results):
    return "\n".join(["All of it (CPU-seconds for a million events where nothing else is said):"] +
                     aligned(overview(results))) + "\n"


def marked(rows):
    parts = ["| " + " | ".join(rows[0]) + " |\n|---" + "|---:" * (len(rows[0]) - 1) + "|\n"]
    for row in rows[1:]:
        parts.append("| " + " | ".join([f"`{row[0]}`".replace("|", "\\|")] + row[1:]) + " |\n")
    return "".join(parts)


def text(_, group):
    lines = aligned([HEADS] + cells(group))
    lines.append(f"  in memory, same decoder, same bytes: {group['in_memory_cpu_seconds_per_million']:.2f} CPU-s/M "
                 f"({group['bytes_per_event']:.0f} bytes an event, gzip {group['gzip_ratio']:.1f} to 1, "
                 f"pages of {group['limit']:,})")
    return "\n".join(lines) + "\n"


def machine_line(results):
    machine = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (f"{machine['cpu']}, {machine['cpus']} CPUs, Linux {machine['kernel']}, {machine['system']}; client on CPU "
            f"{numbers(machine['client_cores'])}, server on {numbers(machine['server_cores'])}. {versions}.")


def numbers(cores):
    if len(cores) > 2 and cores[-1] - cores[0] == len(cores) - 1:
        return f"{cores[0]}-{cores[-1]}"
    return ", ".join(str(core) for core in cores)


def note_list(results):
    found = [
        f"Medians of {results['rounds']} rounds of about {results['seconds']:g} s, clients in turns, those with fewer "
        "rounds for which a page takes longer; the client's processes share one core, the server has others; start "
        "and end of the processes are part of it.",
        "CPU-s/M: user and system time of the client's process tree for a million events. x: so many times "
        f"{OURS}'s. Of limit: what our decoder, CRC and line scan take in memory, over that; of several streams two "
        "are decoded at once.",
        "RSS: the process tree's at its largest, each program's file pages counted once. Heap: bytes allocated an "
        "event (Go: MemStats.TotalAlloc; ours: counted malloc calls; -: not counted). Client core, server: how busy.",
        "curl is told all addresses beforehand, signed, since it cannot follow offsets; the others read each page's "
        "last line first. Rows without \"of limit\" decompress nothing.",
    ]
    if any(row["server_is_limit"] for group in results["groups"] for row in group["rows"]):
        found.append("*: the server was the limit, the client waited for it: CPU-s/M is the figure to compare.")
    busy = results["machine"]["busy_before"]
    if busy > QUIET_SHARE:
        found.append(f"Taken on a BUSY machine (others had {busy:.0%} of it before the start): events/s say little.")
    found += [f"Left out: {name}: {why}." for name, why in results["absent"].items()]
    found += [f"Failed with {counted(group['streams'])} of {SIZES[group['event_size']]} events: {name}: {why}."
              for group in results["groups"] for name, why in group["failed"].items()]
    return found


def notes(results):
    return machine_line(results) + "\n" + "\n".join(note_list(results))


def markdown(results):
    parts = [machine_line(results) + "\n\nAll of it (CPU-seconds for a million events where nothing else is said):\n\n",
             marked(overview(results))]
    for group in results["groups"]:
        in_memory = group["in_memory_cpu_seconds_per_million"]
        parts.append(f"\n{SIZES[group['event_size']]} events, {counted(group['streams'])} "
                     f"(pages of {group['limit']:,}; in memory {in_memory:.2f} CPU-s/M):\n\n")
        parts.append(marked([HEADS] + cells(group)))
    return "".join(parts) + "\n" + "\n".join("- " + note.replace("*:", "\\*:") for note in note_list(results)) + "\n"
