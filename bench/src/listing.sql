-- 1,200,000 files of the last two weeks: 1,000,000 of @LARGE@, 1,000 of @SMALL@, the rest of everybody else, mixed as
-- they would have come. About every second one has the tag `paper`, every tenth a variant.
SET session_replication_role = replica;

CREATE TEMPORARY TABLE laid AS
WITH others AS (
    SELECT array_agg(id) AS ids FROM users WHERE id NOT IN ('@LARGE@', '@SMALL@')
), numbered AS (
    SELECT n,
           CASE WHEN n % 1200 = 0 THEN '@SMALL@'::uuid
                WHEN n % 6 = 0 THEN ids[1 + n / 6 % cardinality(ids)]
                ELSE '@LARGE@'::uuid
           END AS owner_id,
           now() - (1200000 - n) * interval '1 second' AS at
    FROM generate_series(1, 1200000) AS n, others
), timed AS (
    SELECT n, owner_id, at, lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') AS milliseconds,
           md5('file' || n) AS file, md5('blob' || n) AS blob
    FROM numbered
)
SELECT n, owner_id, at,
       -- Version 7, as the product makes them.
       (milliseconds || '7' || left(file, 3) || '8' || right(file, 15))::uuid AS file_id,
       (milliseconds || '7' || left(blob, 3) || '8' || right(blob, 15))::uuid AS blob_id,
       -- No order of names is the order in which they came.
       left(file, 12) || '.jpg' AS name,
       'image/jpeg' AS content_type,
       1000 + n % 1000000 AS size
FROM timed;

INSERT INTO blobs (id, owner_id, state, object_key, content_type, size, sha256, created_at, updated_at)
SELECT blob_id, owner_id, 'stored', 'listing/' || blob_id, content_type, size, sha256(uuid_send(blob_id)), at, at
FROM laid ORDER BY n;

INSERT INTO files (id, owner_id, name, content_type, size, blob_id, created_at, updated_at)
SELECT file_id, owner_id, name, content_type, size, blob_id, at, at FROM laid ORDER BY n;

INSERT INTO file_versions (file_id, number, blob_id, created_at)
SELECT file_id, 1, blob_id, at FROM laid ORDER BY n;

INSERT INTO file_tags (owner_id, tag, file_id)
SELECT owner_id, 'paper', file_id FROM laid WHERE n / 7 % 2 = 0 ORDER BY n;

INSERT INTO file_variants (blob_id, preset, state, object_key, width, height, content_type, size, updated_at)
SELECT blob_id, 'small', 'ready', 'listing/' || blob_id || '/small', 256, 192, 'image/webp', 9000, at
FROM laid WHERE n % 10 = 5 OR n % 12000 = 0 ORDER BY n;

INSERT INTO storage_usage (owner_id, bytes, files)
SELECT owner_id, sum(size), count(*) FROM laid GROUP BY owner_id
ON CONFLICT (owner_id) DO UPDATE
SET bytes = storage_usage.bytes + excluded.bytes, files = storage_usage.files + excluded.files;
