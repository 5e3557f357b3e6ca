-- What could not be told was not: the right to tell it is anybody's again.
DELETE FROM campaign_notices WHERE release = $1 AND event = $2 AND node = $3
