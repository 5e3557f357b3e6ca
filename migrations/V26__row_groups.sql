-- Bounds of row groups become one packed value of their file: a row of arrays for each of them cost a
-- sync more than reading their footers.
--
-- header   row groups G (4 bytes); where each block begins and the last one ends, from the first byte
--          (4 bytes each)
-- block 0  rows of each group (8 bytes each)
-- block p  of the column at position p (see file_schemas), for each group: NULLs (4 bytes; -1: unknown),
--          then least and greatest value:
--          int, bool  8 bytes each; unknown: the greatest bigint as the least value, and the other way round
--          float      8 bytes each; unknown: NaN
--          text       whether both are values of the column (1 byte), then of each end its length (4 bytes;
--                     -1: unknown) and its bytes
--
-- All numbers are as send functions of their types write them.

CREATE FUNCTION int4_at(bytes bytea, place integer) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT ('x' || encode(substring(bytes FROM place + 1 FOR 4), 'hex'))::bit(32)::integer
$$;
COMMENT ON FUNCTION int4_at IS 'The integer that int4send wrote to these bytes, counted from 0';

CREATE FUNCTION int8_at(bytes bytea, place integer) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT ('x' || encode(substring(bytes FROM place + 1 FOR 8), 'hex'))::bit(64)::bigint
$$;
COMMENT ON FUNCTION int8_at IS 'The integer that int8send wrote to these bytes, counted from 0';

CREATE FUNCTION float8_at(bytes bytea, place integer) RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    bits     bigint := int8_at(bytes, place);
    sign     float8 := CASE WHEN bits < 0 THEN -1 ELSE 1 END;
    exponent bigint := (bits >> 52) & 2047;
    fraction bigint := bits & 4503599627370495;
    half     bigint := (greatest(exponent, 1) - 1075) / 2;
BEGIN
    IF exponent = 2047 THEN
        RETURN CASE WHEN fraction = 0 THEN sign * 'Infinity'::float8 ELSE 'NaN' END;
    END IF;
    IF exponent > 0 THEN
        fraction := fraction + 4503599627370496;
    END IF;
    -- in two steps, each of which is exact: one power of two might be beyond a float8
    RETURN sign * fraction * power(2::float8, half) * power(2::float8, greatest(exponent, 1) - 1075 - half);
END
$$;
COMMENT ON FUNCTION float8_at IS 'The number that float8send wrote to these bytes, counted from 0';

CREATE FUNCTION row_group_block(row_groups bytea, place integer) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    -- without FROM, so that it becomes part of the query that calls it
    SELECT substring(row_groups FROM int4_at(row_groups, 4 * place + 4) + 1
                     FOR int4_at(row_groups, 4 * place + 8) - int4_at(row_groups, 4 * place + 4))
$$;
COMMENT ON FUNCTION row_group_block IS 'What file_bounds.row_groups says of the column at this position of the schema; 0 = rows of each group';

CREATE FUNCTION row_group_bounds(
    packed bytea, place integer, kind text,
    OUT row_group integer, OUT num_rows bigint, OUT null_count integer,
    OUT int_min bigint, OUT int_max bigint, OUT float_min float8, OUT float_max float8,
    OUT text_min text, OUT text_max text
) RETURNS SETOF record
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    rows_of bytea := row_group_block(packed, 0);
    block   bytea := row_group_block(packed, place);
    at      integer := 0;
    length  integer;
