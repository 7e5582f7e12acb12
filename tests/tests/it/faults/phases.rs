//! `kill -9` of a worker that runs a job of every kind, in each phase of a job's life.
//!
//! Locks of the test in PostgreSQL and a silent mail server hold the jobs in a phase. Statements
//! that the dead worker had sent are lost with it, or completed if the test says so.

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

/// The source file that declares the job kinds.
const KINDS: &str = include_str!("../../../../shared/domain/src/job.rs");

/// While these are held, no handler has had a visible effect: the locks for jobs of files, and for
/// all others.
const BEFORE_FILES: &str = "LOCK TABLE blobs";
const BEFORE_THE_REST: &str = "LOCK TABLE sent_mails, notifications, revoked_tokens";
/// The number of jobs that [`BEFORE_FILES`] alone blocks: thumbnails, a scan, metadata, a direct
/// upload, a purge, a reconciliation, and a clean-up in progress.
const OF_FILES: usize = 7;
/// While this is held, a handler has finished half of its work. Thumbnails are in S3 and not in the
/// table, and objects of a purge are removed and not its row. A direct upload is verified and has
/// no file. The audit events of a notification, a virus, an image that cannot be stripped, a
/// clean-up and a reconciliation are missing. E-mails wait for the silent server.
const HALF_WAY: &str = "LOCK TABLE file_variants, audit_events IN EXCLUSIVE MODE";
/// With this lock too, and the server's 250, an e-mail is sent and not recorded.
const MAILS_NOT_RECORDED: &str = "LOCK TABLE sent_mails IN EXCLUSIVE MODE";
/// While this is held, no job can be claimed.
const NO_CLAIM: &str = "SELECT FROM jobs FOR UPDATE";
/// While this is held, no outcome of these jobs is written, nor any later one. Foreign keys to them
/// are allowed. Jobs that write to their own row while they run, for progress or for a limit, are
/// left out.
const NO_OUTCOME: &str = "SELECT FROM jobs
    WHERE kind NOT IN ('files.thumbnails', 'files.verify', 'files.scan', 'files.strip') FOR NO KEY UPDATE";

const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND application_name = 'plinth-worker' AND wait_event_type = 'Lock'";
const CONNECTIONS: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND application_name = 'plinth-worker'";
const SENT: &str = "SELECT count(*) FROM direct_uploads JOIN files ON files.id = made_file";
const RECOUNTED: &str = "SELECT count(*) FROM storage_usage WHERE files = 1";
/// The default presets.
const PRESETS: [&str; 2] = ["small", "large"];
const RUNNING: &str = "SELECT count(*) FROM jobs WHERE state = 'running'";

/// A job of each kind, accepted and not started.
struct Scene {
    stage: Stage,
    stores: Stores,
    server: MailServer,
    _scanner: Scanner,
    jobs: Vec<(&'static str, JobId)>,
    /// The jobs that send mails, with their addresses.
    mails: Vec<(JobId, String)>,
    picture: BlobId,
    purged: BlobId,
}

impl Scene {
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
            // No periodic task adds a job.
            .with("PLINTH_WORKER_SCHEDULE", "");
        let stores = stage.stores();
        let [new, waiting, forgetful, moving, owner, sender] = [0; 6].map(|_| Uuid::new_v4());
        for user in [new, waiting, forgetful, moving, owner, sender] {
            insert_user(&stores, user).await;
        }
        let [picture, purged, suspect, unstrippable] = [0; 4].map(|_| BlobId(Uuid::new_v4()));
        insert_blob(&stores, owner, picture, "stored").await;
        insert_blob(&stores, owner, purged, "removing").await;
        let file_id = insert_file(&stores, owner, picture).await;
        insert_suspect(&stores, owner, suspect, file_id).await;
        insert_unstrippable(&stores, owner, unstrippable, file_id).await;
        let tokens = "INSERT INTO revoked_tokens (id, expires_at) VALUES
            (gen_random_uuid(), now() - interval '2 hours'), (gen_random_uuid(), now() + interval '2 hours')";
        sqlx::query(tokens)
            .execute(&stores.db)
            .await
            .expect("inserts");
        // A wrong usage, which does not count the file.
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
        let strip = scene
            .accept(&StripMetadata {
                blob_id: unstrippable,
            })
            .await;
        let noted = sqlx::query("UPDATE blobs SET strip_job_id = $2 WHERE id = $1")
            .bind(unstrippable.0)
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

