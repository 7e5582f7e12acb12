//! The clean-up: expired rows of every kind are removed, and others stay.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plinth_core::Stores;
use plinth_core::cleanup::{self, Kept, Kind, Report, Request};
use plinth_domain::id::{JobId, UserId};
use plinth_testkit::Stage;
use sqlx::AssertSqlSafe;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// A kind, the row that makes an item of it, an age at which the item is removed and one at which
/// it stays, in seconds.
struct Case {
    kind: Kind,
    /// The SQL after INSERT INTO. It may use `who`, `at`, and `id`, a UUIDv7 of that time.
    row: &'static str,
    expired_age: u64,
    kept_age: u64,
}

const CASES: &[Case] = &[
    Case {
        kind: Kind::Sessions,
        row: "sessions (id, user_id, refresh_hash, authenticated_at, last_seen_at, idle_expires_at, expires_at,
                created_at)
              SELECT id, who, sha256(id::text::bytea), at, at, at, now() + interval '1 day', at FROM given",
        expired_age: 31 * DAY,
        kept_age: 29 * DAY,
    },
    Case {
        kind: Kind::OneTimeTokens,
        row: "one_time_tokens (token_hash, user_id, purpose, expires_at, created_at)
              SELECT sha256(id::text::bytea), who, 'verify_email', at, at FROM given",
        expired_age: 2 * HOUR,
        kept_age: HOUR / 2,
    },
    Case {
        kind: Kind::EmailUndos,
        row: "email_undos (user_id, email_key, changed_at, expires_at) SELECT who, id::text, at, at FROM given",
        expired_age: 2 * HOUR,
        kept_age: HOUR / 2,
    },
    Case {
        kind: Kind::RevokedTokens,
        row: "revoked_tokens (id, expires_at) SELECT id, at FROM given",
        expired_age: 2 * HOUR,
        kept_age: HOUR / 2,
    },
    Case {
        kind: Kind::ApiKeys,
        row: "api_keys (id, user_id, name, token_hash, hint, scopes, expires_at, created_at)
              SELECT id, who, 'x', sha256(id::text::bytea), 'x', '{}', at, at FROM given",
        expired_age: 31 * DAY,
        kept_age: 29 * DAY,
    },
    Case {
        kind: Kind::ShareLinks,
        row: "share_links (id, file_id, token_hash, expires_at, created_at)
              SELECT given.id, shared.id, sha256(given.id::text::bytea), at, at
              FROM given, (SELECT id FROM files WHERE name = 'shared') AS shared",
        expired_age: 31 * DAY,
        kept_age: 29 * DAY,
    },
    Case {
        kind: Kind::SigningKeys,
        row: "signing_keys (kid, public_key, private_key, activates_at, retires_at, created_at)
              SELECT id::text, sha256(id::text::bytea), '', at, at, at FROM given",
        expired_age: 31 * DAY,
        kept_age: 29 * DAY,
    },
    Case {
        kind: Kind::Challenges,
        row: "challenges (token_hash, purpose, user_id, expires_at, created_at)
              SELECT sha256(id::text::bytea), 'login', who, at, at FROM given",
        expired_age: 2 * HOUR,
        kept_age: HOUR / 2,
    },
    Case {
        kind: Kind::UnverifiedRegistrations,
        row: "registrations (id, email, email_key, password_hash, created_at)
              SELECT id, 'x@example.org', 'x@example.org', 'x', at FROM given",
        expired_age: 8 * DAY,
        kept_age: 6 * DAY,
    },
    Case {
        kind: Kind::UnconfirmedFactors,
        row: "totp_factors (id, user_id, name, secret, created_at) SELECT id, who, 'x', '', at FROM given",
        expired_age: 2 * HOUR,
        kept_age: HOUR / 2,
    },
    Case {
        kind: Kind::TrashedFiles,
        row: "files (id, owner_id, name, content_type, size, blob_id, trashed_at, created_at, updated_at)
              SELECT given.id, who, 'x', 'text/plain', 1, blob.id, at, at, at
              FROM given, (SELECT id FROM blobs WHERE state = 'stored') AS blob",
        expired_age: 31 * DAY,
        kept_age: 29 * DAY,
    },
    Case {
        kind: Kind::AbandonedUploads,
        row: "blobs (id, owner_id, state, object_key, created_at, updated_at)
              SELECT id, who, 'receiving', 'blobs/' || id || '/content', at, at FROM given",
        expired_age: 25 * HOUR,
        kept_age: 23 * HOUR,
    },
    Case {
        kind: Kind::ReadNotifications,
        row: "notifications (id, user_id, kind, title, body, subject, read_at, created_at)
              SELECT id, who, 'x', 'x', 'x', id, at, at FROM given",
        expired_age: 91 * DAY,
        kept_age: 89 * DAY,
    },
    Case {
        kind: Kind::UnreadNotifications,
        row: "notifications (id, user_id, kind, title, body, subject, created_at)
              SELECT id, who, 'x', 'x', 'x', id, at FROM given",
        expired_age: 366 * DAY,
        kept_age: 364 * DAY,
    },
    Case {
        kind: Kind::FinishedJobs,
        row: "jobs (id, queue, kind, payload, payload_version, max_attempts, run_at, created_at, state, finished_at)
              SELECT id, 'email', 'x', '{}', 1, 1, at, at, 'done', at FROM given",
        expired_age: 8 * DAY,
        kept_age: 6 * DAY,
    },
    Case {
        kind: Kind::DeadJobs,
        row: "jobs (id, queue, kind, payload, payload_version, max_attempts, run_at, created_at, state, finished_at)
              SELECT id, 'email', 'x', '{}', 1, 1, at, at, 'dead', at FROM given",
        expired_age: 91 * DAY,
        kept_age: 89 * DAY,
    },
];

