# SPDX-License-Identifier: Apache-2.0
"""A small virtual machine for tests: a Debian kernel in QEMU without hardware help, so that it runs anywhere, and
an initramfs made here from programs of the host with their libraries. Commands run one after the other as root;
what they print and the files they leave come back. Python's standard library only.

    guest = Guest(kernel, folder)
    guest.program("build/release/tests/ring_test", "/bin/ring_test")
    guest.command("ring", "/bin/ring_test", timeout_s=60)
    outcome = guest.boot(timeout_s=120)
    outcome["ring"].status, outcome["ring"].output, outcome.file("/out/x.pprof")
"""
import glob
import gzip
import io
import lzma
import os
import re
import selectors
import shlex
import shutil
import stat
import subprocess
import tarfile
import time

from kernels import Unavailable

# What comes back is written by the guest to a disk of this size; holes take no space.
DISK_BYTES = 256 << 20
# QEMU 7.2's emulation panics Linux 6.12 early in boot in about a quarter of the runs, long before anything of ours
# runs; only that is tried again. Five in a row would be one in a thousand.
BOOTS_MAX = 5
# How the guest finds that disk: modules in the order of loading; those that are built in are left out.
DISK_MODULES = ["virtio_pci", "virtio_blk"]

INIT = """#!/bin/busybox sh
# Made by tests/vm/guest.py.
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=dumb LC_ALL=C.UTF-8
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mkdir -p /dev/shm /dev/pts /run /tmp /out /root
mount -t devpts pts /dev/pts
for place in /dev/shm /run /tmp /out; do mount -t tmpfs none $place; done
mount -t tracefs trace /sys/kernel/tracing
mount -t debugfs debug /sys/kernel/debug
mount -t bpf bpf /sys/fs/bpf
mount -t securityfs security /sys/kernel/security 2>/dev/null
chmod 1777 /tmp /dev/shm
ln -sf /proc/self/fd /dev/fd
ip link set lo up
hostname guest
for module in $(cat /modules/order); do insmod /modules/$module || echo "guest: no module $module"; done
exec </dev/null
sh /commands
echo "guest: packing"
tar cf /dev/vda -C /out . && sync && echo "guest: done"
poweroff -f
"""


def host_has_qemu():
    if os.uname().machine != "x86_64":
        raise Unavailable(f"the guest runs programs of the host, and is x86-64; the host is {os.uname().machine}")
    for program in ("qemu-system-x86_64", "busybox"):
        if not shutil.which(program):
            package = {"busybox": "busybox-static"}.get(program, "qemu-system-x86")
            raise Unavailable(f"no {program} on this host; Debian's package {package} has it")
    if is_dynamic(shutil.which("busybox")):
        raise Unavailable("busybox on this host needs shared libraries; Debian's package busybox-static does not")


def is_dynamic(path):
    answer = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
    return answer.returncode == 0 and "statically" not in answer.stdout


def libraries_of(path):
    """Paths of the shared libraries and of the loader that a program of the host maps when it starts."""
    answer = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        return []
    missing = re.findall(r"(\S+) => not found", answer.stdout)
    if missing:
        raise Unavailable(f"{path} needs {', '.join(missing)}, which is not on this host")
    return re.findall(r"(/\S+) \(0x", answer.stdout)


class Archive:
    """An initramfs in the kernel's "newc" format (Documentation/driver-api/early-userspace/buffer-format)."""

    def __init__(self):
        self.entries = {}

    def add(self, name, mode, content=b""):
        name = os.path.normpath(name).lstrip("/")
        parent = os.path.dirname(name)
        if parent and parent not in self.entries:
            self.add(parent, stat.S_IFDIR | 0o755)
        self.entries[name] = (mode, content)

    def pack(self):
        packed = io.BytesIO()
        entries = list(self.entries.items()) + [("TRAILER!!!", (0, b""))]
        for inode, (name, (mode, content)) in enumerate(entries, 1):
            encoded = name.encode() + b"\0"
            fields = [inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0]
            packed.write(b"070701" + b"".join(b"%08X" % field for field in fields) + encoded)
            packed.write(b"\0" * (-packed.tell() % 4))
            packed.write(content)
            packed.write(b"\0" * (-packed.tell() % 4))
        return packed.getvalue()


