//! `kill -9` of a worker that has a job of every kind in its hands, in each phase of a job's life.
//!
//! What holds a job up in a phase are locks that the test takes in PostgreSQL, and a mail server that keeps silent. What
//! the dead worker's connections had asked for is either lost with it or, where the test says so, still done.

use std::collections::BTreeSet;

use plinth_core::Stores;
use plinth_core::unit::Unit;
use plinth_domain::audit::Origin;
use plinth_domain::id::{BlobId, FileId, JobId, UserId};
use plinth_domain::job::{
    CleanUp, DeliverNotification, FinishUpload, JobPayload, MakeThumbnails, PurgeBlob, Queue,
    ReconcileFiles, RegenerateVariants, RemakeVariants, ResendVerificationMail, ScanBlob,
    SendEmailChangeMail, SendPasswordResetMail, SendSecurityNotice, SendVerificationMail,
    StripMetadata, VerifyDirectUpload,
};
use plinth_domain::notice::SecurityNotice;
use plinth_domain::notification::NewNotification;
use plinth_platform::database::Transaction;
use plinth_testkit::{Process, Stage, until};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::mail_server::MailServer;
use super::scanner::{CLEAN, FOUND, Scanner};
use crate::house::{count, lift_idle_timeout, until_none};
use crate::picture::jpeg;

/// Where the product names its kinds.
const KINDS: &str = include_str!("../../../../shared/domain/src/job.rs");

/// Held, no handler has done anything that somebody else could see: those of files, and all others.
const BEFORE_FILES: &str = "LOCK TABLE blobs";
const BEFORE_THE_REST: &str = "LOCK TABLE sent_mails, notifications, revoked_tokens";
/// Those that [`BEFORE_FILES`] alone holds up: thumbnails, a scan, metadata, a direct upload, a purge, a reconciliation,
/// and a clean-up on its way.
const OF_FILES: usize = 7;
/// Held, a handler has done a part: thumbnails are in S3 and not in the table, so are the removals of a purge; a direct
/// upload is read and no file; a message is not yet told to the audit log, nor is a virus, metadata that cannot be taken
/// out, a clean-up or a reconciliation. For mails the server's silence does it.
const HALF_WAY: &str = "LOCK TABLE file_variants, audit_events IN EXCLUSIVE MODE";
/// Then, and with the server's word, a mail is sent and nobody has written it down.
const MAILS_NOT_WRITTEN_DOWN: &str = "LOCK TABLE sent_mails IN EXCLUSIVE MODE";
/// Held, nobody claims a job.
const NO_CLAIM: &str = "SELECT FROM jobs FOR UPDATE";
/// Held, no outcome of these is written, nor any that comes after; rows may still point to the job. Those are left out
/// that write to their own row while they run: how far they are, or whose share of the queue they take.
const NO_OUTCOME: &str = "SELECT FROM jobs
    WHERE kind NOT IN ('files.thumbnails', 'files.verify', 'files.scan', 'files.strip') FOR NO KEY UPDATE";

const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND application_name = 'plinth-worker' AND wait_event_type = 'Lock'";
const CONNECTIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND application_name = 'plinth-worker'";
const SENT: &str = "SELECT count(*) FROM direct_uploads JOIN files ON files.id = made_file";
const RECOUNTED: &str = "SELECT count(*) FROM storage_usage WHERE files = 1";
/// What is derived from a picture where the settings say nothing else.
const PRESETS: [&str; 2] = ["small", "large"];
const RUNNING: &str = "SELECT count(*) FROM jobs WHERE state = 'running'";

