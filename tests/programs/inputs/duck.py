"""DuckDB: a database in a file, an aggregate that uses threads, Parquet out and in."""

import duckdb

database = duckdb.connect("data.db")
database.execute("create table numbers as select range i, range % 97 g from range(2000000)")
database.execute("copy numbers to 'numbers.parquet' (format parquet)")
database.close()
