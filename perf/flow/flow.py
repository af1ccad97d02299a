# SPDX-License-Identifier: Apache-2.0
"""The whole flow, measured: the collector against the simulator over TLS on loopback.

usage: flow.py BUILD_FOLDER [ROUNDS] [SECONDS]

Server and collector are pinned to different cores. Every round runs the collector and, on the same core, the
in-memory limit (flow_bench: same decoder, scanner and page logic, same bytes, no I/O), so that the machine's
mood hits both; medians of rounds are printed, one JSON object a line, then a table.
"""
import base64
import datetime
import hashlib
import hmac
import http.client
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import uuid

SIZES = ["full", "lean"]
LIMIT = 60000


def read_edgerc(path):
    values = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            if "=" in line:
                key, value = line.split("=", 1)
                values[key.strip()] = value.strip()
    return values


def authorization(credentials, host, target):
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H:%M:%S+0000")
    head = (f"EG1-HMAC-SHA256 client_token={credentials['client_token']};access_token="
            f"{credentials['access_token']};timestamp={stamp};nonce={uuid.uuid4()};")

    def mac(key, text):
        return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()

    data = "\t".join(["GET", "https", host, target, "", "", head])
    return head + "signature=" + mac(mac(credentials["client_secret"], stamp), data)


def cpu_seconds_of(pid):
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Simulator:
    """A simulator on a free port, pinned to the last core."""

    def __init__(self, build, folder, size, extra=("--config-id", "1")):
        self.folder = folder
        self.ca_file = os.path.join(folder, "ca.pem")
        self.edgerc = os.path.join(folder, "edgerc")
        port_file = os.path.join(folder, "port")
        command = [os.path.join(build, "akamai-prof"), "simulate", "--listen", "127.0.0.1:0", "--port-file", port_file,
                   "--ca-out", self.ca_file, "--edgerc-out", self.edgerc, "--event-size", size, *extra]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                        preexec_fn=lambda: os.sched_setaffinity(0, {os.cpu_count() - 1}))
        for _ in range(600):
            if os.path.exists(port_file):
                break
            time.sleep(0.1)
        with open(port_file, encoding="utf-8") as file:
            self.address = file.read().strip()

    def fetch_page(self, path, config_id="1", limit=LIMIT):
        """Saves one page, still compressed."""
        context = ssl.create_default_context(cafile=self.ca_file)
        connection = http.client.HTTPSConnection(self.address, context=context)
        target = f"/siem/v1/configs/{config_id}?from={int(time.time()) - 3600}&limit={limit}"
        connection.request("GET", target, headers={
            "Accept-Encoding": "gzip",
            "Authorization": authorization(read_edgerc(self.edgerc), self.address, target)})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit(f"flow.py: the simulator answers {answer.status}: {body[:200]}")
        with open(path, "wb") as file:
            file.write(body)

    def cpu_seconds(self):
        return cpu_seconds_of(self.process.pid)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def collect(build, simulator, seconds, extra, config_ids="1", limit=LIMIT, cores=(0,)):
    """One run of the collector, and what its run.json says."""
    out = os.path.join(simulator.folder, "run")
    command = [os.path.join(build, "akamai-direct-prof"), "-url", f"https://{simulator.address}/siem/v1",
               "-edgerc", simulator.edgerc, "-ca-file", simulator.ca_file, "-config-id", config_ids,
               "-limit", str(limit), "-duration", f"{seconds}s", "-quiet", "-out", out] + extra
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, check=False, env=environment, stderr=subprocess.PIPE, text=True,
                          preexec_fn=lambda: os.sched_setaffinity(0, cores))
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nexit status {done.returncode}: {done.stderr.strip()[-2000:]}")
    with open(os.path.join(out, "run.json"), encoding="utf-8") as file:
        return json.load(file)


def in_memory(build, pages, seconds, engine="auto", cores=(0,)):
    """What flow_bench says of a page, or of two that are decoded at once."""
    command = [os.path.join(build, "perf", "flow_bench"), *pages, "--seconds", str(seconds), "--inflate", engine]
    result = subprocess.run(command, check=True, capture_output=True,
                            preexec_fn=lambda: os.sched_setaffinity(0, cores))
    return json.loads(result.stdout)


VARIANTS = {
    "default": [],
    "plain receive": ["-receive", "plain"],
    "poll": ["-io", "poll"],
    "SSL_read": ["-tls", "ssl"],
}


def measure(build, size, rounds, seconds):
    rows = {name: [] for name in VARIANTS}
    with tempfile.TemporaryDirectory() as folder:
        simulator = Simulator(build, folder, size)
        try:
            page = os.path.join(folder, "page.gz")
            simulator.fetch_page(page)
            for _ in range(rounds):
                limit = in_memory(build, [page], seconds / 2)
                for name, extra in VARIANTS.items():
                    before = simulator.cpu_seconds()
                    totals = collect(build, simulator, seconds, ["-no-profile"] + extra)["totals"]
                    per_million = totals["cpu_seconds"] * 1e6 / totals["events"]
                    rows[name].append({
                        "cpu_seconds_per_million": per_million,
                        "share_of_in_memory_limit": limit["cpu_seconds_per_million"] / per_million,
                        "in_memory_cpu_seconds_per_million": limit["cpu_seconds_per_million"],
                        "events_per_second": totals["events_per_second"],
                        "rss_mb": totals["rss_bytes_max"] / 1e6,
                        "server_cpu_seconds_per_million":
                            (simulator.cpu_seconds() - before) * 1e6 / totals["events"],
                        "bytes_per_event": limit["plain_bytes_per_event"],
                        "gzip_ratio": limit["ratio"],
                    })
        finally:
            simulator.stop()
    results = []
    for name, row in rows.items():
        result = {"bench": "flow", "event_size": size, "variant": name, "rounds": rounds}
        result.update({key: round(statistics.median(r[key] for r in row), 4) for key in row[0]})
        results.append(result)
        print(json.dumps(result), flush=True)
    return results


def main():
    build = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    seconds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    results = [row for size in SIZES for row in measure(build, size, rounds, seconds)]
    print(f"\n{'events':6} {'variant':14} {'CPU-s/M':>8} {'in memory':>10} {'share':>6} {'events/s':>10} "
          f"{'RSS MB':>7} {'server CPU-s/M':>15}")
    for row in results:
        print(f"{row['event_size']:6} {row['variant']:14} {row['cpu_seconds_per_million']:8.3f} "
              f"{row['in_memory_cpu_seconds_per_million']:10.3f} {row['share_of_in_memory_limit']:6.3f} "
              f"{row['events_per_second']:10.0f} {row['rss_mb']:7.1f} {row['server_cpu_seconds_per_million']:15.3f}")


if __name__ == "__main__":
    main()