/// Kinds whose items are removed at any age, or that need more than one row.
const MORE: &[Case] = &[
    Case {
        kind: Kind::StaleCopies,
        row: "stale_copies (key, changed_at) SELECT id::text, at FROM given",
        expired_age: DAY,
        kept_age: 0,
    },
    Case {
        kind: Kind::UnverifiedAccounts,
        row: NEVER_VERIFIED,
        expired_age: 8 * DAY,
        kept_age: 6 * DAY,
    },
    Case {
        kind: Kind::DeletedAccounts,
        row: DELETED,
        expired_age: HOUR,
        kept_age: 0,
    },
];

const NEVER_VERIFIED: &str = "users (id, email, email_key, created_at, updated_at) SELECT id, id::text, id::text, at, at FROM given";

const DELETED: &str =
    "users (id, email, email_key, status, deletion_due_at, created_at, updated_at)
    SELECT id, id::text, id::text, 'deleting', at, at, at FROM given";

struct House {
    stores: Stores,
    kept: Kept,
    user: Uuid,
    _stage: Stage,
}

impl House {
    async fn open() -> Self {
        Self::with(&[]).await
    }

    async fn with(changes: &[(&str, &str)]) -> Self {
        let stage = Stage::open().await;
        let settings = stage.settings_with(changes);
        let stores = Stores::new(&settings, "test").expect("valid settings");
        let user = UserId::mint(stores.clock.now()).0;
        sqlx::query("INSERT INTO users (id, email, email_key, created_at, updated_at) VALUES ($1, 'a', 'a', now(), now())")
            .bind(user)
            .execute(&stores.db)
            .await
            .expect("inserts");
        sqlx::query(
            "INSERT INTO blobs (id, owner_id, state, object_key, sha256, created_at, updated_at)
             VALUES (gen_random_uuid(), $1, 'stored', 'x', sha256('x'), now(), now())",
        )
        .bind(user)
        .execute(&stores.db)
        .await
        .expect("inserts");
        sqlx::query(
            "INSERT INTO files (id, owner_id, name, content_type, size, blob_id, created_at, updated_at)
             SELECT gen_random_uuid(), $1, 'shared', 'text/plain', 1, id, now(), now() FROM blobs",
        )
        .bind(user)
        .execute(&stores.db)
        .await
        .expect("inserts");
        Self {
            stores,
            kept: Kept::of(&settings),
            user,
            _stage: stage,
        }
    }