/// A job of each kind, accepted and not begun.
struct Scene {
    stage: Stage,
    stores: Stores,
    server: MailServer,
    _scanner: Scanner,
    jobs: Vec<(&'static str, JobId)>,
    /// Which job writes to which address.
    mails: Vec<(JobId, String)>,
    picture: BlobId,
    purged: BlobId,
}

impl Scene {
    #[expect(
        clippy::too_many_lines,
        reason = "what each phase needs, one after the other"
    )]
    async fn set() -> Self {
        let (server, url) = MailServer::start().await;
        let (scanner, clamd) = Scanner::start().await;
        let stage = Stage::open()
            .await
            .with("PLINTH_SMTP_URL", &url)
            .with("PLINTH_CLAMAV_ADDRESS", &clamd)
            .with("PLINTH_WORKER_CONCURRENCY", "16")
            .with("PLINTH_SMTP_PER_DOMAIN", "16")
            .with("PLINTH_WORKER_FILES_PER_OWNER", "16")
            .with("PLINTH_DATABASE_MAX_CONNECTIONS", "16")
            // No job but these.
            .with("PLINTH_WORKER_SCHEDULE", "");
        let stores = stage.stores();
        let [new, waiting, forgetful, moving, owner, sender] = [0; 6].map(|_| Uuid::new_v4());
        for user in [new, waiting, forgetful, moving, owner, sender] {
            insert_user(&stores, user).await;
        }
        let [picture, purged, suspect, opaque] = [0; 4].map(|_| BlobId(Uuid::new_v4()));
        insert_blob(&stores, owner, picture, "stored").await;
        insert_blob(&stores, owner, purged, "removing").await;
        let file_id = insert_file(&stores, owner, picture).await;
        insert_suspect(&stores, owner, suspect, file_id).await;
        insert_opaque(&stores, owner, opaque, file_id).await;
        let tokens = "INSERT INTO revoked_tokens (id, expires_at) VALUES
            (gen_random_uuid(), now() - interval '2 hours'), (gen_random_uuid(), now() + interval '2 hours')";
        sqlx::query(tokens)
            .execute(&stores.db)
            .await
            .expect("inserts");
        // Counted wrong: the file is missing.
        let usage = "INSERT INTO storage_usage (owner_id) SELECT owner_id FROM files";
        sqlx::query(usage)
            .execute(&stores.db)
            .await
            .expect("inserts");

        let sent = insert_direct_upload(&stores, sender).await;

        let (jobs, mails) = (Vec::new(), Vec::new());
        let mut scene = Self {
            stage,
            stores,
            server,
            _scanner: scanner,
            jobs,
            mails,
            picture,
            purged,
        };
        let moved = format!("moved-{}", address(moving));
        let notification = NewNotification {
            user_id: UserId(owner),
            kind: "test".to_owned().into(),
            title: "A test".to_owned(),
            body: "It is one.".to_owned(),
            subject: "a test".to_owned(),
        };
        let notice = SecurityNotice::RegistrationAttempted;
        scene
            .accept_mail(
                &SendVerificationMail::Account {
                    user_id: UserId(new),
                },
                address(new),
            )
            .await;
        scene
            .accept_mail(
                &ResendVerificationMail {
                    email: address(waiting),
                },
                address(waiting),
            )
            .await;
        scene
            .accept_mail(
                &SendPasswordResetMail {
                    email: address(forgetful),
                },
                address(forgetful),
            )
            .await;
        scene
            .accept_mail(
                &SendEmailChangeMail {
                    user_id: UserId(moving),
                    email: moved.clone(),
                },
                moved,
            )
            .await;
        scene
            .accept_mail(
                &SendSecurityNotice {
                    user_id: UserId(owner),
                    notice,
                },
                address(owner),
            )
            .await;
        scene
            .accept(&MakeThumbnails {
                file_id,
                blob_id: Some(picture),
            })
            .await;
        let scan = scene.accept(&ScanBlob { blob_id: suspect }).await;
        let noted = sqlx::query("UPDATE blobs SET scan_job_id = $2 WHERE id = $1")
            .bind(suspect.0)
            .bind(scan.0);
        noted.execute(&scene.stores.db).await.expect("updates");
        let strip = scene.accept(&StripMetadata { blob_id: opaque }).await;
        let noted = sqlx::query("UPDATE blobs SET strip_job_id = $2 WHERE id = $1")
            .bind(opaque.0)
            .bind(strip.0);
        noted.execute(&scene.stores.db).await.expect("updates");
        scene.accept(&VerifyDirectUpload { upload: sent }).await;
        scene.accept(&PurgeBlob { blob_id: purged }).await;
        scene.accept(&DeliverNotification { notification }).await;
        scene.accept(&CleanUp {}).await;
        scene.accept(&ReconcileFiles::default()).await;

        let here: BTreeSet<_> = scene.jobs.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(here, kinds_of_the_product(), "a job of every kind there is");
        scene
    }

    /// As a request does it: committed, and pushed.
    async fn accept<J: JobPayload>(&mut self, job: &J) -> JobId {
        let mut unit = Unit::begin(&self.stores, &Origin::system())
            .await
            .expect("begins");
        let id = unit.enqueue(job).await.expect("inserts");
        unit.commit().await.expect("commits");
        self.jobs.push((J::KIND, id));
        id
    }

    async fn accept_mail<J: JobPayload>(&mut self, job: &J, to: String) {
        let job = self.accept(job).await;
        self.mails.push((job, to));
    }

    /// Held until the transaction ends.
    async fn hold(&self, lock: &'static str) -> Transaction {
        let mut obstacle = self.stores.db.begin().await.expect("begins");
        lift_idle_timeout(&mut obstacle).await;
        sqlx::query(lock)
            .execute(&mut *obstacle)
            .await
            .expect("locks");
        obstacle
    }

    /// A worker that has begun every job, and cannot go on with those of files, nor with the others, before a lock goes.
    async fn worker_held_before_any_effect(&self) -> (Process, [Transaction; 2]) {
        let obstacles = [
            self.hold(BEFORE_FILES).await,
            self.hold(BEFORE_THE_REST).await,
        ];
        let worker = Process::worker(&self.stage).await;
        self.until_waiting(self.jobs.len()).await;
        assert_eq!(self.count(RUNNING).await, self.jobs.len());
        (worker, obstacles)
    }

    async fn until_waiting(&self, statements: usize) {
        until(&format!("{statements} statements wait"), async || {
            (self.count(WAITING).await == statements).then_some(())
        })
        .await;
    }

    /// `kill -9`; what it had asked of PostgreSQL is lost with it.
    async fn kill(&self, worker: Process) {
        worker.kill().await;
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'plinth-worker'";
        sqlx::query(end)
            .execute(&self.stores.db)
            .await
            .expect("terminates");
        until_none(&self.stores, "its connections are gone", CONNECTIONS).await;
    }

    /// Another worker does all of it, once the leases of the dead one have run out, which is not waited for here.
    async fn finish(&self) {
        let over = "UPDATE jobs SET lease_until = now() WHERE lease_until IS NOT NULL";
        sqlx::query(over)
            .execute(&self.stores.db)
            .await
            .expect("updates");
        let second = Process::worker(&self.stage).await;
        until_none(
            &self.stores,
            "everything is done",
            "SELECT count(*) FROM jobs WHERE state <> 'done'",
        )
        .await;
        assert!(second.stop().await.success());
    }

    /// Every job is done at this attempt, and those before it were lost.
    async fn assert_attempts(&self, expected: i16) {
        for (kind, job) in &self.jobs {
            let query = "SELECT state, attempt,
                (SELECT count(*) FROM job_attempts WHERE job_id = jobs.id AND outcome = 'lost')
                FROM jobs WHERE id = $1";
            let row: (String, i16, i64) = sqlx::query_as(query)
                .bind(job.0)
                .fetch_one(&self.stores.db)
                .await
                .expect("reads");
            assert_eq!(
                row,
                ("done".to_owned(), expected, i64::from(expected) - 1),
                "{kind}"
            );
        }
    }

    /// Every effect is there once, and each mail was given to the server so often.
    async fn assert_effects(&self, mails: usize) {
        for (job, to) in &self.mails {
            let taken = self.server.taken_for(to);
            assert_eq!(taken.len(), mails, "{to}: {taken:?}");
            assert!(
                taken.iter().all(|id| id.starts_with(&format!("<{job}@"))),
                "{job}: {taken:?}"
            );
        }
        assert_eq!(
            self.server.taken(),
            mails * self.mails.len(),
            "nobody else is written to"
        );
        let keys: Vec<String> = sqlx::query_scalar(
            "SELECT object_key FROM file_variants WHERE blob_id = $1 AND state = 'ready'",
        )
        .bind(self.picture.0)
        .fetch_all(&self.stores.db)
        .await
        .expect("reads");
        assert_eq!(keys.len(), PRESETS.len());
        for key in keys {
            assert!(self.stores.objects.get(&key, None).await.is_ok(), "{key}");
        }
        assert_eq!(
            self.count("SELECT count(*) FROM blobs").await,
            4,
            "the purged one is gone"
        );
        assert_eq!(
            self.count(SENT).await,
            1,
            "what was sent directly is a file"
        );
        assert!(
            self.stores
                .objects
                .get(&original(self.purged), None)
                .await
                .is_err(),
            "and its bytes"
        );
        assert_eq!(
            self.count("SELECT count(*) FROM notifications WHERE kind = 'test'")
                .await,
            1
        );
        assert_eq!(
            self.count("SELECT count(*) FROM notifications").await,
            4,
            "and those of the picture, the virus and the metadata"
        );
        let told = "SELECT count(*) FROM audit_events WHERE action = 'notification.delivered'";
        assert_eq!(self.count(told).await, 4);
        let refused = "SELECT count(*) FROM audit_events WHERE action = 'file.metadata_stripped'";
        assert_eq!(self.count(refused).await, 1);
        let found: Vec<String> =
            sqlx::query_scalar("SELECT signature FROM blobs WHERE scan = 'infected'")
                .fetch_all(&self.stores.db)
                .await
                .expect("reads");
        assert_eq!(found, [FOUND]);
        let quarantined = "SELECT count(*) FROM audit_events WHERE action = 'file.quarantined'";
        assert_eq!(self.count(quarantined).await, 1);
        assert_eq!(
            self.count("SELECT count(*) FROM revoked_tokens").await,
            1,
            "the one that is not over"
        );
        assert_eq!(
            self.count(RECOUNTED).await,
            2,
            "it is counted anew, and what was sent is counted"
        );
    }

    async fn count(&self, query: &'static str) -> usize {
        usize::try_from(count(&self.stores, query).await).expect("a count")
    }
}

