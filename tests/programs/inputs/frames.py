"""polars: groups, a join, Parquet written and scanned lazily, all threads at work."""

import polars

frame = polars.DataFrame({"a": range(1_000_000)}).with_columns((polars.col("a") % 13).alias("g"))
names = polars.DataFrame({"g": range(13), "name": [f"n{i}" for i in range(13)]})
frame.write_parquet("frame.parquet")