    /// Inserts a row of an age.
    async fn insert(&self, row: &'static str, seconds: u64) -> Uuid {
        let at = self.stores.clock.now() - Duration::from_secs(seconds);
        let id = JobId::mint(at).0;
        let sql = format!(
            "WITH given AS (SELECT $1::uuid AS who, $2::timestamptz AS at, $3::uuid AS id) INSERT INTO {row}"
        );
        let insert = sqlx::query(AssertSqlSafe(sql))
            .bind(self.user)
            .bind(at)
            .bind(id);
        insert.execute(&self.stores.db).await.expect("inserts");
        id
    }

    async fn insert_expired_and_kept(&self) {
        for case in CASES {
            self.insert(case.row, case.expired_age).await;
            self.insert(case.row, case.kept_age).await;
        }
        self.insert(
            "stale_copies (key, changed_at) SELECT id, at FROM given",
            DAY,
        )
        .await;
        self.insert(DELETED, HOUR).await;
        self.insert_never_verified(8 * DAY).await;
    }

    async fn insert_case(&self, case: &Case, seconds: u64) -> Uuid {
        match case.kind {
            Kind::UnverifiedAccounts => self.insert_never_verified(seconds).await,
            _ => self.insert(case.row, seconds).await,
        }
    }

    /// Inserts an account that registered itself with a release without registrations.
    async fn insert_never_verified(&self, seconds: u64) -> Uuid {
        let id = self.insert(NEVER_VERIFIED, seconds).await;
        sqlx::query(
            "INSERT INTO audit_events (id, occurred_at, action, target_id, outcome)
             VALUES (gen_random_uuid(), now(), 'account.registered', $1, 'success')",
        )
        .bind(id)
        .execute(&self.stores.db)
        .await
        .expect("inserts");
        id
    }

    async fn run(&self, request: &Request) -> Report {
        self.run_until(request, &CancellationToken::new()).await
    }

    async fn run_until(&self, request: &Request, stop: &CancellationToken) -> Report {
        cleanup::run(&self.stores, &self.kept, request, stop)
            .await
            .expect("runs")
    }

    /// Returns the number of rows in all tables that are cleaned.
    async fn rows(&self) -> i64 {
        let mut rows = 0;
        for table in [
            "sessions",
            "one_time_tokens",
            "email_undos",
            "revoked_tokens",
            "api_keys",
            "share_links",
            "signing_keys",
            "challenges",
            "totp_factors",
            "files WHERE name <> 'shared'",
            "blobs WHERE state <> 'stored'",
            "notifications",
            "jobs WHERE kind = 'x'",
            "stale_copies",
            "registrations",
        ] {
            rows += self
                .count(AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
                .await;
        }
        rows
    }

    async fn count(&self, sql: impl sqlx::SqlSafeStr) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(&self.stores.db)
            .await
            .expect("counts")
    }

    /// Inserts done jobs of an age, each a millisecond after the previous one.
    async fn finish_jobs(&self, jobs: i64, seconds: u64) {
        let at = self.stores.clock.now() - Duration::from_secs(seconds);
        let ids: Vec<_> = (0..jobs)
            .map(|number| JobId::mint(at + time::Duration::milliseconds(number)).0)
            .collect();
        sqlx::query(
            "INSERT INTO jobs (id, queue, kind, payload, payload_version, max_attempts, run_at, created_at, state,
                 finished_at)
             SELECT id, 'email', 'x', '{}', 1, 1, $2, $2, 'done', $2 FROM unnest($1::uuid[]) AS id",
        )
        .bind(&ids)
        .bind(at)
        .execute(&self.stores.db)
        .await
        .expect("inserts");
    }
}

fn only(kind: Kind) -> Request {
    Request {
        only: vec![kind],
        ..Request::default()
    }
}

fn one_of_each() -> BTreeMap<Kind, u64> {
    Kind::ALL.iter().map(|kind| (*kind, 1)).collect()
}