    /// Enqueues a job as a request does: commits and pushes it.
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

    /// Takes a lock until the transaction ends.
    async fn take_lock(&self, lock: &'static str) -> Transaction {
        let mut lock_holder = self.stores.db.begin().await.expect("begins");
        lift_idle_timeout(&mut lock_holder).await;
        sqlx::query(lock)
            .execute(&mut *lock_holder)
            .await
            .expect("locks");
        lock_holder
    }

    /// Starts a worker and waits until every job runs and is blocked. One lock blocks the jobs of
    /// files, the other one the rest.
    async fn worker_blocked_before_any_effect(&self) -> (Process, [Transaction; 2]) {
        let locks = [
            self.take_lock(BEFORE_FILES).await,
            self.take_lock(BEFORE_THE_REST).await,
        ];
        let worker = Process::worker(&self.stage).await;
        self.until_waiting(self.jobs.len()).await;
        assert_eq!(self.count(RUNNING).await, self.jobs.len());
        (worker, locks)
    }

    async fn until_waiting(&self, statements: usize) {
        until(&format!("{statements} statements wait"), async || {
            (self.count(WAITING).await == statements).then_some(())
        })
        .await;
    }

    /// Kills the worker and ends its connections, so that its pending statements are lost.
    async fn kill(&self, worker: Process) {
        worker.kill().await;
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'plinth-worker'";
        sqlx::query(end)
            .execute(&self.stores.db)
            .await
            .expect("terminates");
        until_none(&self.stores, "its connections have ended", CONNECTIONS).await;
    }

    /// Expires the leases of the dead worker, and lets another worker finish all jobs.
    async fn finish(&self) {
        let over = "UPDATE jobs SET lease_until = now() WHERE lease_until IS NOT NULL";
        sqlx::query(over)
            .execute(&self.stores.db)
            .await
            .expect("updates");
        let second = Process::worker(&self.stage).await;
        until_none(
            &self.stores,
            "every job is done",
            "SELECT count(*) FROM jobs WHERE state <> 'done'",
        )
        .await;
        assert!(second.stop().await.success());
    }

    /// Asserts that every job was done in this attempt, and that earlier attempts were lost.
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

    /// Asserts that every effect happened once, and that the server has each mail `mails` times.
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
            "no other address gets a mail"
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
        let delivered = "SELECT count(*) FROM audit_events WHERE action = 'notification.delivered'";
        assert_eq!(self.count(delivered).await, 4);
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
            "the usage is counted again, with the direct upload"
        );
    }

    async fn count(&self, query: &'static str) -> usize {
        usize::try_from(count(&self.stores, query).await).expect("a count")
    }
}

/// Kinds without a job in this test: one makes the same images as the thumbnails, in the same way;
/// another enqueues jobs of that kind in one transaction.
const UNTESTED_KINDS: [&str; 3] = [
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
        .filter(|kind| !UNTESTED_KINDS.contains(kind))
        .collect()
}

fn address(user: Uuid) -> String {
    format!("{}@example.org", user.simple())
}

fn original(blob: BlobId) -> String {
    format!("files/{blob}/original")
}

/// Inserts a user whose address is not verified.
async fn insert_user(stores: &Stores, id: Uuid) {
    let insert = "INSERT INTO users (id, email, email_key, created_at, updated_at) VALUES ($1, $2, $2, now(), now())";
    sqlx::query(insert)
        .bind(id)
        .bind(address(id))
        .execute(&stores.db)
        .await
        .expect("inserts");
}

/// Stores an unencrypted photograph whose thumbnails are missing.
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

/// Inserts another version of the file, which waits for its scan.
async fn insert_suspect(stores: &Stores, owner: Uuid, id: BlobId, file: FileId) {
    insert_blob(stores, owner, id, "stored").await;
    let pending = sqlx::query("UPDATE blobs SET scan = 'pending' WHERE id = $1").bind(id.0);
    pending.execute(&stores.db).await.expect("updates");
    let insert = "INSERT INTO file_versions (file_id, number, blob_id, created_at) VALUES ($1, 2, $2, now())";
    let insert = sqlx::query(insert).bind(file.0).bind(id.0);
    insert.execute(&stores.db).await.expect("inserts");
}

