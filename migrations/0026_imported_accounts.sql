-- no-transaction
-- Accounts that were imported before users.imported_at, in steps that commit: nobody waits for a row for long. It can be
-- run again.

DO $$
DECLARE
    last uuid := '00000000-0000-0000-0000-000000000000';
    step uuid[];
BEGIN
    LOOP
        SELECT array_agg(id ORDER BY id) INTO step
        FROM (SELECT id FROM users WHERE id > last ORDER BY id LIMIT 1000) AS next;
        EXIT WHEN step IS NULL;
        last := step[cardinality(step)];
        UPDATE users SET imported_at = created_at
        WHERE id = ANY (step) AND imported_at IS NULL
          AND EXISTS (SELECT FROM audit_events
                      WHERE target_id = users.id AND action = 'account.imported' AND outcome = 'success');
        COMMIT;
    END LOOP;
END
$$;
