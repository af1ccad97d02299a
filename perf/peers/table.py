# SPDX-License-Identifier: Apache-2.0
"""The peers' results as text and as Markdown. Which row is which is said by clients.py; numbers come from peers.py."""

SIZES = {"full": "1.9 KB", "lean": "0.95 KB"}
QUIET_SHARE = 0.1  # of all cores
HEADS = ["client", "events/s", "CPU-s/M", "x", "of limit", "RSS MB", "heap B/event", "client core", "server"]
OURS = "akamai-direct-prof"


def counted(streams):
    return "one stream" if streams == 1 else f"{streams} streams"


def heap_text(row):
    if row["allocated_bytes_per_event"] is None:
        return "-"
    if row["allocated_bytes_per_event"] == 0:
        return "0"
    return f"{row['allocated_bytes_per_event']:,.{2 if row['allocated_bytes_per_event'] < 10 else 0}f}"


def cells_of(row, ours):
    decoded = row["decodes"]
    times = row["cpu_seconds_per_million"] / ours["cpu_seconds_per_million"] if ours and decoded else None
    return [row["client"], f"{row['events_per_second']:,.0f}", f"{row['cpu_seconds_per_million']:.2f}",
            f"{times:.1f}" if times else "-", f"{row['share_of_in_memory_limit']:.3f}" if decoded else "-",
            f"{row['rss_bytes'] / 1e6:.1f}", heap_text(row), f"{row['client_busy']:.0%}",
            f"{row['server_busy']:.0%}" + ("*" if row["server_is_limit"] else "")]


def cells(group):
    ours = next((row for row in group["rows"] if row["client"] == OURS), None)
    return [cells_of(row, ours) for row in group["rows"]]


def text(_, group):
    rows = [HEADS] + cells(group)
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    lines = ["  " + "  ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                              for column, (cell, width) in enumerate(zip(row, widths))) for row in rows]
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
        f"Medians of {results['rounds']} rounds of about {results['seconds']:g} s, clients in turns; the client's "
        "processes share one core, the server has others; start and end of the processes are part of it.",
        "CPU-s/M: user and system time of the client's process tree for a million events. x: so many times "
        f"{OURS}'s. Of limit: what decoding, CRC and line scan take in memory, over that.",
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
    parts = [machine_line(results) + "\n"]
    for group in results["groups"]:
        in_memory = group["in_memory_cpu_seconds_per_million"]
        parts.append(f"\n{SIZES[group['event_size']]} events, {counted(group['streams'])} "
                     f"(pages of {group['limit']:,}; in memory {in_memory:.2f} CPU-s/M):\n\n")
        parts.append("| " + " | ".join(HEADS) + " |\n|---" + "|---:" * (len(HEADS) - 1) + "|\n")
        for row in cells(group):
            parts.append("| " + " | ".join([f"`{row[0]}`".replace("|", "\\|")] + row[1:]) + " |\n")
    return "".join(parts) + "\n" + "\n".join("- " + note.replace("*:", "\\*:") for note in note_list(results)) + "\n"
