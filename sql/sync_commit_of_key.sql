SELECT commit_id FROM commits WHERE lake_id = $1 AND key = $2
