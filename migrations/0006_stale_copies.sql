-- Keys of hot copies that a change could not tell Redis to forget; noted in the transaction of the change.

CREATE TABLE stale_copies (
    key        text PRIMARY KEY,
    changed_at timestamptz NOT NULL
);
