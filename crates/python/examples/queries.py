"""The same question to DuckDB and Polars, over rows that were resolved.

    python queries.py LAKE
"""

import argparse

import duckdb
import polars as pl

import bifrost


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lake")
    parser.add_argument("--database-url")
    options = parser.parse_args()
    answer = bifrost.open(options.lake, options.database_url).resolve("zwarn = 0 AND spectype <> 'STAR'")

    objects = answer.read(["spectype", "program", "z"])
    print(duckdb.sql("SELECT spectype, program, count(*) AS n, round(median(z), 2) AS z FROM objects GROUP BY ALL ORDER BY ALL"))

    # a lazy frame reads only the columns that its query needs
    frame = answer.polars().group_by("spectype", "program").agg(pl.len().alias("n"), pl.col("z").median().round(2))
    print(frame.sort("spectype", "program").collect())


if __name__ == "__main__":
    main()