BEGIN
    FOR g IN 0 .. coalesce(octet_length(rows_of), 0) / 8 - 1 LOOP
        row_group := g;
        num_rows := int8_at(rows_of, 8 * g);
        IF block IS NOT NULL THEN
            null_count := nullif(int4_at(block, at), -1);
            at := at + 4;
            IF kind = 'float' THEN
                float_min := nullif(float8_at(block, at), 'NaN');
                float_max := nullif(float8_at(block, at + 8), 'NaN');
                at := at + 16;
            ELSIF kind = 'text' THEN
                length := int4_at(block, at + 1);
                text_min := CASE WHEN length >= 0 THEN convert_from(substring(block FROM at + 6 FOR length), 'UTF8') END;
                at := at + 5 + greatest(length, 0);
                length := int4_at(block, at);
                text_max := CASE WHEN length >= 0 THEN convert_from(substring(block FROM at + 5 FOR length), 'UTF8') END;
                at := at + 4 + greatest(length, 0);
            ELSE
                int_min := nullif(int8_at(block, at), 9223372036854775807);
                int_max := nullif(int8_at(block, at + 8), -9223372036854775808);
                at := at + 16;
            END IF;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION row_group_bounds IS 'Bounds of a column, by its position and kind in file_schemas, in each row group that file_bounds.row_groups tells of';

DROP VIEW row_groups, column_bounds, bounds_ever;
ALTER TABLE file_bounds ADD COLUMN row_groups bytea;
ALTER TABLE past_bounds ADD COLUMN row_groups bytea;
-- in parts, of which only those that are asked for are read
ALTER TABLE file_bounds ALTER COLUMN row_groups SET STORAGE EXTERNAL;
ALTER TABLE past_bounds ALTER COLUMN row_groups SET STORAGE EXTERNAL;

CREATE TEMPORARY TABLE packed ON COMMIT DROP AS
WITH groups AS MATERIALIZED (
    SELECT * FROM file_bounds WHERE row_group >= 0
    UNION ALL
    SELECT * FROM past_bounds WHERE row_group >= 0
), blocks AS (
    SELECT file_id, 0 AS place, string_agg(int8send(num_rows), '' ORDER BY row_group) AS block
    FROM groups
    GROUP BY file_id
    UNION ALL
    SELECT g.file_id, c."position", string_agg(
        int4send(coalesce(g.null_count[c."position"], -1)) || CASE c.kind
            WHEN 'float' THEN float8send(coalesce(g.float_min[c.slot], 'NaN')) || float8send(coalesce(g.float_max[c.slot], 'NaN'))
            WHEN 'text' THEN CASE WHEN g.text_exact[c.slot] THEN '\x01'::bytea ELSE '\x00' END
                || coalesce(int4send(octet_length(g.text_min[c.slot])) || convert_to(g.text_min[c.slot], 'UTF8'), int4send(-1))
                || coalesce(int4send(octet_length(g.text_max[c.slot])) || convert_to(g.text_max[c.slot], 'UTF8'), int4send(-1))
            ELSE int8send(coalesce(g.int_min[c.slot], 9223372036854775807)) || int8send(coalesce(g.int_max[c.slot], -9223372036854775808))
        END, '' ORDER BY g.row_group)
    FROM groups g
    JOIN file_registry f USING (file_id)
    JOIN file_schemas s USING (schema_id)
    CROSS JOIN LATERAL jsonb_to_recordset(s.columns) AS c (kind text, slot integer, "position" integer)
    WHERE c."position" IS NOT NULL
    GROUP BY g.file_id, c."position"
), placed AS (
    SELECT file_id, place, block,
           8 + 4 * count(*) OVER (PARTITION BY file_id)
               + sum(octet_length(block)) OVER (PARTITION BY file_id ORDER BY place) AS ends
    FROM blocks
)
SELECT file_id,
       int4send((min(octet_length(block)) FILTER (WHERE place = 0) / 8)::integer)
           || string_agg(int4send((ends - octet_length(block))::integer), '' ORDER BY place)
           || int4send(max(ends)::integer)
           || string_agg(block, '' ORDER BY place) AS row_groups
