# SPDX-License-Identifier: Apache-2.0
"""Debian's own kernel packages, for guests: fetched once with apt in a private set-up and unpacked (never installed)
into a folder of the build. Nothing of the host's apt is changed, and the places to fetch from are the host's own."""
import fcntl
import glob
import os
import re
import shutil
import subprocess

# A package that is much smaller than linux-image-amd64 and has all that is tested here.
PACKAGE = "linux-image-cloud-amd64"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
NEWEST = "newest"  # whatever series backports have today
# Which release of Debian brings which series of kernels; in order of preference.
SUITES = {"6.1": ["bookworm-security", "bookworm"], "6.12": ["trixie-security", "trixie", "bookworm-backports"],
          NEWEST: ["trixie-backports"]}


class Unavailable(Exception):
    """What is missing on this host, in a sentence for people."""


class Kernel:
    def __init__(self, folder):
        images = [image for pattern in ("boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz")
                  for image in glob.glob(os.path.join(folder, pattern))]
        if len(images) != 1:
            raise Unavailable(f"{folder} has {len(images)} kernel images instead of one; remove it to fetch it again")
        self.image = images[0]
        name = os.path.basename(self.image)
        self.release = name[len("vmlinuz-"):] or os.path.basename(os.path.dirname(self.image))
        for modules in ("lib/modules", "usr/lib/modules"):
            self.modules = os.path.join(folder, modules, self.release)
            if os.path.isdir(self.modules):
                break

    def is_at_least(self, major, minor):
        return tuple(int(number) for number in re.match(r"(\d+)\.(\d+)", self.release).groups()) >= (major, minor)


def debian_archives():
    """{is security archive: URI} of Debian's archives, as this host's apt has them."""
    answer = subprocess.run(["apt-get", "indextargets", "--format",
                             "$(CREATED_BY)|$(REPO_URI)|$(ORIGIN)|$(LABEL)"], capture_output=True, text=True,
                            check=False)
    archives = {}
    for line in answer.stdout.splitlines():
        fields = line.split("|")
        if len(fields) == 4 and fields[0] == "Packages" and fields[2] == "Debian":
            archives.setdefault(fields[3] == "Debian-Security", fields[1].rstrip("/"))
    return archives


def apt_options(folder):
    return ["-o", f"Dir::Etc::sourcelist={folder}/sources.list", "-o", "Dir::Etc::sourceparts=-",
            "-o", "Dir::Etc::preferences=-", "-o", "Dir::Etc::preferencesparts=-",
            "-o", f"Dir::State={folder}/state", "-o", f"Dir::State::status={folder}/status",
            "-o", f"Dir::Cache={folder}/cache", "-o", "APT::Sandbox::User=root", "-o", "APT::Architecture=amd64",
            "-o", "APT::Install-Recommends=false", "-o", "Acquire::Languages=none", "-o", "Acquire::Retries=2"]


def apt(program, folder, *arguments, cwd=None):
    return subprocess.run([program, *apt_options(folder), *arguments], capture_output=True, text=True, check=False,
                          cwd=cwd, timeout=240)


def fetch(series, suite, folder):
    """The newest kernel package of the suite, unpacked into `folder`."""
    archives = debian_archives()
    security = suite.endswith("-security")
    if security not in archives:
        raise Unavailable(f"apt has no {'security ' if security else ''}archive of Debian")
    private = folder + ".apt"
    shutil.rmtree(private, ignore_errors=True)
    for name in ("state/lists/partial", "cache/archives/partial", "package"):
        os.makedirs(os.path.join(private, name))
    with open(os.path.join(private, "sources.list"), "w", encoding="utf-8") as file:
        # Debian's keyring has the keys of the next release too, before that release's own package does.
        signed = f"[signed-by={KEYRING}] " if os.path.exists(KEYRING) else ""
        file.write(f"deb {signed}{archives[security]} {suite} main\n")
    open(os.path.join(private, "status"), "w", encoding="utf-8").close()
    try:
        answer = apt("apt-get", private, "update", "-qq")
        if answer.returncode or re.search(r"^[EW]: .*(Failed to fetch|does not have)", answer.stderr, re.M):
            raise Unavailable(f"apt cannot read {suite}: {answer.stderr.strip()[:200]}")
        answer = apt("apt-cache", private, "depends", "--important", PACKAGE)
        number = r"\d" if series == NEWEST else re.escape(series) + "[.+]"
        names = re.findall(rf"Depends: (linux-image-{number}\S+)", answer.stdout)
        if not names:
            raise Unavailable(f"{suite} has no {PACKAGE} of series {series}")
        package = os.path.join(private, "package")
        # Newer ones are in parts: image, modules, and what describes them.
        answer = apt("apt-cache", private, "depends", "--important", names[0])
        parts = names[:1] + re.findall(r"Depends: (linux-(?:base|binary|modules)-\d\S+)", answer.stdout)
        answer = apt("apt-get", private, "download", *parts, cwd=package)
        files = glob.glob(os.path.join(package, "*.deb"))
        if answer.returncode or len(files) != len(parts):
            raise Unavailable(f"apt cannot download {' '.join(parts)}: {answer.stderr.strip()[:200]}")
        shutil.rmtree(folder + ".new", ignore_errors=True)
        for file in files:
            subprocess.run(["dpkg-deb", "-x", file, folder + ".new"], check=True, capture_output=True)
        os.rename(folder + ".new", folder)
    except (subprocess.SubprocessError, OSError) as error:
        raise Unavailable(f"{suite}: {error}") from error
    finally:
        shutil.rmtree(private, ignore_errors=True)


def find(series, cache):
    """The kernel of a series ("6.1"), from the cache folder or from Debian."""
    folder = os.path.join(cache, "linux-" + series)
    if os.path.isdir(folder):
        return Kernel(folder)
    for program in ("apt-get", "dpkg-deb"):
        if not shutil.which(program):
            raise Unavailable(f"no {program} here, with which Debian's kernels are fetched")
    os.makedirs(cache, exist_ok=True)
    reasons = []
    with open(folder + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side
        if os.path.isdir(folder):
            return Kernel(folder)
        for suite in SUITES[series]:
            try:
                fetch(series, suite, folder)
                return Kernel(folder)
            except Unavailable as error:
                reasons.append(str(error))
    raise Unavailable(f"no kernel {series}: {'; '.join(reasons)}. To get it by hand: unpack Debian's "
                      f"linux-image-{series}...-cloud-amd64 with dpkg-deb -x into {folder}")
