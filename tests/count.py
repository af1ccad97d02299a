# SPDX-License-Identifier: Apache-2.0
"""Adds up what the test programs reported: every TAP line counts, a program without TAP counts as one.

usage: count.py TESTLOG.json...   (meson's logs). Ends with "N passed, N failed, N skipped"; exit 1 on failures.
"""
import json
import re
import sys


def count(record):
    """(passed, failed, skipped) of one test program."""
    lines = record.get("stdout", "").splitlines()
    cases = [line for line in lines if re.match(r"(not )?ok\b", line)]
    failed = sum(line.startswith("not ok") for line in cases)
    skipped = sum(bool(re.match(r"ok\b.*# SKIP", line)) for line in cases)
    passed = len(cases) - failed - skipped
    result = record["result"]
    if not cases:
        return (result == "OK", result not in ("OK", "SKIP"), result == "SKIP")
    if result not in ("OK", "SKIP") and failed == 0:
        failed = 1  # it crashed, timed out or ended early: its cases do not tell
    return passed, failed, skipped


def main():
    totals = [0, 0, 0]
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as log:
            for line in log:
                record = json.loads(line)
                result = count(record)
                totals = [a + int(b) for a, b in zip(totals, result)]
                if result[1]:
                    print(f"FAILED: {record['name']}")
                for skip in re.findall(r"^ok\b.*# SKIP.*", record.get("stdout", ""), re.M):
                    print(f"skipped: {record['name']}: {skip}")
    print(f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped")
    return totals[1] > 0


if __name__ == "__main__":
    sys.exit(main())