/// Unverified accounts come from releases without registrations.
#[tokio::test]
async fn only_self_registered_unverified_accounts_are_removed() {
    let house = House::open().await;
    let account = async |name: &str, days: u64, action: &str, imported: bool| {
        let at = house.stores.clock.now() - Duration::from_secs(days * DAY);
        let id = UserId::mint(at).0;
        sqlx::query(
            "INSERT INTO users (id, email, email_key, created_at, updated_at, imported_at)
             VALUES ($1, $2, $2, $3, $3, CASE WHEN $4 THEN $3 END)",
        )
        .bind(id)
        .bind(name)
        .bind(at)
        .bind(imported)
        .execute(&house.stores.db)
        .await
        .expect("inserts");
        sqlx::query(
            "INSERT INTO audit_events (id, occurred_at, action, target_id, outcome)
             VALUES (gen_random_uuid(), $2, $3, $1, 'success')",
        )
        .bind(id)
        .bind(at)
        .bind(action)
        .execute(&house.stores.db)
        .await
        .expect("inserts");
    };
    account("registered", 8, "account.registered", false).await;
    account("young", 6, "account.registered", false).await;
    account("imported", 8, "account.imported", true).await;
    account("created", 8, "account.administrator_created", false).await;
    let report = house.run(&only(Kind::UnverifiedAccounts)).await;
    assert_eq!(report.of(Kind::UnverifiedAccounts), 1);
    assert_eq!(
        house
            .count("SELECT count(*) FROM users WHERE email = 'registered'")
            .await,
        0
    );
    assert_eq!(
        house.count("SELECT count(*) FROM users").await,
        4,
        "the others and the one of the fixture stay"
    );
}

#[tokio::test]
async fn expired_rows_of_every_kind_are_removed_and_others_stay() {
    let house = House::open().await;
    house.insert_expired_and_kept().await;
    let before = house.rows().await;
    let report = house.run(&Request::default()).await;
    assert_eq!(report.removed, one_of_each(), "{report:?}");
    assert!(!report.stopped && report.failed.is_empty(), "{report:?}");
    assert_eq!(house.rows().await, before - 17);
    let again = house.run(&Request::default()).await;
    assert!(
        again.removed.values().all(|removed| *removed == 0),
        "{again:?}"
    );
    // The younger item of each kind is removed when it expires.
    house.stores.clock.advance(time::Duration::days(3));
    let later = house.run(&Request::default()).await;
    let mut expected = one_of_each();
    // Each of these kinds had only one item.
    expected.insert(Kind::StaleCopies, 0);
    expected.insert(Kind::DeletedAccounts, 0);
    expected.insert(Kind::UnverifiedAccounts, 0);
    assert_eq!(later.removed, expected);
    assert_eq!(house.rows().await, 0);
}

#[tokio::test]
async fn a_dry_run_counts_and_changes_nothing() {
    let house = House::open().await;
    house.insert_expired_and_kept().await;
    let before = house.rows().await;
    let events = "SELECT count(*) FROM audit_events WHERE action <> 'account.registered'";
    let report = house
        .run(&Request {
            dry_run: true,
            ..Request::default()
        })
        .await;
    assert_eq!(report.removed, one_of_each(), "{report:?}");
    assert!(report.dry_run);
    assert_eq!((house.rows().await, house.count(events).await), (before, 0));
    house.run(&Request::default()).await;
    // The events of the clean-up, of the file removed from the trash, and of the account.
    assert_eq!(
        (house.rows().await, house.count(events).await),
        (before - 17, 3)
    );
}

#[tokio::test]
async fn only_the_named_kinds_are_removed() {
    let house = House::open().await;
    house.insert_expired_and_kept().await;
    let before = house.rows().await;
    for case in CASES {
        let report = house.run(&only(case.kind)).await;
        assert_eq!(
            report.removed,
            BTreeMap::from([(case.kind, 1)]),
            "{report:?}"
        );
    }
    assert_eq!(house.rows().await, before - 16);
}