/// Kinds that are not held up here: one makes the same images in the same way as thumbnails are made, the other one asks
/// for jobs of that one, in one transaction.
const ELSEWHERE: [&str; 3] = [
    RemakeVariants::KIND,
    RegenerateVariants::KIND,
    FinishUpload::KIND,
];

fn kinds_of_the_product() -> BTreeSet<&'static str> {
    KINDS
        .lines()
        .filter_map(|line| {
            line.trim()
                .strip_prefix("const KIND: &'static str = \"")?
                .strip_suffix("\";")
        })
        .filter(|kind| !ELSEWHERE.contains(kind))
        .collect()
}

fn address(user: Uuid) -> String {
    format!("{}@example.org", user.simple())
}

fn original(blob: BlobId) -> String {
    format!("files/{blob}/original")
}

/// Somebody who has not proved his address.
async fn insert_user(stores: &Stores, id: Uuid) {
    let insert = "INSERT INTO users (id, email, email_key, created_at, updated_at) VALUES ($1, $2, $2, now(), now())";
    sqlx::query(insert)
        .bind(id)
        .bind(address(id))
        .execute(&stores.db)
        .await
        .expect("inserts");
}

/// The bytes of a photograph, not sealed, whose thumbnails are not made.
async fn insert_blob(stores: &Stores, owner: Uuid, id: BlobId, state: &str) {
    let bytes = jpeg(120, 80);
    let size = i64::try_from(bytes.len()).expect("it is small");
    stores
        .objects
        .put(&original(id), bytes.into(), "image/jpeg")
        .await
        .expect("S3 takes it");
    let insert =
        "INSERT INTO blobs (id, owner_id, content_type, size, sha256, state, object_key, created_at, updated_at)
         VALUES ($1, $2, 'image/jpeg', $3, sha256('x'), $4, $5, now(), now())";
    let insert = sqlx::query(insert)
        .bind(id.0)
        .bind(owner)
        .bind(size)
        .bind(state)
        .bind(original(id));
    insert.execute(&stores.db).await.expect("inserts");
    for preset in PRESETS {
        let insert = format!(
            "INSERT INTO file_variants (blob_id, preset, state, updated_at) VALUES ($1, '{preset}', 'pending', now())"
        );
        sqlx::query(AssertSqlSafe(insert))
            .bind(id.0)
            .execute(&stores.db)
            .await
            .expect("inserts");
    }
}

