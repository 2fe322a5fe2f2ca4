"""What an everyday script does: threads, sqlite3, hashlib, json, files."""

import hashlib
import json
import pathlib
import sqlite3
import tempfile
import threading

with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    digests: dict[int, str] = {}

    def digest(number: int) -> None:
        """Write a file of a million bytes and hash it."""
        path = folder / f"{number}.bin"
        path.write_bytes(bytes([number]) * 1_000_000)
        digests[number] = hashlib.sha256(path.read_bytes()).hexdigest()

    threads = [threading.Thread(target=digest, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    database = sqlite3.connect(folder / "digests.db")
    database.execute("create table digest (number integer primary key, sha256 text)")
    with database:
        database.executemany("insert into digest values (?, ?)", sorted(digests.items()))
    rows = database.execute("select number, sha256 from digest where number % 3 = 1").fetchall()
    print(json.dumps({"threads": len(threads), "rows": [[n, d[:16]] for n, d in rows]}))
    print("sqlite says", database.execute("pragma integrity_check").fetchone()[0])
