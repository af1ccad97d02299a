# SPDX-License-Identifier: Apache-2.0
"""What lies under the sandbox of programs: a test build whose programs have got past Lua (escape.c) tries what an
attacker would, confined and, to see that the attempts are real, not confined.

usage: escape_test.py BUILD_FOLDER ESCAPE_PROGRAM
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenario"))
from harness import Failure, Simulator, Skip, contains, environment_of, equal, main  # noqa: E402

BUILD, PROGRAM = sys.argv[1], sys.argv[2]
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "escape.lua")

# What a confined collector's code must not be able to do, and the answers that say so.
REFUSED = {
    "read /etc/passwd": ("EACCES",), "read secret": ("EACCES",), "create": ("EACCES",), "append": ("EACCES",),
    "mkdir": ("EPERM", "EACCES"), "rename": ("EACCES", "EXDEV"), "unlink": ("EACCES",),
    "symlink": ("EPERM", "EACCES"), "link": ("EPERM", "EACCES"), "chmod": ("EPERM",),
    "bind": ("EPERM", "EACCES"), "connect elsewhere": ("EACCES",),
    "connect elsewhere by fast open": ("EPERM", "EACCES"),
    "raw socket": ("EPERM",), "packet socket": ("EPERM",), "unix socket": ("EPERM",), "netlink socket": ("EPERM",),
    "fork": ("EPERM",), "exec": ("EPERM",), "ptrace the parent": ("EPERM",),
    "read the parent's memory": ("EPERM",), "signal the parent": ("EPERM",), "become root": ("EPERM",),
    "new ring": ("EPERM",), "bpf": ("EPERM",), "perf event": ("EPERM", "EACCES"), "namespace": ("EPERM",),
    "mount": ("EPERM",), "chroot": ("EPERM",),
}
# DNS needs it; Landlock does not tell one UDP socket from another.
LEFT = {"udp socket": "ok"}


class Scene:
    """A folder that anybody may write, with files to harm, and a server that no configuration names."""

    def __init__(self):
        self.place = tempfile.mkdtemp(prefix="akamai-prof-escape-", dir="/tmp")
        os.chmod(self.place, 0o777)
        for name in ("secret", "open", "rename", "unlink", "mine"):
            path = os.path.join(self.place, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(name)
            os.chmod(path, 0o666)
        self.other = socket.create_server(("127.0.0.1", 0))

    def attempts(self, simulator, *arguments, command=(PROGRAM, "-prog", SCRIPT)):
        """Runs the program. Answers by attempt, and the end of what it said, for people."""
        command = [*command, "-url", simulator.url, "-edgerc", simulator.edgerc, "-no-profile", "-duration", "30s",
                   "-out", simulator.path("out"), *arguments]
        environment = environment_of(simulator, {
            "YAEGI_HTTP_PLACE": self.place, "YAEGI_HTTP_OTHER_PORT": str(self.other.getsockname()[1])})
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
        found = dict(re.findall(r"escape ([^=\n]+)=([^\n]+)", result.stderr))
        if not found:
            raise Failure(f"nothing was tried: {result.stderr[-2000:]}")
        return found, "\n" + result.stderr[-1500:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.other.close()
        shutil.rmtree(self.place)


def needs_root():
    if os.geteuid() != 0:
        raise Skip("only root becomes somebody else, and has rights to give up")


def all_are(wanted, found, said, stderr):
    """`wanted`: the answers that an attempt may get, by its name."""
    wrong = [f"{name}: {found.get(name)}" for name, answers in wanted.items() if found.get(name) not in answers]
    if wrong:
        raise Failure(f"not {said}: {'; '.join(wrong)}{stderr}")


def confined():
    needs_root()
    with Scene() as scene, Simulator(BUILD, plain=True) as simulator:
        before = sorted(os.listdir(scene.place))
        found, stderr = scene.attempts(simulator)
        all_are(REFUSED, found, "refused as wanted", stderr)
        for name, answer in LEFT.items():
            equal(found.get(name), answer, name)
        contains(found.get("own server", "none"), "status ")
        equal(sorted(os.listdir(scene.place)), before, "the folder")


def not_confined():
    """The same attempts without confinement, as root: most of them succeed, so a refusal is confinement's."""
    needs_root()
    with Scene() as scene, Simulator(BUILD, plain=True) as simulator:
        found, stderr = scene.attempts(simulator, "-confine", "off")
        succeed = ("read /etc/passwd", "read secret", "create", "append", "mkdir", "rename", "unlink", "symlink",
                   "link", "chmod", "bind", "connect elsewhere", "udp socket", "unix socket", "netlink socket", "fork",
                   "exec")
        all_are(dict.fromkeys(succeed, ("ok",)), found, "successful, as they should be here", stderr)


def ordinary_user():
    """Without root there is no other user to become; the rest holds."""
    needs_root()
    kept = ("read secret", "create", "append", "unlink", "bind", "connect elsewhere", "raw socket", "unix socket",
            "fork", "exec", "new ring")
    with Scene() as scene, Simulator(BUILD, plain=True) as simulator:
        for path in (simulator.folder, simulator.edgerc):
            os.chmod(path, 0o777 if os.path.isdir(path) else 0o644)
        # Where every user can read them; the build may lie below a folder of root's.
        program, script = (shutil.copy(path, scene.place) for path in (PROGRAM, SCRIPT))
        os.chmod(program, 0o755)
        os.chmod(script, 0o644)
        found, stderr = scene.attempts(simulator, command=(
            "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", program, "-prog", script))
        all_are({name: REFUSED[name] for name in kept}, found, "refused as wanted", stderr)


main([
    ("a confined program that got past Lua gets no further", confined),
    ("the attempts are real: without confinement they succeed", not_confined),
    ("an ordinary user's program is held, too", ordinary_user),
])
