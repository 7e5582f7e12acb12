-- no-transaction
-- The owners of links made before share_links.owner_id; since then a trigger fills it. In steps that commit: nobody waits
-- for a row for long. It can be run again.

DO $$
DECLARE
    last uuid := '00000000-0000-0000-0000-000000000000';
    step uuid[];
BEGIN
    LOOP
        SELECT array_agg(id ORDER BY id) INTO step
        FROM (SELECT id FROM share_links WHERE id > last ORDER BY id LIMIT 1000) AS next;
        EXIT WHEN step IS NULL;
        last := step[cardinality(step)];
        UPDATE share_links SET owner_id = files.owner_id FROM files
        WHERE share_links.id = ANY (step) AND files.id = share_links.file_id AND share_links.owner_id IS NULL;
        COMMIT;
    END LOOP;
END
$$;
