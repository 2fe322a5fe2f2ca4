"""sqlite3, json, hashlib, decimal, zlib, struct, re, datetime: what a script does with data."""

import collections
import datetime
import decimal
import fractions
import hashlib
import json
import math
import os
import pickle
import re
import sqlite3
import struct
import zlib

db = sqlite3.connect("data.db")
print(db.execute("pragma journal_mode=wal").fetchone())
db.execute("create table t (id integer primary key, name text, v real)")
with db:
    db.executemany(
        "insert into t values (?, ?, ?)", ((i, f"n{i % 97}", i / 7) for i in range(20_000))
    )
db.execute("create index byname on t (name)")
print(
    db.execute(
        "select name, count(*), round(sum(v), 3) from t group by name order by 1 limit 3"
    ).fetchall()
)
print(db.execute("pragma integrity_check").fetchone())
with db:
    db.execute("delete from t where id % 3 = 0")
db.execute("vacuum")
print(db.execute("select count(*) from t").fetchone())
try:
    with db:
        db.execute("insert into t values (1, 'twice', 0)")
except sqlite3.IntegrityError as error:
    print(error)
db.close()
print(sorted(os.listdir(".")))

text = json.dumps(
    {"a": [1, 2.5, None, True, "ä€😀"], "b": {"c": list(range(5))}}, ensure_ascii=False
)
print(text, json.loads(text)["b"]["c"])
for name in ("md5", "sha1", "sha256", "sha512", "sha3_256", "blake2b"):
    print(name, hashlib.new(name, b"adyton" * 100_000).hexdigest())
print(
    hashlib.pbkdf2_hmac("sha256", b"word", b"salt", 1000).hex(),
    # PyPy may have none.
    hasattr(hashlib, "scrypt") and hashlib.scrypt(b"w", salt=b"s", n=1024, r=8, p=1).hex()[:16],
)
decimal.getcontext().prec = 60
print(
    decimal.Decimal(2).sqrt(),
    decimal.Decimal(1) / 7,
    fractions.Fraction(22, 7) + fractions.Fraction(1, 3),
)
print(
    math.pi,
    math.exp(1),
    math.gamma(7.5),
    math.fsum([0.1] * 10),
    float("inf") > 1e308,
    f"{1e-7:.3e}",
)
print(
    zlib.crc32(b"x" * 100_000),
    len(zlib.compress(b"abc" * 100_000)),
    struct.pack("<hIqd", -1, 2, -3, 4.5).hex(),
)
print(
    re.findall(r"(\w+)@(\w+)\.org", "one@two.org, three@four.org"),
    re.sub(r"(a+)b", r"<\1>", "aab ab b"),
)
print(
    datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc).isoformat(),
    datetime.date(2025, 1, 1) - datetime.date(2024, 1, 1),
)
print(collections.Counter("abracadabra").most_common(2), pickle.loads(pickle.dumps({"k": (1, 2)})))
print(2**1000 % 997, sorted({3: "c", 1: "a"}.items()), [x for x in range(20) if x % 7 == 3])
