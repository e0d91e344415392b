"""The guest's whole file system: one uncompressed newc cpio archive, written without root and without cpio.

Paths keep their times, because Python trusts its compiled files only where the time of the source agrees.
Uncompressed, since emulated decompression costs more than the bytes.
"""
import lzma
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

PYTHON_LEFT_OUT = re.compile(
    r"/(test|tests|idlelib|lib2to3|tkinter|ensurepip|pydoc_data|distutils|turtledemo|unittest|sqlite3|dist-packages"
    r"|venv|xmlrpc|wsgiref|dbm|curses|config-[^/]*)(/|$)")


class Archive:
    """Collects guest path -> content; each path once, parents before children."""

    def __init__(self):
        self.entries = {}

    def directory(self, path):
        path = path.strip("/")
        if path and path not in self.entries:
            self.directory(os.path.dirname(path))
            self.entries[path] = (stat.S_IFDIR | 0o755, 0, b"")

    def data(self, path, content, mode=0o644, mtime=0):
        self.directory(os.path.dirname(path))
        self.entries[path.strip("/")] = (stat.S_IFREG | mode, mtime, content)

    def link(self, path, target):
        self.directory(os.path.dirname(path))
        self.entries[path.strip("/")] = (stat.S_IFLNK | 0o777, 0, target.encode())

    def file(self, path, source):
        info = os.stat(source)
        self.data(path, Path(source).read_bytes(), 0o755 if info.st_mode & 0o111 else 0o644, int(info.st_mtime))

    def program(self, path, source):
        """An executable or shared object and every library that the loader would find for it here."""
        self.file(path, source)
        found = subprocess.run(["ldd", source], capture_output=True, text=True, check=False).stdout
        if "not found" in found:
            raise RuntimeError(f"{source}: {found.strip()}")
        for library in re.findall(r"(?:=> )?(/\S+) \(0x", found):
            if library.strip("/") not in self.entries:
                self.file(library, library)

    def tree(self, path, source, left_out=None):
        for base, names, files in os.walk(source):
            names[:] = [n for n in names if not (left_out and left_out.search(f"{base}/{n}"))]
            for name in files:
                host = os.path.join(base, name)
                if not os.path.exists(host) or (left_out and left_out.search(host)):
                    continue
                guest = f"{path}/{os.path.relpath(host, source)}"
                (self.program if ".so" in name else self.file)(guest, host)

    def write(self, out):
        with open(out, "wb") as archive:
            entries = [*self.entries.items(), ("TRAILER!!!", (0, 0, b""))]
            for number, (path, (mode, mtime, content)) in enumerate(entries):
                name = path.encode() + b"\0"
                fields = (number, mode, 0, 0, 1, mtime, len(content), 0, 0, 0, 0, len(name), 0)
                head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
                for part in (head, content):
                    archive.write(part + b"\0" * (-len(part) % 4))


def add_modules(archive, modules_dir, wanted, optional):
    """The wanted modules and what they depend on, in the order in which insmod takes them."""
    files = {re.sub(r"\.ko(\.xz)?$", "", p.name).replace("-", "_"): p
             for p in modules_dir.rglob("*.ko*") if p.name.endswith((".ko", ".ko.xz"))}
    builtin_list = modules_dir / "modules.builtin"
    builtin_text = builtin_list.read_text() if builtin_list.exists() else ""
    builtin = {Path(line).stem.replace("-", "_") for line in builtin_text.split()}
    order = []

    def add(name):
        if name in order or name in builtin:
            return
        if name not in files:
            if name in optional:
                return
            raise RuntimeError(f"{modules_dir.name} has no module {name}")
        raw = files[name].read_bytes()
        code = lzma.decompress(raw) if files[name].suffix == ".xz" else raw
        # The .modinfo section says depends=a,b; its strings end in NUL.
        depends = re.search(rb"\0depends=([^\0]*)\0", code)
        for needed in (depends[1].decode().split(",") if depends and depends[1] else []):
            add(needed.replace("-", "_"))
        order.append(name)
        archive.data(f"/modules/{name}.ko", code)

    for name in (*wanted, *optional):
        add(name)
    archive.data("/modules/order", "".join(f"/modules/{name}.ko\n" for name in order).encode())


def add_python(archive):
    archive.program("/usr/bin/python3", os.path.realpath("/usr/bin/python3"))
    for library in sorted(Path("/usr/lib").glob("python3.[0-9]*")):
        archive.tree(str(library), library, PYTHON_LEFT_OUT)


# Debian's own where the lab depends on them, and dash, since busybox's shell prefers its own `ip` to the real one.
TOOLS = {"/sbin": ("ip", "ss", "ethtool", "bpftool"), "/bin": ("dash", "unshare", "nsenter", "mount", "umount")}


def add_system(archive):
    busybox = shutil.which("busybox")
    for applet in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
        archive.link(f"/bin/{applet}", "busybox")
    archive.file("/bin/busybox", busybox)
    for directory, tools in TOOLS.items():
        for tool in tools:
            if source := shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin"):
                archive.program(f"{directory}/{tool}", os.path.realpath(source))
    archive.link("/bin/sh", "dash")
    for path in ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/lock", "/root", "/etc", "/results"):
        archive.directory(path)
    archive.data("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    archive.data("/etc/group", b"root:x:0:\n")
    archive.data("/etc/hosts", b"127.0.0.1 localhost\n::1 localhost\n")