#[tokio::test]
async fn a_given_age_replaces_the_settings_but_removes_nothing_in_use() {
    let house = House::open().await;
    for case in CASES {
        house.insert(case.row, case.kept_age).await;
    }
    let request = Request {
        older_than: Some(Duration::from_mins(10)),
        ..Request::default()
    };
    let report = house.run(&request).await;
    for case in CASES {
        let is_in_use = matches!(
            case.kind,
            Kind::UnconfirmedFactors
                | Kind::UnverifiedRegistrations
                | Kind::UnverifiedAccounts
                | Kind::AbandonedUploads
                | Kind::TrashedFiles
                | Kind::UnreadNotifications
        );
        assert_eq!(
            report.of(case.kind),
            u64::from(!is_in_use),
            "{} {report:?}",
            case.kind
        );
    }
    let long = Request {
        older_than: Some(Duration::from_hours(24 * 1_000)),
        ..Request::default()
    };
    house.insert_expired_and_kept().await;
    house.insert(CASES[0].row, 999 * DAY).await;
    let report = house.run(&long).await;
    assert_eq!(
        report.removed.values().sum::<u64>(),
        report.of(Kind::StaleCopies),
        "{report:?}"
    );
}

#[tokio::test]
async fn unfinished_jobs_stay_at_any_age() {
    let house = House::open().await;
    for state in ["queued", "retrying", "running"] {
        let row =
            "jobs (id, queue, kind, payload, payload_version, max_attempts, run_at, created_at)
            SELECT id, 'email', 'x', '{}', 1, 1, at, at FROM given";
        let id = house.insert(row, 400 * DAY).await;
        let update = sqlx::query("UPDATE jobs SET state = $2, lease_until = now() WHERE id = $1");
        update
            .bind(id)
            .bind(state)
            .execute(&house.stores.db)
            .await
            .expect("updates");
    }
    // Created long ago, finished recently.
    let late = "jobs (id, queue, kind, payload, payload_version, max_attempts, run_at, created_at, state, finished_at)
        SELECT id, 'email', 'x', '{}', 1, 1, at, at, 'done', now() FROM given";
    house.insert(late, 400 * DAY).await;
    let cancelled = "jobs (id, queue, kind, payload, payload_version, max_attempts, run_at, created_at, state, finished_at)
        SELECT id, 'email', 'x', '{}', 1, 1, at, at, 'cancelled', at FROM given";
    let id = house.insert(cancelled, 8 * DAY).await;
    for child in [
        "INSERT INTO job_attempts (job_id, claim, attempt, worker, started_at, ended_at, outcome)
         VALUES ($1, 1, 1, 'w', now(), now(), 'cancelled')",
        "INSERT INTO sent_mails (job_id, begun_at) VALUES ($1, now())",
    ] {
        sqlx::query(child)
            .bind(id)
            .execute(&house.stores.db)
            .await
            .expect("inserts");
    }
    let report = house.run(&Request::default()).await;
    assert_eq!(
        (report.of(Kind::FinishedJobs), report.of(Kind::DeadJobs)),
        (1, 0)
    );
    assert_eq!(
        house
            .count("SELECT count(*) FROM jobs WHERE state <> 'cancelled'")
            .await,
        4
    );
    let children = "SELECT (SELECT count(*) FROM job_attempts) + (SELECT count(*) FROM sent_mails)";
    assert_eq!(house.count(children).await, 0);
}

#[tokio::test]
async fn two_concurrent_clean_ups_remove_every_job_once() {
    let house = House::open().await;
    house.finish_jobs(9_000, 30 * DAY).await;
    house.finish_jobs(500, DAY).await;
    let request = only(Kind::FinishedJobs);
    let counted = house
        .run(&Request {
            dry_run: true,
            ..request.clone()
        })
        .await;
    assert_eq!(counted.of(Kind::FinishedJobs), 9_000);
    let (one, other) = tokio::join!(house.run(&request), house.run(&request));
    let removed = [one.of(Kind::FinishedJobs), other.of(Kind::FinishedJobs)];
    assert_eq!(removed.iter().sum::<u64>(), 9_000, "{removed:?}");
    assert_eq!(house.count("SELECT count(*) FROM jobs").await, 500);
}

