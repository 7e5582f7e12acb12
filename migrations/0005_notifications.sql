-- The inbox of each user.

CREATE TABLE notifications (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users ON DELETE CASCADE,
    kind       text NOT NULL,
    title      text NOT NULL,
    body       text NOT NULL,
    -- What it is about; a delivery that is repeated finds its row.
    subject    text NOT NULL,
    read_at    timestamptz,
    created_at timestamptz NOT NULL,
    UNIQUE (user_id, kind, subject)
);
CREATE INDEX notifications_inbox ON notifications (user_id, id DESC);
