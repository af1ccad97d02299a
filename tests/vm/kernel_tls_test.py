#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""-tls ktls on kernels of Debian's that have the tls module: the collector against the simulator, which is OpenSSL,
over loopback in a virtual machine. Whatever the server does, the events equal its truth, and run.json says who opened
the records. What no server of OpenSSL does is in tls_kernel_test, which runs here too. How fast it is cannot be seen:
the machine is emulated.

usage: kernel_tls_test.py SERIES BUILD_FOLDER CACHE_FOLDER [PART_OF_A_NAME]
    SERIES: of the kernel: 6.1, 6.12, or newest, which shows only what differs there
"""
import json
import os
import sys

import guest_report
import kernels
from guest_report import check, ended_well

RUN_SECONDS_MAX = 90
EVENTS, LIMIT = 2000, 250
# What nobody can load in a guest that has no modprobe: the module itself, and the ciphers that it asks for.
MODULES = ("gcm", "ghash_generic", "ctr", "aes_generic", "aesni_intel", "chacha_generic", "chacha",
           "poly1305_generic", "chacha20poly1305", "tls")
RUN = r"""
# NAME EVENTS LIMIT SERVER_FLAGS CLIENT_FLAGS
mkdir -p /out/$1
rm -f /tmp/port
akamai-prof simulate --listen 127.0.0.1:0 --port-file /tmp/port --ca-out /tmp/ca.pem --edgerc-out /tmp/edgerc \
    --config-id 1 --event-size lean --events $2 --truth /out/$1/truth.json $4 &
simulator=$!
until [ -s /tmp/port ]; do kill -0 $simulator || exit 1; sleep 0.1; done
chmod 644 /tmp/edgerc /tmp/ca.pem
akamai-direct-prof -url https://$(cat /tmp/port)/siem/v1 -edgerc /tmp/edgerc -ca-file /tmp/ca.pem -config-id 1 \
    -limit $3 -initial-interval 11h -no-profile -duration 80s -backoff 20ms -sink file:/tmp/events -out /out/$1 $5
status=$?
kill $simulator
wait $simulator
sha256sum /tmp/events | cut -d ' ' -f 1 >/out/$1/sha256
rm /tmp/events
exit $status
"""
GCM_128, GCM_256, CHACHA = "AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"


class Run:
    def __init__(self, name, says, server="", client="-tls ktls", mode="ktls", events=EVENTS, limit=LIMIT, warns="",
                 **wanted):
        self.name = name
        self.says = says
        self.server = server
        self.client = client
        self.mode = mode
        self.events = events
        self.limit = limit
        self.warns = warns  # part of the one warning
        self.wanted = wanted  # counters of run.json, and the least that they must be

    def command(self):
        return f"sh /collect {self.name} {self.events} {self.limit} '{self.server}' '{self.client}'"


def suite(version, name):
    if version == "1.2":
        return f"--tls-versions 1.2 --ciphers ECDHE-ECDSA-{name}"
    return "--ciphers TLS_" + name.replace("AES128", "AES_128").replace("AES256", "AES_256").replace(
        "-GCM-", "_GCM_").replace("CHACHA20-POLY1305", "CHACHA20_POLY1305_SHA256")


RUNS = [
    Run(f"tls{version.replace('.', '')}-{name.split('-')[0].lower()}", f"TLS {version} with {name}",
        suite(version, name))
    for version in ("1.3", "1.2") for name in (GCM_128, GCM_256, CHACHA)
] + [
    Run("poll", "by poll", client="-tls ktls -io poll"),
    Run("plain", "by plain receives", client="-tls ktls -receive plain"),
    Run("small", "records of 512 bytes", "--record-bytes 512"),
    Run("large", "a page of several megabytes", events=8000, limit=8000),
    Run("unconfined", "with all rights", client="-tls ktls -confine off"),
    Run("fin", "the end without close_notify is noticed, and tickets resume", "--fault fin-no-notify:3:2",
        truncations=1, tls_resumptions=2),
    Run("fin12", "the end without close_notify is noticed, TLS 1.2",
        "--tls-versions 1.2 --fault fin-no-notify:3:2", truncations=1, tls_resumptions=2),
    Run("notify", "close_notify in the middle of a page", "--fault early-close-notify:3:2", truncations=1),
    Run("cut", "half a body, then close_notify", "--fault cut-body:3:2", truncations=1),
    Run("reset", "a reset in the middle of a page", "--fault abrupt-close:3:2"),
    # Before Linux 6.14 the page is asked for again, and user space opens the records.
    Run("update", "key updates", "--fault key-update:3", mode=None, tls_key_updates=2),
    Run("auto", "auto does not ask the kernel", client="-tls auto", mode="inplace"),
    Run("cipher", "without the cipher user space opens the records, and a warning says so", suite("1.3", CHACHA),
        mode="inplace", warns="TLS_CHACHA20_POLY1305_SHA256: "),
    Run("missing", "without the module user space opens the records, and a warning says so", mode="inplace",
        warns="modprobe tls"),
]
NEWEST_RUNS = ("tls13-aes128", "tls12-aes256", "tls13-chacha20", "update", "cipher", "missing")


def figure(record, name):
    stream = record["streams"][0]
    return stream[name] if name in stream else stream["protocol"][name]


def judge(outcome, run, can_change_keys):
    mode = run.mode or ("ktls" if can_change_keys else "inplace")
    ran = ended_well(outcome, run.name)
    record, truth, digest = (outcome.file(f"/out/{run.name}/{name}") for name in ("run.json", "truth.json", "sha256"))
    check(record and truth and digest, f"the guest left {sorted(outcome.files)}:\n{ran.output[-2000:]}")
    record, truth = json.loads(record), json.loads(truth)["configs"]["1"]
    stream = record["streams"][0]
    check(stream["events"] == truth["events"] and digest.decode().strip() == truth["sha256"],
          f"{stream['events']} events, truly {truth['events']}, or not the same:\n{ran.output[-3000:]}")
    check(stream["tls_mode"] == mode, f"opened by {stream['tls_mode']}, wanted {mode}:\n{ran.output[-3000:]}")
    for name, low in run.wanted.items():
        check(figure(record, name) >= low, f"{name} is {figure(record, name)}, wanted {low}:\n{ran.output[-3000:]}")
    warnings = [line for line in ran.output.splitlines() if "Records are opened in user space instead" in line]
    check(len(warnings) == bool(run.warns) and all(run.warns in line for line in warnings),
          f"warnings: {warnings}\n{ran.output[-2000:]}")
    return (f"{stream['events']} events, {stream['tls_version']} {stream['tls_cipher']}, "
            f"{stream['connections']} connections")


def kernel_counted(outcome, runs):
    """The kernel's own figures (net/tls/tls_proc.c): each connection that was to be its was, and no record was bad."""
    lines = ended_well(outcome, "counts").output.splitlines()
    counts = {name: int(count) for name, count in (line.split() for line in lines)}
    least = sum(run.mode == "ktls" for run in runs)
    check(counts["TlsRxSw"] + counts["TlsRxDevice"] >= least, f"{least} runs, but {counts}")
    check(counts["TlsTxSw"] == counts["TlsDecryptError"] == counts["TlsCurrRxSw"] == 0, f"{counts}")
    return f"{counts['TlsRxSw']} connections"