/// Another version of the file, whose verdict is waited for.
async fn insert_suspect(stores: &Stores, owner: Uuid, id: BlobId, file: FileId) {
    insert_blob(stores, owner, id, "stored").await;
    let pending = sqlx::query("UPDATE blobs SET scan = 'pending' WHERE id = $1").bind(id.0);
    pending.execute(&stores.db).await.expect("updates");
    let insert = "INSERT INTO file_versions (file_id, number, blob_id, created_at) VALUES ($1, 2, $2, now())";
    let insert = sqlx::query(insert).bind(file.0).bind(id.0);
    insert.execute(&stores.db).await.expect("inserts");
}

/// Another version of the file, whose metadata is to be taken out and cannot be.
async fn insert_opaque(stores: &Stores, owner: Uuid, id: BlobId, file: FileId) {
    insert_blob(stores, owner, id, "stored").await;
    stores
        .objects
        .put(&original(id), "not a picture".into(), "image/heif")
        .await
        .expect("S3 takes it");
    let pending = "UPDATE blobs SET metadata = 'pending', content_type = 'image/heif', size = 13 WHERE id = $1";
    sqlx::query(pending)
        .bind(id.0)
        .execute(&stores.db)
        .await
        .expect("updates");
    let insert = "INSERT INTO file_versions (file_id, number, blob_id, created_at) VALUES ($1, 3, $2, now())";
    sqlx::query(insert)
        .bind(file.0)
        .bind(id.0)
        .execute(&stores.db)
        .await
        .expect("inserts");
}

