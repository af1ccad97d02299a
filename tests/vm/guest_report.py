# SPDX-License-Identifier: Apache-2.0
"""What the tests in virtual machines share: one boot for all of a test, and TAP with what the guest's programs say
among it. A library, not a test."""
import os
import re
import shutil
import sys
import tempfile
import traceback

import guest
import kernels

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "profiler"))
import pprof_reader  # noqa: E402
from recorder import Failure, Skip, check  # noqa: E402

BOOT_SECONDS_MAX = 540  # the build gives up after 600


class Report:
    def __init__(self):
        self.count = 0
        self.failed = False

    def say(self, good, name, detail="", skip=None):
        self.count += 1
        self.failed |= not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {name}{f' # SKIP {skip}' if skip else ''}")
        if detail:
            print("\n".join("# " + line for line in detail.splitlines()))
        sys.stdout.flush()

    def program(self, name, ran):
        """The lines of a program that speaks TAP; one that does not come to its plan has failed."""
        planned = re.search(r"^1\.\.(\d+)", ran.output, re.M)
        lines = re.findall(r"^(not )?ok \d+ - (.*?)(?: # SKIP (.*))?$((?:\n#.*)*)", ran.output, re.M)
        for failed, test, skip, notes in lines:
            self.say(not failed, f"{name}: {test}", re.sub(r"^# ", "", notes.strip(), flags=re.M) if failed else "",
                     skip)
        if not planned or int(planned[1]) != len(lines) or ran.status not in (0, 1):
            self.say(False, f"{name}: runs to its end", f"status {ran.status}\n{ran.output[-3000:]}")

    def test(self, name, function, *arguments):
        try:
            self.say(True, name, function(*arguments) or "")
        except Skip as reason:
            self.say(True, name, skip=str(reason))
        except Exception as error:  # a test that raises has failed, whatever it raises
            expected = isinstance(error, (Failure, pprof_reader.Bad))
            self.say(False, name, str(error) if expected else traceback.format_exc())


def ended_well(outcome, name):
    ran = outcome[name]
    check(ran.status == 0, f"{name} ended with {ran.status}:\n{ran.output[-3000:]}")
    return ran


def run(series, cache, says, prepare, tell):
    """Boots a guest that prepare(machine) has filled, and has tell(report, outcome, machine, folder) speak of what came
    of it. Returns the exit status."""
    report = Report()
    folder = tempfile.mkdtemp(prefix="akamai-prof-vm-")
    try:
        machine = guest.Guest(kernels.find(series, cache), folder)
        prepare(machine)
        outcome = machine.boot(BOOT_SECONDS_MAX)
    except kernels.Unavailable as reason:
        print(f"1..1\nok 1 - {says} on Linux {series} in a virtual machine # SKIP {reason}")
        return 0
    else:
        report.say(outcome.finished, f"Linux {machine.kernel.release} boots, and the guest comes to its end",
                   "" if outcome.finished else outcome.console[-6000:])
        tell(report, outcome, machine, folder)
        print(f"1..{report.count}")
        return int(report.failed)
    finally:
        if os.environ.get("KEEP_GUEST"):
            print(f"# the guest's console and files are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
