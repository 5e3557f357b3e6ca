COPY file_facts (
    file_id, num_rows, zwarn_zero, negative_ids, without_position, good_fibers, bgs,
    bgs_zwarn_zero, lrg, lrg_zwarn_zero, elg, elg_zwarn_zero, qso, qso_zwarn_zero, mws,
    mws_zwarn_zero, scnd, scnd_zwarn_zero, other, other_zwarn_zero)
FROM STDIN (FORMAT binary)
