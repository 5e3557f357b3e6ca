INSERT INTO campaign_leases (healpix)
SELECT healpix FROM unnest($1::int4[]) AS p (healpix)
WHERE NOT EXISTS (SELECT FROM campaign_leases l WHERE l.healpix = p.healpix)
ORDER BY healpix
ON CONFLICT (healpix) DO NOTHING