class Modules:
    """Kernel modules with what they depend on; the packages carry no modules.dep, so the modules are read."""

    def __init__(self, folder):
        self.paths = {}
        for place, _, names in os.walk(folder):
            for name in names:
                match = re.fullmatch(r"(.+)\.ko(\.xz|\.gz)?", name)
                if match:
                    self.paths[match[1].replace("-", "_")] = os.path.join(place, name)

    def read(self, name):
        path = self.paths[name]
        opener = {".xz": lzma.open, ".gz": gzip.open}.get(os.path.splitext(path)[1], open)
        with opener(path, "rb") as file:
            return file.read()

    def add(self, name, chosen):
        """Adds name -> content to `chosen`, those that it needs before it. Unknown ones are built in."""
        name = name.replace("-", "_")
        if name in chosen or name not in self.paths:
            return
        content = self.read(name)
        needs = re.search(rb"\0depends=([^\0]*)\0", content)
        for need in needs[1].decode().split(",") if needs else []:
            self.add(need, chosen)
        chosen[name] = content


class Ran:
    def __init__(self, status, output):
        self.status = status  # of the shell: 124 or 143 when the time was over; None: never came to an end
        self.output = output


class Outcome:
    def __init__(self, console, ran, files, finished):
        self.console = console
        self.ran = ran
        self.files = files
        self.finished = finished

    def __getitem__(self, name):
        return self.ran.get(name, Ran(None, ""))

    def file(self, path):
        """Content of a file that the guest left in /out, or None."""
        return self.files.get(os.path.relpath(path, "/out"))


