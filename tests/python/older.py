"""A registry of the schema before V26, made of one of the last."""

import pathlib
import re

BEFORE = 25
MIGRATIONS = pathlib.Path(__file__).parents[2] / "migrations"


def older(connection, row_groups=()):
    """Undoes V28 to V26; `row_groups`: (file, group, rows, {array: values by slot}) as it found them."""
    last = connection.execute("SELECT max(version) FROM refinery_schema_history").fetchone()[0]
    assert last == 28, "a later migration: undo that one as well"
    connection.execute("DELETE FROM refinery_schema_history WHERE version > %s", [BEFORE])
    connection.execute("ALTER TABLE file_cells DROP objects")
    connection.execute("DROP FUNCTION is_product")
    connection.execute("DROP VIEW row_groups, column_bounds, bounds_ever")
    for table in ("file_bounds", "past_bounds"):
        connection.execute(
            f"ALTER TABLE {table} DROP row_groups, ADD row_group integer NOT NULL DEFAULT -1,"
            f" DROP CONSTRAINT {table}_pkey, ADD PRIMARY KEY (file_id, row_group)"
        )
    for file, group, rows, arrays in row_groups:
        names, values = list(arrays), list(arrays.values())
        connection.execute(
            f"INSERT INTO file_bounds (file_id, row_group, num_rows, {', '.join(names)})"
            f" VALUES (%s, %s, %s{', %s' * len(names)})",
            [file, group, rows, *values],
        )
    connection.execute("DROP FUNCTION row_group_bounds, row_group_block, float8_at, int8_at, int4_at")
    forget_cells = (MIGRATIONS / "V10__questions.sql").read_text()
    forget_cells = re.search(r"CREATE FUNCTION forget_cells.*?\$\$;", forget_cells, re.S)[0]
    connection.execute(forget_cells.replace("CREATE", "CREATE OR REPLACE", 1))
    for file, views in [("V2__views.sql", ["row_groups", "column_bounds"]), ("V9__time.sql", ["bounds_ever"])]:
        text = (MIGRATIONS / file).read_text()
        for view in views:
            connection.execute(re.search(rf"CREATE VIEW {view} .*?;", text, re.S)[0])