/// Bytes that a client has sent to S3 itself, and says so.
async fn insert_direct_upload(stores: &Stores, owner: Uuid) -> BlobId {
    let (id, bytes) = (BlobId(Uuid::new_v4()), CLEAN);
    stores
        .objects
        .put(&original(id), bytes.into(), "text/plain")
        .await
        .expect("S3 takes it");
    let insert = "WITH blob AS (
             INSERT INTO blobs (id, owner_id, state, reserved, object_key, created_at, updated_at)
             VALUES ($1, $2, 'receiving', length($4::text), $3, now(), now())),
         usage AS (INSERT INTO storage_usage (owner_id, reserved) VALUES ($2, length($4::text)))
         INSERT INTO direct_uploads (blob_id, owner_id, name, size, sha256, part_size, job_id)
         VALUES ($1, $2, 'sent.txt', length($4::text), sha256($4::text::bytea), 1000, gen_random_uuid())";
    let insert = sqlx::query(insert)
        .bind(id.0)
        .bind(owner)
        .bind(original(id))
        .bind(bytes);
    insert.execute(&stores.db).await.expect("inserts");
    id
}

/// A file that shows these bytes.
async fn insert_file(stores: &Stores, owner: Uuid, blob: BlobId) -> FileId {
    let insert = "WITH file AS (
             INSERT INTO files (id, owner_id, name, content_type, size, blob_id, created_at, updated_at)
             SELECT gen_random_uuid(), $2, 'photo.jpg', content_type, size, id, now(), now() FROM blobs WHERE id = $1
             RETURNING id)
         INSERT INTO file_versions (file_id, number, blob_id, created_at) SELECT id, 1, $1, now() FROM file
         RETURNING file_id";
    let insert = sqlx::query_scalar(insert).bind(blob.0).bind(owner);
    FileId(insert.fetch_one(&stores.db).await.expect("inserts"))
}