class Guest:
    def __init__(self, kernel, folder, memory_mb=1024, cpus=1):
        host_has_qemu()
        self.kernel = kernel
        self.folder = folder
        self.memory_mb = memory_mb
        self.cpus = cpus
        self.archive = Archive()
        self.modules = Modules(kernel.modules)
        self.chosen_modules = {}
        self.commands = []
        for name in DISK_MODULES:
            self.module(name)
        for name in ("proc", "sys", "dev", "tmp", "out", "run", "root", "var/empty"):
            self.archive.add(name, stat.S_IFDIR | 0o755)
        self.program(shutil.which("busybox"), "/bin/busybox")
        self.text("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
                  "nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n")
        self.text("/etc/group", "root:x:0:\ndaemon:x:1:\nnogroup:x:65534:\n")
        self.text("/etc/shadow", "root:*:19000:0:99999:7:::\n", 0o640)
        self.text("/etc/hosts", "127.0.0.1 localhost\n")
        # Libraries are at the host's paths, so what the host's loader knows of them holds.
        self.file("/etc/ld.so.cache", "/etc/ld.so.cache")

    def module(self, name):
        """A kernel module to load; False when this kernel has it neither as a module nor built in."""
        self.modules.add(name, self.chosen_modules)
        if name.replace("-", "_") in self.chosen_modules:
            return True
        with open(os.path.join(self.kernel.modules, "modules.builtin"), encoding="utf-8") as file:
            return any(os.path.basename(line.strip())[:-3].replace("-", "_") == name.replace("-", "_")
                       for line in file)

    def text(self, guest_path, text, mode=0o644):
        self.archive.add(guest_path, stat.S_IFREG | mode, text.encode())

    def file(self, host_path, guest_path):
        with open(host_path, "rb") as file:
            mode = stat.S_IFREG | (os.stat(host_path).st_mode & 0o777)
            self.archive.add(guest_path, mode, file.read())

    def program(self, host_path, guest_path):
        """A program of the host, and the libraries that it needs, each at the path where it is on the host."""
        self.file(host_path, guest_path)
        libraries = libraries_of(host_path)
        for library in list(libraries):
            if os.path.basename(library).startswith("libc.so."):  # and what it opens to look up users and hosts
                libraries += glob.glob(os.path.join(os.path.dirname(library), "libnss_*.so.2"))
        for library in libraries:
            if os.path.normpath(library).lstrip("/") not in self.archive.entries:
                self.file(library, library)

    def link(self, target, guest_path):
        self.archive.add(guest_path, stat.S_IFLNK | 0o777, target.encode())

    def command(self, name, line, timeout_s=60):
        """A line for the shell. Its output and status come back under `name`; the folder /out comes back whole."""
        if not re.fullmatch(r"[\w.-]+", name):
            raise ValueError(name)
        self.commands.append((name, line, timeout_s))

    def script(self):
        lines = []
        for name, line, timeout_s in self.commands:
            lines += [f"echo 'guest: {name} starts'",
                      f"timeout -k 5 {timeout_s} sh -c {shlex.quote(line)} >/out/{name}.output 2>&1",
                      f"echo $? >/out/{name}.status",
                      f"sed 's/^/{name}| /' /out/{name}.output",
                      f"echo \"guest: {name} ended: $(cat /out/{name}.status)\""]
        return "\n".join(lines) + "\n"

    def boot(self, timeout_s):
        self.text("/init", INIT, 0o755)
        self.text("/commands", self.script())
        for name, content in self.chosen_modules.items():
            self.archive.add(f"/modules/{name}.ko", stat.S_IFREG | 0o644, content)
        self.text("/modules/order", "".join(f"{name}.ko\n" for name in self.chosen_modules))
        os.makedirs(self.folder, exist_ok=True)
        initramfs, disk = os.path.join(self.folder, "initramfs"), os.path.join(self.folder, "disk")
        with open(initramfs, "wb") as file:
            file.write(self.archive.pack())
        command = ["qemu-system-x86_64", "-machine", "q35,accel=tcg", "-cpu", "max", "-smp", str(self.cpus),
                   "-m", str(self.memory_mb), "-nodefaults", "-no-user-config", "-display", "none",
                   "-serial", "stdio", "-no-reboot", "-nic", "none", "-kernel", self.kernel.image,
                   "-initrd", initramfs, "-drive", f"file={disk},format=raw,if=virtio,cache=unsafe", "-append",
                   "console=ttyS0 quiet panic=-1 rdinit=/init mitigations=off nokaslr random.trust_cpu=on"]
        deadline = time.monotonic() + timeout_s
        for _ in range(BOOTS_MAX):
            with open(disk, "wb") as file:
                file.truncate(DISK_BYTES)
            console, finished = self.watch(command, deadline)
            if finished or "guest: " in console or "Kernel panic" not in console:
                break
        files = {}
        if finished:
            with tarfile.open(disk, "r:") as packed:
                for member in packed:
                    if member.isfile():
                        files[os.path.normpath(member.name)] = packed.extractfile(member).read()
        os.unlink(disk)
        ran = {}
        for name, _, _ in self.commands:
            if finished and f"{name}.status" in files:
                ran[name] = Ran(int(files[f"{name}.status"]), files[f"{name}.output"].decode(errors="replace"))
            else:  # the guest did not come to its end: what it printed is all there is
                output = "".join(re.findall(rf"^{re.escape(name)}\| (.*\n)", console, re.M))
                status = re.search(rf"^guest: {re.escape(name)} ended: (\d+)", console, re.M)
                ran[name] = Ran(int(status[1]) if status else None, output)
        return Outcome(console, ran, files, finished)

    def watch(self, command, deadline):
        """Runs the machine until it switches itself off. Its console, and whether it came to its end."""
        console = b""
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        with selectors.DefaultSelector() as selector, open(os.path.join(self.folder, "console.log"), "wb") as log:
            selector.register(process.stdout, selectors.EVENT_READ)
            try:
                while True:
                    left_s = deadline - time.monotonic()
                    if left_s <= 0:
                        console += b"\nguest: not ready in time\n"
                        break
                    if selector.select(left_s):
                        piece = os.read(process.stdout.fileno(), 65536)
                        if not piece:
                            break
                        log.write(piece)
                        log.flush()
                        console += piece
            finally:
                process.kill()
                process.wait()
                process.stdout.close()
        text = console.decode(errors="replace").replace("\r\n", "\n")
        return text, "guest: done\n" in text
