-- Objects of the cataloged files by survey and by what they were targeted as.
SELECT f.release, f.survey, f.program,
       sum(t.num_rows)::int8 AS rows,
       sum(t.zwarn_zero)::int8 AS zwarn_zero,
       sum(t.negative_ids)::int8 AS negative_ids,
       sum(t.without_position)::int8 AS without_position,
       sum(t.good_fibers)::int8 AS good_fibers,
       sum(t.bgs)::int8 AS bgs,
       sum(t.bgs_zwarn_zero)::int8 AS bgs_zwarn_zero,
       sum(t.lrg)::int8 AS lrg,
       sum(t.lrg_zwarn_zero)::int8 AS lrg_zwarn_zero,
       sum(t.elg)::int8 AS elg,
       sum(t.elg_zwarn_zero)::int8 AS elg_zwarn_zero,
       sum(t.qso)::int8 AS qso,
       sum(t.qso_zwarn_zero)::int8 AS qso_zwarn_zero,
       sum(t.mws)::int8 AS mws,
       sum(t.mws_zwarn_zero)::int8 AS mws_zwarn_zero,
       sum(t.scnd)::int8 AS scnd,
       sum(t.scnd_zwarn_zero)::int8 AS scnd_zwarn_zero,
       sum(t.other)::int8 AS other,
       sum(t.other_zwarn_zero)::int8 AS other_zwarn_zero
FROM file_facts AS t
JOIN file_registry AS f ON f.file_id = t.file_id AND f.state = 'live'
GROUP BY f.release, f.survey, f.program
ORDER BY f.release, f.survey, f.program
