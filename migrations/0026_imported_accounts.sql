-- Accounts that were imported before users.imported_at. Apart from the column, whose lock keeps every reader out.

UPDATE users SET imported_at = created_at
WHERE imported_at IS NULL
  AND id IN (SELECT target_id FROM audit_events WHERE action = 'account.imported' AND outcome = 'success');