#[tokio::test]
async fn a_job_that_is_redriven_during_the_clean_up_stays() {
    let house = House::open().await;
    house.finish_jobs(2, 30 * DAY).await;
    let mut redrive = house.stores.db.begin().await.expect("begins");
    sqlx::query(
        "UPDATE jobs SET state = 'queued', finished_at = NULL WHERE id = (SELECT id FROM jobs LIMIT 1)",
    )
    .execute(&mut *redrive)
    .await
    .expect("updates");
    // The clean-up skips a locked row.
    assert_eq!(
        house
            .run(&only(Kind::FinishedJobs))
            .await
            .of(Kind::FinishedJobs),
        1
    );
    redrive.commit().await.expect("commits");
    assert_eq!(
        house
            .run(&only(Kind::FinishedJobs))
            .await
            .of(Kind::FinishedJobs),
        0
    );
    assert_eq!(
        house
            .count("SELECT count(*) FROM jobs WHERE state = 'queued'")
            .await,
        1
    );
}

#[tokio::test]
async fn a_row_that_cannot_be_removed_is_passed_over_in_every_kind() {
    let house = House::open().await;
    for statement in [
        "CREATE TABLE poison (key text)",
        "CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF EXISTS (SELECT FROM poison WHERE position(key IN OLD::text) > 0) THEN RAISE EXCEPTION 'poison'; END IF;
             IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
             RETURN NEW; END $$",
    ] {
        sqlx::query(statement).execute(&house.stores.db).await.expect("executes");
    }
    let mut kinds = BTreeSet::new();
    for case in CASES.iter().chain(MORE) {
        kinds.insert(case.kind);
        let table = case.row.split(' ').next().expect("a table");
        // The row of a deleted account is updated, not deleted.
        let events = if table == "users" {
            "DELETE OR UPDATE"
        } else {
            "DELETE"
        };
        let trigger = format!(
            "CREATE OR REPLACE TRIGGER poison BEFORE {events} ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_poison()"
        );
        sqlx::query(AssertSqlSafe(trigger))
            .execute(&house.stores.db)
            .await
            .expect("executes");
        // The oldest item comes first in every order.
        let poison = house.insert_case(case, case.expired_age + HOUR).await;
        sqlx::query("INSERT INTO poison VALUES ($1), (encode(sha256($1::bytea), 'hex'))")
            .bind(poison.to_string())
            .execute(&house.stores.db)
            .await
            .expect("inserts");
        for _ in 0..3 {
            house.insert_case(case, case.expired_age).await;
        }
        let report = house.run(&only(case.kind)).await;
        assert_eq!(
            (report.of(case.kind), report.passed_over.get(&case.kind)),
            (3, Some(&1)),
            "{report:?}"
        );
        assert!(
            report
                .failures()
                .is_some_and(|failures| failures.contains("poison")),
            "{report:?}"
        );
        assert_eq!(report.ended_early, None, "{report:?}");
    }
    assert_eq!(kinds, Kind::ALL.iter().copied().collect());
    let report = house.run(&Request::default()).await;
    assert!(
        report.removed.values().all(|removed| *removed == 0),
        "{report:?}"
    );
}

#[tokio::test]
async fn registrations_and_accounts_that_cannot_be_removed_do_not_hide_each_other() {
    let house = House::open().await;
    let registration = "registrations (id, email, email_key, password_hash, created_at)
                        SELECT id, 'x@example.org', 'x@example.org', 'x', at FROM given";
    for statement in [
        "CREATE TABLE poison (id uuid)",
        "CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF OLD.id IN (SELECT id FROM poison) THEN RAISE EXCEPTION 'poison'; END IF; RETURN OLD; END $$",
        "CREATE TRIGGER poison BEFORE DELETE ON registrations FOR EACH ROW EXECUTE FUNCTION refuse_poison()",
        "CREATE TRIGGER poison BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION refuse_poison()",
    ] {
        sqlx::query(statement).execute(&house.stores.db).await.expect("executes");
    }
    for days in [10, 9, 8] {
        let inserted = [
            house.insert(registration, days * DAY).await,
            house.insert_never_verified(days * DAY).await,
        ];
        // The oldest item of each kind fails.
        if days == 10 {
            let poison =
                sqlx::query("INSERT INTO poison SELECT unnest($1::uuid[])").bind(inserted.to_vec());
            poison.execute(&house.stores.db).await.expect("inserts");
        }
    }
    let kinds = [Kind::UnverifiedRegistrations, Kind::UnverifiedAccounts];
    let report = house
        .run(&Request {
            only: kinds.to_vec(),
            ..Request::default()
        })
        .await;
    for kind in kinds {
        assert_eq!(
            (report.of(kind), report.passed_over.get(&kind)),
            (2, Some(&1)),
            "{report:?}"
        );
    }
    assert_eq!(house.count("SELECT count(*) FROM registrations").await, 1);
}