#[tokio::test]
async fn a_worker_killed_before_its_claims_reach_the_ledger_costs_no_attempt() {
    let scene = Scene::set().await;
    let obstacle = scene.hold(NO_CLAIM).await;
    let worker = Process::worker(&scene.stage).await;
    // One for each queue.
    scene.until_waiting(Queue::ALL.len()).await;
    scene.kill(worker).await;
    obstacle.rollback().await.expect("ends");
    assert_eq!(scene.count(RUNNING).await, 0);
    scene.finish().await;
    scene.assert_attempts(1).await;
    scene.assert_effects(1).await;
}

#[tokio::test]
async fn claims_that_are_granted_to_a_dead_worker_are_taken_over() {
    let scene = Scene::set().await;
    let obstacle = scene.hold(NO_CLAIM).await;
    let worker = Process::worker(&scene.stage).await;
    scene.until_waiting(Queue::ALL.len()).await;
    worker.kill().await;
    // PostgreSQL does not know yet that nobody waits for an answer.
    obstacle.rollback().await.expect("ends");
    until_none(&scene.stores, "its connections are gone", CONNECTIONS).await;
    assert_eq!(scene.count(RUNNING).await, scene.jobs.len());
    scene.finish().await;
    scene.assert_attempts(2).await;
    scene.assert_effects(1).await;
}

#[tokio::test]
async fn a_worker_killed_before_any_effect_leaves_all_of_it_to_the_next() {
    let scene = Scene::set().await;
    let (worker, obstacles) = scene.worker_held_before_any_effect().await;
    scene.kill(worker).await;
    for obstacle in obstacles {
        obstacle.rollback().await.expect("ends");
    }
    assert_eq!(scene.server.taken(), 0);
    scene.finish().await;
    scene.assert_attempts(2).await;
    scene.assert_effects(1).await;
}

/// The one window in which a mail is sent again: between the server's 250 and our commit.
#[tokio::test]
async fn a_worker_killed_half_way_repeats_a_mail_under_the_same_id_and_nothing_else() {
    let scene = Scene::set().await;
    scene.server.keep_silent();
    let half_way = scene.hold(HALF_WAY).await;
    let worker = Process::worker(&scene.stage).await;
    until("the server has every mail", async || {
        (scene.server.taken() == scene.mails.len()).then_some(())
    })
    .await;
    let not_written_down = scene.hold(MAILS_NOT_WRITTEN_DOWN).await;
    scene.server.answer();
    scene.until_waiting(scene.jobs.len()).await;
    scene.kill(worker).await;
    for obstacle in [half_way, not_written_down] {
        obstacle.rollback().await.expect("ends");
    }
    scene.finish().await;
    scene.assert_attempts(2).await;
    scene.assert_effects(2).await;
}

#[tokio::test]
async fn a_worker_killed_before_its_outcomes_are_written_repeats_nothing_that_anybody_sees() {
    let scene = Scene::set().await;
    let (worker, [files, rest]) = scene.worker_held_before_any_effect().await;
    let no_outcome = scene.hold(NO_OUTCOME).await;
    rest.rollback().await.expect("ends");
    // One statement writes outcomes, those that come meanwhile wait for it.
    scene.until_waiting(OF_FILES + 1).await;
    files.rollback().await.expect("ends");
    let done = "SELECT (SELECT count(*) FROM sent_mails WHERE accepted_at IS NOT NULL)
        + (SELECT count(DISTINCT blob_id) FROM file_variants WHERE state = 'ready')
        + (SELECT count(*) FROM notifications WHERE kind = 'test')
        + (SELECT 5 - count(*) FROM blobs) + (SELECT count(*) FROM blobs WHERE scan = 'infected')
        + (SELECT count(*) FROM blobs WHERE metadata = 'failed') + (SELECT 2 - count(*) FROM revoked_tokens)
        + (SELECT count(*) FROM storage_usage WHERE files = 1)";
    until("all is done", async || {
        (scene.count(done).await == scene.jobs.len()).then_some(())
    })
    .await;
    scene.kill(worker).await;
    no_outcome.rollback().await.expect("ends");
    assert_eq!(
        scene
            .count("SELECT count(*) FROM jobs WHERE state = 'done'")
            .await,
        0
    );
    scene.finish().await;
    scene.assert_attempts(2).await;
    scene.assert_effects(1).await;
}
