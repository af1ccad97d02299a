# SPDX-License-Identifier: Apache-2.0
"""What these tests report with. A library, not a test."""


class Tap:
    def __init__(self):
        self.count, self.failed = 0, 0

    def report(self, name, problems=()):
        """`problems`: sentences, of one line or several; none: it went well."""
        self.count += 1
        print(f"{'not ok' if problems else 'ok'} {self.count} - {name}", flush=True)
        for problem in problems:
            print("\n".join("# " + line for line in problem.splitlines()), flush=True)
        self.failed += bool(problems)

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}", flush=True)

    def end(self):
        """Prints the plan. Returns the exit status."""
        print(f"1..{self.count}")
        return self.failed > 0
