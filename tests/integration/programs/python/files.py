"""Files: pathlib, shutil, tempfile, mmap, os, stat, glob, locks, big and small."""

import fcntl
import glob
import mmap
import os
import pathlib
import shutil
import stat
import tempfile

base = pathlib.Path("tree")
for n in range(5):
    folder = base / f"d{n}"
    folder.mkdir(parents=True)
    (folder / "file.txt").write_text(f"line {n}\n" * n)
    (folder / "link").symlink_to("file.txt")
print(sorted(str(p) for p in base.rglob("*")))
print([p.read_text().count("\n") for p in sorted(base.glob("*/file.txt"))])
shutil.copytree(base, "copy", symlinks=True)
print(sorted(glob.glob("copy/*/link")), os.readlink("copy/d1/link"))
shutil.move("copy/d0", "copy/moved")
shutil.rmtree("copy/d1")
print(sorted(os.listdir("copy")))
os.chmod("tree/d2/file.txt", 0o640)
print(stat.filemode(os.stat("tree/d2/file.txt").st_mode), os.stat("tree/d2/file.txt").st_size)
os.utime("tree/d2/file.txt", (1_000_000, 2_000_000))
print(os.stat("tree/d2/file.txt").st_mtime)
os.rename("tree/d2/file.txt", "tree/d3/file.txt")
print((base / "d3/file.txt").read_text())
try:
    os.rmdir("tree/d4")
except OSError as error:
    print(error)
try:
    open("nothing/here")
except FileNotFoundError as error:
    print(error)

with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "big")
    with open(path, "wb") as f:
        for i in range(64):
            f.write(bytes([i]) * 65536)
        f.seek(1 << 20)
        f.write(b"marker")
    with open(path, "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
        print(len(m), m[1 << 20 : (1 << 20) + 6], m.find(b"\x20" * 10), m[-1])
        m[0:5] = b"hello"
        m.flush()
        f.seek(0)
        print(f.read(6))
    with open(path, "ab") as f:
        f.truncate(10)
    print(os.path.getsize(path))
print(os.path.exists(folder))
with tempfile.NamedTemporaryFile() as f:
    f.write(b"x" * 1000)
    f.flush()
    print(os.path.getsize(f.name), f.name.startswith(tempfile.gettempdir()))
with tempfile.TemporaryFile() as f:
    f.write(b"gone")
    f.seek(0)
    print(f.read())
with tempfile.SpooledTemporaryFile(max_size=10) as f:
    f.write(b"0123456789abcdef")
    f.seek(3)
    print(f.read(4))
with open("lock", "w") as f:
    fcntl.flock(f, fcntl.LOCK_EX)
    fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("locked")
with open("text", "w", encoding="utf-8", newline="\r\n") as f:
    f.write("zwölf\nBoxkämpfer\n")
print(open("text", "rb").read(), open("text", encoding="utf-8").read().splitlines())
r, w = os.pipe()
os.write(w, b"by pipe")
print(os.read(r, 100), os.get_blocking(r), os.get_inheritable(r))
print(sorted(e.name for e in os.scandir("tree") if e.is_dir()), os.access("tree", os.W_OK))
print(
    shutil.disk_usage(".").total > 0, os.path.realpath("tree/d1/link").endswith("tree/d1/file.txt")
)
