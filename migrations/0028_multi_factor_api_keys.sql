-- Keys made before api_keys.multi_factor.

-- A key is made within minutes of a proof, and a proof takes the second factor of an account that has one. So a key
-- that is an hour younger than a factor of its owner was made with a factor. Every other key counts as made without.
UPDATE api_keys SET multi_factor = true
WHERE EXISTS (SELECT FROM totp_factors
              WHERE totp_factors.user_id = api_keys.user_id
                AND totp_factors.confirmed_at < api_keys.created_at - interval '1 hour')
   OR EXISTS (SELECT FROM passkeys
              WHERE passkeys.user_id = api_keys.user_id
                AND passkeys.created_at < api_keys.created_at - interval '1 hour');