FROM placed
GROUP BY file_id;
UPDATE file_bounds b SET row_groups = p.row_groups FROM packed p WHERE p.file_id = b.file_id AND b.row_group = -1;
UPDATE past_bounds b SET row_groups = p.row_groups FROM packed p WHERE p.file_id = b.file_id AND b.row_group = -1;
DELETE FROM file_bounds WHERE row_group >= 0;
DELETE FROM past_bounds WHERE row_group >= 0;
-- with the column goes the primary key that it was part of
ALTER TABLE file_bounds DROP COLUMN row_group, ADD PRIMARY KEY (file_id);
ALTER TABLE past_bounds DROP COLUMN row_group, ADD PRIMARY KEY (file_id);
COMMENT ON TABLE file_bounds IS 'Least and greatest value of every scalar column of a file; array position = slot of the column in file_schemas; NULL, of an element or of an array, = unknown';
COMMENT ON COLUMN file_bounds.row_groups IS 'Bounds of its row groups, where it has several, packed: see row_group_bounds; NULL = unknown';
COMMENT ON COLUMN past_bounds.row_groups IS 'Bounds of its row groups, where it has several, packed: see row_group_bounds; NULL = unknown';

CREATE VIEW bounds_ever AS SELECT * FROM file_bounds UNION ALL SELECT * FROM past_bounds;
COMMENT ON VIEW bounds_ever IS 'Bounds of all versions of which some are known, live or not';

CREATE VIEW row_groups AS
SELECT f.file_id, f.node, f.path, f.product, g.row_group, g.num_rows
FROM files f
JOIN file_bounds b USING (file_id)
CROSS JOIN LATERAL (
    SELECT 0, b.num_rows WHERE f.num_row_groups = 1
    UNION ALL
    SELECT r.row_group, r.num_rows FROM row_group_bounds(b.row_groups, NULL, NULL) AS r
) AS g (row_group, num_rows);
COMMENT ON VIEW row_groups IS 'Row groups of the files that may be read, numbered from 0. Example: SELECT path, count(*), max(num_rows) FROM row_groups GROUP BY path';

CREATE VIEW column_bounds AS
SELECT f.file_id, f.node, f.path, f.product, g.row_group, g.num_rows,
       c.name AS column_name, c.type AS column_type,
       g.null_count, g.int_min, g.int_max, g.float_min, g.float_max, g.text_min, g.text_max
FROM files f
JOIN file_registry r USING (file_id)
JOIN file_schemas s USING (schema_id)
CROSS JOIN LATERAL jsonb_to_recordset(s.columns)
    AS c (name text, type text, kind text, slot integer, "position" integer)
JOIN file_bounds b USING (file_id)
CROSS JOIN LATERAL (
    SELECT CASE WHEN f.num_row_groups = 1 THEN 0 END, b.num_rows, b.null_count[c."position"],
           CASE WHEN c.kind IN ('int', 'bool') THEN b.int_min[c.slot] END,
           CASE WHEN c.kind IN ('int', 'bool') THEN b.int_max[c.slot] END,
           CASE WHEN c.kind = 'float' THEN b.float_min[c.slot] END,
           CASE WHEN c.kind = 'float' THEN b.float_max[c.slot] END,
           CASE WHEN c.kind = 'text' THEN b.text_min[c.slot] END,
           CASE WHEN c.kind = 'text' THEN b.text_max[c.slot] END
    UNION ALL
    SELECT p.row_group, p.num_rows, p.null_count, p.int_min, p.int_max, p.float_min, p.float_max,
           p.text_min COLLATE "C", p.text_max COLLATE "C"
    FROM row_group_bounds(b.row_groups, c."position", c.kind) AS p
) AS g (row_group, num_rows, null_count, int_min, int_max, float_min, float_max, text_min, text_max);
COMMENT ON VIEW column_bounds IS 'Least and greatest value of each column of each row group (row_group NULL: of the whole file of several); a NULL bound is unknown. Example: SELECT path, row_group FROM column_bounds WHERE column_name = ''ebv'' AND (float_max >= 0.3 OR float_max IS NULL)';