/// Inserts another version of the file, which waits for stripping and cannot be stripped.
async fn insert_unstrippable(stores: &Stores, owner: Uuid, id: BlobId, file: FileId) {
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

/// Stores contents that a client has sent directly to S3 and reported.
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

/// Inserts a file with these contents.
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
    let lock_holder = scene.take_lock(NO_CLAIM).await;
    let worker = Process::worker(&scene.stage).await;
    // One statement for each queue.
    scene.until_waiting(Queue::ALL.len()).await;
    scene.kill(worker).await;
    lock_holder.rollback().await.expect("ends");
    assert_eq!(scene.count(RUNNING).await, 0);
    scene.finish().await;
    scene.assert_attempts(1).await;
    scene.assert_effects(1).await;
}

#[tokio::test]
async fn claims_that_are_granted_to_a_dead_worker_are_taken_over() {
    let scene = Scene::set().await;
    let lock_holder = scene.take_lock(NO_CLAIM).await;
    let worker = Process::worker(&scene.stage).await;
    scene.until_waiting(Queue::ALL.len()).await;
    worker.kill().await;
    // PostgreSQL does not know yet that the client is gone.
    lock_holder.rollback().await.expect("ends");
    until_none(&scene.stores, "its connections have ended", CONNECTIONS).await;
    assert_eq!(scene.count(RUNNING).await, scene.jobs.len());
    scene.finish().await;
    scene.assert_attempts(2).await;
    scene.assert_effects(1).await;
}

#[tokio::test]
async fn a_worker_killed_before_any_effect_leaves_its_jobs_to_the_next() {
    let scene = Scene::set().await;
    let (worker, locks) = scene.worker_blocked_before_any_effect().await;
    scene.kill(worker).await;
    for lock_holder in locks {
        lock_holder.rollback().await.expect("ends");
    }
    assert_eq!(scene.server.taken(), 0);
    scene.finish().await;
    scene.assert_attempts(2).await;
    scene.assert_effects(1).await;
}

/// The only case in which a mail is sent twice: between the server's 250 and the commit.
#[tokio::test]
async fn a_worker_killed_half_way_repeats_a_mail_with_the_same_id_and_nothing_else() {
    let scene = Scene::set().await;
    scene.server.withhold_replies();
    let half_way = scene.take_lock(HALF_WAY).await;
    let worker = Process::worker(&scene.stage).await;
    until("the server has every mail", async || {
        (scene.server.taken() == scene.mails.len()).then_some(())
    })
    .await;
    let not_recorded = scene.take_lock(MAILS_NOT_RECORDED).await;
    scene.server.answer();
    scene.until_waiting(scene.jobs.len()).await;
    scene.kill(worker).await;
    for lock_holder in [half_way, not_recorded] {
        lock_holder.rollback().await.expect("ends");
    }
    scene.finish().await;
    scene.assert_attempts(2).await;
    scene.assert_effects(2).await;
}

#[tokio::test]
async fn a_worker_killed_before_its_outcomes_are_written_repeats_nothing_visible() {
    let scene = Scene::set().await;
    let (worker, [files, rest]) = scene.worker_blocked_before_any_effect().await;
    let no_outcome = scene.take_lock(NO_OUTCOME).await;
    rest.rollback().await.expect("ends");
    // One statement writes outcomes; later outcomes wait for it.
    scene.until_waiting(OF_FILES + 1).await;
    files.rollback().await.expect("ends");
    let done = "SELECT (SELECT count(*) FROM sent_mails WHERE accepted_at IS NOT NULL)
        + (SELECT count(DISTINCT blob_id) FROM file_variants WHERE state = 'ready')
        + (SELECT count(*) FROM notifications WHERE kind = 'test')
        + (SELECT 5 - count(*) FROM blobs) + (SELECT count(*) FROM blobs WHERE scan = 'infected')
        + (SELECT count(*) FROM blobs WHERE metadata = 'failed') + (SELECT 2 - count(*) FROM revoked_tokens)
        + (SELECT count(*) FROM storage_usage WHERE files = 1)";
    until("every effect happened", async || {
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
