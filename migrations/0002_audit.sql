-- The audit log: one row for each action, written in the transaction of the action, never changed.

CREATE TABLE audit_events (
    id          uuid PRIMARY KEY,
    occurred_at timestamptz NOT NULL,
    actor_id    uuid,
    session_id  uuid,
    action      text NOT NULL,
    target_kind text,
    target_id   uuid,
    ip          inet,
    user_agent  text,
    request_id  text,
    outcome     text NOT NULL CHECK (outcome IN ('success', 'refused')),
    details     jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_events_actor ON audit_events (actor_id, id DESC);
CREATE INDEX audit_events_target ON audit_events (target_id, id DESC);
CREATE INDEX audit_events_action ON audit_events (action, id DESC);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$;

CREATE TRIGGER audit_events_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