#[tokio::test]
async fn an_account_that_cannot_be_deleted_is_passed_over() {
    let house = House::open().await;
    // The oldest account comes first.
    for hours in [4, 3, 2, 1] {
        house.insert(DELETED, hours * HOUR).await;
    }
    for statement in [
        "CREATE TABLE poison AS SELECT id FROM users WHERE status = 'deleting' ORDER BY id LIMIT 1",
        "CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.id IN (SELECT id FROM poison) THEN RAISE EXCEPTION 'poison'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER poison BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION refuse_poison()",
    ] {
        sqlx::query(statement).execute(&house.stores.db).await.expect("executes");
    }
    let report = house.run(&only(Kind::DeletedAccounts)).await;
    let kind = Kind::DeletedAccounts;
    assert_eq!(
        (report.of(kind), report.passed_over.get(&kind)),
        (3, Some(&1)),
        "{report:?}"
    );
    assert_eq!(report.ended_early, None, "{report:?}");
    assert_eq!(
        house
            .count("SELECT count(*) FROM users WHERE status = 'deleted'")
            .await,
        3
    );
    assert_eq!(
        house
            .count("SELECT count(*) FROM users WHERE status = 'deleting'")
            .await,
        1
    );
}

#[tokio::test]
async fn a_kind_whose_rows_all_fail_is_given_up() {
    let house = House::open().await;
    for statement in [
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'poison'; END $$",
        "CREATE TRIGGER poison BEFORE DELETE ON jobs FOR EACH ROW EXECUTE FUNCTION refuse()",
    ] {
        sqlx::query(statement)
            .execute(&house.stores.db)
            .await
            .expect("executes");
    }
    house.finish_jobs(300, 30 * DAY).await;
    house.insert(CASES[0].row, CASES[0].expired_age).await;
    let report = house.run(&Request::default()).await;
    assert_eq!(
        (report.of(Kind::FinishedJobs), report.of(Kind::Sessions)),
        (0, 1)
    );
    assert!(
        report.ended_early.is_some() && report.passed_over[&Kind::FinishedJobs] < 300,
        "{report:?}"
    );
}

#[tokio::test]
async fn a_stopped_clean_up_reports_it() {
    let house = House::open().await;
    house.insert_expired_and_kept().await;
    let before = house.rows().await;
    let stop = CancellationToken::new();
    stop.cancel();
    let report = house.run_until(&Request::default(), &stop).await;
    assert!(report.stopped, "{report:?}");
    assert_eq!(house.rows().await, before);
}

#[tokio::test]
async fn a_failing_kind_does_not_stop_the_others() {
    let house = House::with(&[("PLINTH_S3_ENDPOINT", "http://127.0.0.1:9")]).await;
    house.insert_expired_and_kept().await;
    let report = house.run(&Request::default()).await;
    // The marker of the bucket cannot be read.
    let with_objects = [
        Kind::DeletedAccounts,
        Kind::TrashedFiles,
        Kind::AbandonedUploads,
    ];
    assert_eq!(
        report.failed.keys().copied().collect::<Vec<_>>(),
        with_objects
    );
    let mut expected = one_of_each();
    expected.extend(with_objects.map(|kind| (kind, 0)));
    assert_eq!(report.removed, expected);
    assert!(
        report
            .failures()
            .expect("it failed")
            .starts_with("deleted_accounts: "),
        "{report:?}"
    );
}