def doctor(outcome, name, has_module):
    output = ended_well(outcome, name).output
    line = next((line for line in output.splitlines() if "kTLS" in line), "")
    check(("the kernel has the tls module" in line) == has_module, f"doctor says: {line!r}")
    return line


def prepare(machine, build, runs):
    for name in ("akamai-prof", "akamai-prof-simulator"):
        machine.program(os.path.join(build, name), f"/usr/bin/{name}")
    machine.link("akamai-prof", "/usr/bin/akamai-direct-prof")
    machine.text("/collect", RUN)
    for name in MODULES:
        has = machine.module(name)
        check(has or name != "tls", "this kernel has no tls module")
    machine.program(os.path.join(build, "tests", "tls_kernel_test"), "/bin/tls_kernel_test")
    machine.command("doctor", "akamai-prof doctor", 60)
    for run in runs:
        if run.name == "cipher":
            machine.command("counts", "cat /proc/net/tls_stat", 30)
            machine.command("tls_kernel", "tls_kernel_test", 120)
            machine.command("unload-cipher", "rmmod chacha20poly1305", 30)
        if run.name == "missing":
            machine.command("unload", "rmmod tls", 30)
            machine.command("doctor-without", "akamai-prof doctor", 60)
        machine.command(run.name, run.command(), RUN_SECONDS_MAX)


def main():
    series, build, cache = sys.argv[1:4]
    runs = [run for run in RUNS if (len(sys.argv) < 5 or sys.argv[4] in run.name)
            and (series != kernels.NEWEST or run.name in NEWEST_RUNS)]

    def tell(report, outcome, machine, _):
        report.test("doctor knows that the kernel has it", doctor, outcome, "doctor", True)
        for run in runs:
            if run.name == "cipher":
                report.test("the kernel itself counted them", kernel_counted, outcome, runs)
                report.program("tls_kernel", outcome["tls_kernel"])
            if run.name == "missing":
                report.test("doctor knows when it has it not", doctor, outcome, "doctor-without", False)
            report.test(run.says, judge, outcome, run, machine.kernel.is_at_least(6, 14))

    return guest_report.run(series, cache, "-tls ktls", lambda machine: prepare(machine, build, runs), tell)


if __name__ == "__main__":
    sys.exit(main())
