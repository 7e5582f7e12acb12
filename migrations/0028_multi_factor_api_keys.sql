-- no-transaction
-- Keys made before api_keys.multi_factor, in steps that commit: nobody waits for a row for long. It can be run again.

-- A key is made within minutes of a proof, and a proof takes the second factor of an account that has one. So a key
-- that is an hour younger than a factor of its owner was made with a factor. Every other key counts as made without.
DO $$
DECLARE
    last uuid := '00000000-0000-0000-0000-000000000000';
    step uuid[];
BEGIN
    LOOP
        SELECT array_agg(id ORDER BY id) INTO step
        FROM (SELECT id FROM api_keys WHERE id > last ORDER BY id LIMIT 1000) AS next;
        EXIT WHEN step IS NULL;
        last := step[cardinality(step)];
        UPDATE api_keys SET multi_factor = true
        WHERE id = ANY (step) AND NOT multi_factor
          AND (EXISTS (SELECT FROM totp_factors
                       WHERE totp_factors.user_id = api_keys.user_id
                         AND totp_factors.confirmed_at < api_keys.created_at - interval '1 hour')
               OR EXISTS (SELECT FROM passkeys
                          WHERE passkeys.user_id = api_keys.user_id
                            AND passkeys.created_at < api_keys.created_at - interval '1 hour'));
        COMMIT;
    END LOOP;
END
$$;
