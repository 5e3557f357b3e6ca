-- Whether this registry made that commit at that time: another one, made anew, counts from 1 again.
SELECT EXISTS (SELECT FROM commits WHERE commit_id = $1 AND committed_at = $2)
