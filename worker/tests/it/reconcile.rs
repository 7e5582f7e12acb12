//! Reconciliation of S3 with PostgreSQL: orphans are removed, and lost contents are reported.

use std::time::Duration;

use plinth_core::Stores;
use plinth_core::cleanup::{self, Kept, Kind};
use plinth_core::files::reconcile::{self, Report, Request};
use plinth_core::files::{Files, Limits, Processing, Purge, Scans, Stripping, Upload};
use plinth_domain::audit::Origin;
use plinth_domain::file::{File, FileName};
use plinth_domain::id::{BlobId, UserId};
use plinth_domain::preset::Presets;
use plinth_testkit::{Stage, Store};
use rstest::rstest;
use sqlx::AssertSqlSafe;
use tokio_util::sync::CancellationToken;

use crate::refusing_store;

const DAY: Duration = Duration::from_hours(24);
const REQUEST: Request = Request {
    dry_run: false,
    read_contents: false,
    remove_many: false,
    abandoned_after: DAY,
    orphans_kept: Duration::from_hours(7 * 24),
    after: None,
};
/// After this time an orphan written now is old enough to be removed.
const PAST_ORPHAN_AGE: time::Duration = time::Duration::days(8);

struct House {
    stores: Stores,
    files: Files,
    owner: UserId,
    presets: Presets,
    kept: Kept,
    _stage: Stage,
}

impl House {
    async fn open() -> Self {
        Self::at(Store::S3s).await
    }

    async fn at(store: Store) -> Self {
        Self::on(Stage::at(store).await).await
    }

    async fn on(stage: Stage) -> Self {
        let (settings, stores) = (stage.settings(), stage.stores());
        let owner = UserId::mint(stores.clock.now());
        sqlx::query("INSERT INTO users (id, email, email_key, created_at, updated_at) VALUES ($1, 'a', 'a', now(), now())")
            .bind(owner.0)
            .execute(&stores.db)
            .await
            .expect("inserts");
        let files = Files::new(
            &stores,
            Limits::of(&settings.files),
            &settings.files.presets,
        );
        let kept = Kept::of(&settings);
        Self {
            stores,
            files,
            owner,
            presets: settings.files.presets,
            kept,
            _stage: stage,
        }
    }

    async fn upload(&self, bytes: Vec<u8>) -> File {
        let name = FileName::parse("a.bin").expect("a name");
        let origin = Origin::system();
        let slot = self.files.upload_slot(self.owner).expect("a slot is free");
        let mut upload = self
            .files
            .upload(&origin, &slot, &name)
            .await
            .expect("begins");
        upload.write(bytes.into()).await.expect("writes");
        upload.store().await.expect("is stored");
        let files = Upload::finish_all(vec![upload], &origin)
            .await
            .expect("becomes a file");
        files.into_iter().next().expect("one upload, one file")
    }

    async fn run(&self, request: Request) -> Report {
        reconcile::run(&self.stores, &request, &CancellationToken::new())
            .await
            .expect("runs")
    }

    /// Runs the clean-up of the kinds that have objects.
    async fn clean_up(&self) -> cleanup::Report {
        let only = vec![
            Kind::DeletedAccounts,
            Kind::TrashedFiles,
            Kind::AbandonedUploads,
        ];
        let request = cleanup::Request {
            only,
            ..cleanup::Request::default()
        };
        cleanup::run(
            &self.stores,
            &self.kept,
            &request,
            &CancellationToken::new(),
        )
        .await
        .expect("runs")
    }

    /// Marks the bucket as the one of this database.
    async fn adopt(&self) {
        reconcile::adopt(&self.stores).await.expect("adopts");
    }

    /// Dumps the uploads and the marker of this database.
    async fn dump(&self) {
        for table in ["files", "file_versions", "blobs", "installation", "jobs"] {
            let sql = format!("CREATE TABLE dump_{table} AS TABLE {table}");
            sqlx::query(AssertSqlSafe(sql))
                .execute(&self.stores.db)
                .await
                .expect("executes");
        }
    }

    /// Restores the dump, and leaves the bucket as it is.
    async fn restore(&self) {
        let mut sql = "BEGIN; SET LOCAL session_replication_role = replica;".to_owned();
        for table in ["files", "file_versions", "blobs", "installation", "jobs"] {
            for part in [
                "DELETE FROM ",
                table,
                "; INSERT INTO ",
                table,
                " SELECT * FROM dump_",
                table,
                ";",
            ] {
                sql.push_str(part);
            }
        }
        sql += "COMMIT";
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&self.stores.db)
            .await
            .expect("executes");
    }

    async fn put(&self, key: &str) {
        self.stores
            .objects
            .put(key, vec![7; 10].into(), "text/plain")
            .await
            .expect("is written");
    }

    async fn has_object(&self, key: &str) -> bool {
        self.stores
            .objects
            .size(key)
            .await
            .expect("answers")
            .is_some()
    }

    async fn execute(&self, sql: &'static str) {
        sqlx::query(sql)
            .execute(&self.stores.db)
            .await
            .expect("executes");
    }

    async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql)
            .fetch_one(&self.stores.db)
            .await
            .expect("counts")
    }
}

fn content(blob: BlobId) -> String {
    format!("blobs/{blob}/content")
}

#[rstest]
#[tokio::test]
async fn a_consistent_bucket_and_database_have_no_findings(
    #[values(Store::S3s, Store::Moto)] store: Store,
) {
    let house = House::at(store).await;
    assert_eq!(
        house.run(REQUEST).await,
        report_without_findings(store, 0, 0),
        "an empty bucket and database"
    );
    for n in 0..3 {
        house.upload(vec![n; 100_000]).await;
    }
    let report = house
        .run(Request {
            read_contents: true,
            ..REQUEST
        })
        .await;
    assert_eq!(report, report_without_findings(store, 3, 3));
}

/// Returns the report of a consistent bucket and database.
fn report_without_findings(store: Store, blobs: u64, objects: u64) -> Report {
    // s3s cannot list parts.
    let orphan_parts = (store == Store::Moto).then_some(0);
    Report {
        blobs,
        objects,
        orphan_parts,
        ..Report::default()
    }
}

#[tokio::test]
async fn abandoned_multipart_uploads_are_aborted_if_the_store_lists_them() {
    let house = House::at(Store::Moto).await;
    let objects = &house.stores.objects;
    let key = |n: u8| content(BlobId(uuid::Uuid::from_u128(n.into())));
    let abandoned = objects.begin_parts(&key(1)).await.expect("begins");
    let known = objects.begin_parts(&key(2)).await.expect("begins");
    sqlx::query(
        "INSERT INTO blobs (id, owner_id, state, object_key, multipart_upload_id, created_at, updated_at)
         SELECT gen_random_uuid(), id, 'receiving', 'x', $1, now(), now() FROM users",
    )
    .bind(&known)
    .execute(&house.stores.db)
    .await
    .expect("inserts");
    let listed = async || {
        let listed = objects
            .list_unfinished_parts("blobs/")
            .await
            .expect("answers")
            .expect("moto lists multipart uploads");
        listed
            .into_iter()
            .map(|begun| begun.upload)
            .collect::<Vec<_>>()
    };
    // For moto, all multipart uploads began in 2010.
    assert_eq!(
        house
            .run(Request {
                dry_run: true,
                ..REQUEST
            })
            .await
            .orphan_parts,
        Some(1)
    );
    assert_eq!(listed().await.len(), 2, "counted, not removed");
    assert_eq!(house.run(REQUEST).await.orphan_parts, Some(1));
    assert_eq!(
        listed().await.len(),
        2,
        "the first run only marks the bucket"
    );
    assert_eq!(house.run(REQUEST).await.orphan_parts, Some(1));
    assert_eq!(listed().await, [known]);
    let aborted = objects
        .put_part(&key(1), &abandoned, 1, vec![1].into())
        .await;
    assert!(aborted.is_err(), "{aborted:?}");
}

#[rstest]
#[tokio::test]
async fn orphaned_objects_are_removed_and_others_stay(
    #[values(Store::S3s, Store::Moto)] store: Store,
) {
    let house = House::at(store).await;
    let file = house.upload(b"kept".to_vec()).await;
    let orphans = [
        format!("blobs/{}/content", uuid::Uuid::nil()),
        format!("blobs/{}/variants/small-00", uuid::Uuid::new_v4()),
        "blobs/no-id/content".to_owned(),
        format!("blobs/{}/content", uuid::Uuid::max()),
    ];
    house.adopt().await;
    for key in &orphans {
        house.put(key).await;
    }
    // An upload writes its object before its row, so a young object may not be an orphan.
    let young = format!("blobs/{}/variants/small-00", file.blob);
    house.put(&young).await;
    house.put("other-prefix/object").await;

    let report = house.run(REQUEST).await;
    assert_eq!(
        (
            report.orphan_objects,
            report.young_orphans,
            report.removed_objects
        ),
        (4, 4, 0)
    );
    house.stores.clock.advance(PAST_ORPHAN_AGE);
    let counted = house
        .run(Request {
            dry_run: true,
            ..REQUEST
        })
        .await;
    assert_eq!(
        (
            counted.orphan_objects,
            counted.young_orphans,
            counted.removed_objects
        ),
        (5, 0, 0)
    );
    assert!(house.has_object(&orphans[0]).await);
    let report = house.run(REQUEST).await;
    assert_eq!(
        (
            report.orphan_objects,
            report.removed_objects,
            report.held_back
        ),
        (5, 5, false)
    );
    for key in orphans.iter().chain([&young]) {
        assert!(!house.has_object(key).await, "{key}");
    }
    for key in [&content(file.blob), "other-prefix/object"] {
        assert!(house.has_object(key).await, "{key}");
    }
}

#[tokio::test]
async fn a_database_unrelated_to_the_bucket_removes_nothing() {
    let house = House::open().await;
    for _ in 0..101 {
        house
            .put(&format!("blobs/{}/content", uuid::Uuid::new_v4()))
            .await;
    }
    house.stores.clock.advance(PAST_ORPHAN_AGE);
    let report = house
        .run(Request {
            remove_many: true,
            ..REQUEST
        })
        .await;
    assert_eq!(
        (report.removed_objects, report.held_back),
        (0, true),
        "the bucket is not marked as the one of this database"
    );
    house.adopt().await;
    let report = house.run(REQUEST).await;
    assert_eq!(
        (
            report.orphan_objects,
            report.removed_objects,
            report.held_back
        ),
        (101, 0, true)
    );
    let report = house
        .run(Request {
            remove_many: true,
            ..REQUEST
        })
        .await;
    assert_eq!((report.removed_objects, report.held_back), (101, false));
}

#[rstest]
#[tokio::test]
async fn lost_contents_are_reported_by_blob(#[values(Store::S3s, Store::Moto)] store: Store) {
    let house = House::at(store).await;
    let mut blobs = Vec::new();
    for n in 0..4 {
        blobs.push(house.upload(vec![n; 1_000]).await.blob);
    }
    let [missing, short, changed, _intact] = blobs[..] else {
        panic!("four files were uploaded")
    };
    house
        .stores
        .objects
        .delete(&content(missing))
        .await
        .expect("removes");
    house.put(&content(short)).await;
    let other = vec![1; 1_016];
    house
        .stores
        .objects
        .put(&content(changed), other.into(), "text/plain")
        .await
        .expect("is written");

    let report = house.run(REQUEST).await;
    assert_eq!(
        (
            report.missing_objects,
            report.wrong_sizes,
            report.broken_contents
        ),
        (1, 1, 0)
    );
    assert_eq!(report.lost, [missing, short]);
    assert!(report.has_losses());
    let report = house
        .run(Request {
            read_contents: true,
            ..REQUEST
        })
        .await;
    assert_eq!(
        (
            report.missing_objects,
            report.wrong_sizes,
            report.broken_contents
        ),
        (1, 1, 1)
    );
    assert_eq!(report.lost, [missing, short, changed]);
    assert_eq!(
        house.count("SELECT count(*) FROM files").await,
        4,
        "no file is removed"
    );
}

#[tokio::test]
async fn directly_uploaded_contents_are_those_that_were_verified() {
    let house = House::open().await;
    let blob = house.upload(vec![1; 1_000]).await.blob;
    let store = async |bytes: Vec<u8>| {
        house
            .stores
            .objects
            .put(&content(blob), bytes.into(), "text/plain")
            .await
            .expect("is written");
    };
    store(vec![1; 1_000]).await;
    let verified = house
        .stores
        .objects
        .head(&content(blob))
        .await
        .expect("answers")
        .expect("the object exists");
    sqlx::query("UPDATE blobs SET data_key = NULL, master_key = NULL, etag = $1")
        .bind(verified.etag.expect("a tag"))
        .execute(&house.stores.db)
        .await
        .expect("updates");
    let report = house
        .run(Request {
            read_contents: true,
            ..REQUEST
        })
        .await;
    assert!(
        !report.has_losses() && report.orphan_objects == 0,
        "{report:?}"
    );
    store(vec![2; 1_000]).await;
    let report = house.run(REQUEST).await;
    assert_eq!(
        (report.replaced_objects, &report.lost[..]),
        (1, &[blob][..])
    );
    let report = house
        .run(Request {
            read_contents: true,
            ..REQUEST
        })
        .await;
    assert_eq!((report.replaced_objects, report.copied_objects), (1, 0));
    store(vec![1; 999]).await;
    assert_eq!(house.run(REQUEST).await.wrong_sizes, 1);

    // In a copied bucket the same contents have another ETag.
    store(vec![1; 1_000]).await;
    house.execute("UPDATE blobs SET etag = 'previous'").await;
    assert_eq!(house.run(REQUEST).await.replaced_objects, 1);
    let report = house
        .run(Request {
            read_contents: true,
            ..REQUEST
        })
        .await;
    assert!(
        !report.has_losses() && report.copied_objects == 1,
        "{report:?}"
    );
    assert_eq!(house.run(REQUEST).await.replaced_objects, 0);
}

#[tokio::test]
async fn a_missing_variant_is_made_again() {
    let house = House::open().await;
    let file = house.upload(b"\xff\xd8\xff\xe0\0\x10JFIF".to_vec()).await;
    house
        .execute(
            "UPDATE file_variants SET state = 'ready', object_key = 'blobs/' || blob_id || '/variants/' || preset,
             width = 1, height = 1, content_type = 'image/jpeg', size = 10",
        )
        .await;
    house
        .put(&format!("blobs/{}/variants/small", file.blob))
        .await;
    house.execute("DELETE FROM jobs").await;
    let report = house.run(REQUEST).await;
    assert_eq!(report.missing_variants, 1);
    assert_eq!(
        house
            .count("SELECT count(*) FROM jobs WHERE kind = 'files.thumbnails'")
            .await,
        1
    );
    let job = plinth_domain::job::MakeThumbnails {
        file_id: file.id,
        blob_id: Some(file.blob),
    };
    let found = Processing::new(&house.stores, &house.presets)
        .find(job.file_id, job.blob_id)
        .await
        .expect("answers");
    assert!(found.is_some(), "the job finds its file");
}

#[tokio::test]
async fn pending_scans_without_a_job_are_enqueued_again() {
    const SCANS: &str = "SELECT count(*) FROM jobs WHERE kind = 'files.scan'";
    let house = House::open().await;
    house.upload(vec![7; 100]).await;
    house.execute("UPDATE blobs SET scan = 'pending'").await;
    let dry = house
        .run(Request {
            dry_run: true,
            ..REQUEST
        })
        .await;
    assert_eq!((dry.missing_scans, house.count(SCANS).await), (1, 0));
    assert_eq!(
        (
            house.run(REQUEST).await.missing_scans,
            house.count(SCANS).await
        ),
        (1, 1)
    );
    assert_eq!(
        (
            house.run(REQUEST).await.missing_scans,
            house.count(SCANS).await
        ),
        (0, 1),
        "the scan has a job"
    );
    // The scanner was unavailable for longer than the deadline of the job.
    house
        .execute("UPDATE jobs SET state = 'dead', finished_at = now() WHERE kind = 'files.scan'")
        .await;
    assert_eq!(
        (
            house.run(REQUEST).await.missing_scans,
            house.count(SCANS).await
        ),
        (1, 2)
    );
}

#[tokio::test]
async fn stalled_uploads_are_removed_and_usage_is_recounted() {
    let house = House::open().await;
    house.upload(vec![1; 1_000]).await;
    house
        .execute("UPDATE storage_usage SET bytes = 5, reserved = -3, files = 9")
        .await;
    house
        .execute(
            "INSERT INTO blobs (id, owner_id, state, object_key, reserved, created_at, updated_at)
             SELECT gen_random_uuid(), id, 'receiving', 'x', 100, now(), now() - interval '2 days' FROM users",
        )
        .await;
    let counted = house
        .run(Request {
            dry_run: true,
            ..REQUEST
        })
        .await;
    assert_eq!((counted.stuck_uploads, counted.quota_drift), (1, 1));
    let report = house.run(REQUEST).await;
    assert_eq!((report.stuck_uploads, report.quota_drift), (1, 1));
    let right =
        "SELECT count(*) FROM storage_usage WHERE bytes = 1000 AND reserved = 0 AND files = 1";
    assert_eq!(house.count(right).await, 1);
    let again = house.run(REQUEST).await;
    assert_eq!((again.stuck_uploads, again.quota_drift), (0, 0));
}

#[tokio::test]
async fn a_stopped_reconciliation_is_continued_by_a_job() {
    let house = House::open().await;
    house
        .execute(
            "INSERT INTO blobs (id, owner_id, state, object_key, created_at, updated_at)
             SELECT gen_random_uuid(), users.id, 'receiving', 'x' || n, now(), now()
             FROM users, generate_series(1, 1200) AS n",
        )
        .await;
    let stop = CancellationToken::new();
    stop.cancel();
    let report = reconcile::run(&house.stores, &REQUEST, &stop)
        .await
        .expect("runs");
    assert_eq!((report.stopped, report.blobs), (true, 500));
    let after: String =
        sqlx::query_scalar("SELECT payload ->> 'after' FROM jobs WHERE kind = 'files.reconcile'")
            .fetch_one(&house.stores.db)
            .await
            .expect("a job");
    assert_eq!(report.after.map(|blob| blob.to_string()), Some(after));
    let rest = house
        .run(Request {
            after: report.after,
            ..REQUEST
        })
        .await;
    assert_eq!((rest.stopped, rest.blobs), (false, 700));
}

#[tokio::test]
async fn yesterdays_dump_removes_nothing_of_the_live_bucket() {
    let house = House::open().await;
    house.upload(vec![0; 100]).await;
    assert!(
        !house.run(REQUEST).await.held_back,
        "a bucket without orphans is marked"
    );
    assert!(
        reconcile::renew(&house.stores).await.expect("answers"),
        "the bucket belongs to this database"
    );
    house.dump().await;
    let mut live = Vec::new();
    for n in 1..=5 {
        live.push(house.upload(vec![n; 100]).await.blob);
    }
    assert!(
        reconcile::renew(&house.stores).await.expect("answers"),
        "the hour's generation"
    );
    house.restore().await;
    house.stores.clock.advance(PAST_ORPHAN_AGE);
    for request in [
        REQUEST,
        Request {
            remove_many: true,
            ..REQUEST
        },
    ] {
        let report = house.run(request).await;
        assert_eq!(
            (
                report.orphan_objects,
                report.removed_objects,
                report.held_back
            ),
            (5, 0, true)
        );
        assert!(
            report
                .held_back_because
                .is_some_and(|reason| reason.contains("restored")),
            "{report:?}"
        );
    }
    assert!(
        !reconcile::renew(&house.stores).await.expect("answers"),
        "the clean-up does not take over the bucket either"
    );
    // New uploads do not make the database newer than the bucket.
    house.upload(vec![9; 100]).await;
    assert_eq!(house.run(REQUEST).await.removed_objects, 0);
    for blob in &live {
        assert!(house.has_object(&content(*blob)).await, "{blob}");
    }
    // An operator accepts the loss.
    house.adopt().await;
    assert_eq!(
        house
            .run(Request {
                dry_run: true,
                ..REQUEST
            })
            .await
            .removed_objects,
        0
    );
    let report = house.run(REQUEST).await;
    assert_eq!((report.removed_objects, report.held_back), (5, false));
}

#[tokio::test]
async fn yesterdays_dump_removes_nothing_that_it_considers_expired() {
    let house = House::open().await;
    let mut blobs = Vec::new();
    for n in 0..3 {
        blobs.push(house.upload(vec![n; 100]).await.blob);
    }
    let [trashed, stalled, purged] = blobs[..] else {
        panic!("three files were uploaded")
    };
    house.run(REQUEST).await;
    // In the dump a file is in the trash, an upload is in progress and a removal is pending. The
    // live database has finished all three since.
    let forget = sqlx::query("DELETE FROM files WHERE blob_id <> $1").bind(trashed.0);
    forget.execute(&house.stores.db).await.expect("deletes");
    sqlx::query(
        "UPDATE blobs SET state = CASE id WHEN $2 THEN 'receiving' ELSE 'removing' END,
             updated_at = now() - interval '2 days'
         WHERE id <> $1",
    )
    .bind(trashed.0)
    .bind(stalled.0)
    .execute(&house.stores.db)
    .await
    .expect("updates");
    house
        .execute("UPDATE files SET trashed_at = now() - interval '31 days'")
        .await;
    house.dump().await;
    assert!(
        reconcile::renew(&house.stores).await.expect("answers"),
        "the hour's generation"
    );
    house.restore().await;
    // The owner may have restored this account after the dump.
    house
        .execute(
            "INSERT INTO users (id, email, email_key, status, deletion_due_at, created_at, updated_at)
             VALUES (gen_random_uuid(), 'x', 'x', 'deleting', now() - interval '1 hour', now(), now())",
        )
        .await;

    let report = house.clean_up().await;
    let reasons: Vec<_> = report.held_back.into_iter().collect();
    let reason = "the database or the bucket was restored: their generations differ";
    let kinds = [
        Kind::DeletedAccounts,
        Kind::TrashedFiles,
        Kind::AbandonedUploads,
    ];
    assert_eq!(reasons, kinds.map(|kind| (kind, reason)));
    assert!(
        report.removed.values().all(|removed| *removed == 0),
        "{:?}",
        report.removed
    );
    Purge::new(&house.stores)
        .run(purged)
        .await
        .expect("the job does not fail");
    let report = house.run(REQUEST).await;
    assert_eq!((report.stuck_uploads, report.held_back), (2, true));
    for blob in [trashed, stalled, purged] {
        assert!(house.has_object(&content(blob)).await, "{blob}");
    }
    assert_eq!(
        house.count("SELECT count(*) FROM blobs").await,
        3,
        "the rows stay for a later clean-up"
    );

    house.adopt().await;
    let report = house.clean_up().await;
    assert_eq!(kinds.map(|kind| report.of(kind)), [1, 1, 2]);
    for blob in [stalled, purged] {
        assert!(!house.has_object(&content(blob)).await, "{blob}");
    }
}

#[tokio::test]
async fn a_dump_of_the_same_hour_is_recognized_by_newer_ids_in_the_bucket() {
    let house = House::open().await;
    house.upload(vec![0; 100]).await;
    house.run(REQUEST).await;
    house.dump().await;
    house.stores.clock.advance(time::Duration::days(1));
    let live = house.upload(vec![1; 100]).await.blob;
    house.restore().await;
    house.stores.clock.advance(PAST_ORPHAN_AGE);
    let report = house.run(REQUEST).await;
    assert_eq!((report.removed_objects, report.held_back), (0, true));
    assert!(
        report
            .held_back_because
            .is_some_and(|reason| reason.contains("newer")),
        "{report:?}"
    );
    assert!(house.has_object(&content(live)).await);
}

#[tokio::test]
async fn a_copied_database_on_the_same_bucket_is_detected_by_both() {
    let house = House::open().await;
    house.upload(vec![0; 100]).await;
    house.run(REQUEST).await;
    house.dump().await;
    // The copy adopts the bucket by mistake. Then the original checks it.
    house.adopt().await;
    house.restore().await;
    house
        .put(&format!("blobs/{}/content", uuid::Uuid::nil()))
        .await;
    house.stores.clock.advance(PAST_ORPHAN_AGE);
    let report = house.run(REQUEST).await;
    assert_eq!((report.removed_objects, report.held_back), (0, true));
    assert!(
        report
            .held_back_because
            .is_some_and(|reason| reason.contains("another database")),
        "{report:?}"
    );
}

#[tokio::test]
async fn an_item_that_fails_is_passed_over() {
    let house = House::open().await;
    let mut blobs = Vec::new();
    for n in 0..3 {
        blobs.push(house.upload(vec![n; 1_000]).await.blob);
    }
    house.execute("UPDATE blobs SET scan = 'pending'").await;
    for statement in [
        "CREATE TABLE poison AS SELECT id FROM blobs ORDER BY id LIMIT 1",
        "CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.id IN (SELECT id FROM poison) THEN RAISE EXCEPTION 'poison'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER poison BEFORE UPDATE ON blobs FOR EACH ROW EXECUTE FUNCTION refuse_poison()",
    ] {
        house.execute(statement).await;
    }
    let report = house.run(REQUEST).await;
    assert_eq!(
        (report.missing_scans, report.passed_over),
        (2, 1),
        "{report:?}"
    );
    let scans = "SELECT count(*) FROM jobs WHERE kind = 'files.scan'";
    assert_eq!(house.count(scans).await, 2);
    let waived = Scans::new(&house.stores, &house.presets)
        .waive()
        .await
        .expect("waives");
    assert_eq!((waived.done, waived.passed_over), (2, 1));
    for statement in [
        "ALTER TABLE blobs DISABLE TRIGGER poison",
        "UPDATE blobs SET scan = 'unscanned', metadata = 'pending', content_type = 'image/png'",
        "ALTER TABLE blobs ENABLE TRIGGER poison",
    ] {
        house.execute(statement).await;
    }
    let stripped = Stripping::new(&house.stores, &house.presets)
        .ask_again()
        .await
        .expect("enqueues");
    assert_eq!((stripped.done, stripped.passed_over), (2, 1));
    // An account whose usage cannot be written does not stop the recount of others.
    house
        .execute("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'poison'; END $$")
        .await;
    house.execute("UPDATE storage_usage SET bytes = 5").await;
    house
        .execute(
            "CREATE TRIGGER poison BEFORE UPDATE ON storage_usage FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .await;
    let report = house.run(REQUEST).await;
    // The account, and the image whose stripping still cannot be enqueued.
    assert_eq!(
        (report.quota_drift, report.passed_over),
        (0, 2),
        "{report:?}"
    );
}

#[tokio::test]
async fn an_image_whose_variants_cannot_be_enqueued_does_not_stop_others() {
    let house = House::open().await;
    for n in 0..3 {
        house.upload(vec![n; 100]).await;
    }
    for statement in [
        "UPDATE files SET content_type = 'image/png'",
        "CREATE FUNCTION refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.payload ->> 'file_id' = (SELECT id::text FROM files ORDER BY id LIMIT 1) THEN
                 RAISE EXCEPTION 'poison'; END IF;
             RETURN NEW; END $$",
        "CREATE TRIGGER poison BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION refuse_poison()",
    ] {
        house.execute(statement).await;
    }
    let step = Processing::new(&house.stores, &house.presets)
        .step(None, None)
        .await
        .expect("answers");
    assert_eq!((step.looked_at, step.asked, step.passed_over), (3, 2, 1));
    assert_eq!(
        house
            .count("SELECT count(*) FROM jobs WHERE kind = 'files.variants'")
            .await,
        2
    );
}

#[tokio::test]
async fn an_object_that_cannot_be_removed_does_not_stop_others() {
    let stage = Stage::open().await;
    let [poison, others @ ..] = [0, 1, 2].map(|n| content(BlobId(uuid::Uuid::from_u128(n))));
    let endpoint = stage
        .settings()
        .s3
        .endpoint
        .expect("the test has an endpoint");
    let refusing = refusing_store::without_delete(&endpoint, &poison).await;
    let house = House::on(stage.with("PLINTH_S3_ENDPOINT", &refusing)).await;
    house.upload(b"kept".to_vec()).await;
    house.adopt().await;
    for key in others.iter().chain([&poison]) {
        house.put(key).await;
    }
    house.stores.clock.advance(PAST_ORPHAN_AGE);
    let report = house.run(REQUEST).await;
    assert_eq!(
        (
            report.orphan_objects,
            report.removed_objects,
            report.passed_over
        ),
        (3, 2, 1),
        "{report:?}"
    );
    assert!(house.has_object(&poison).await);
    for key in &others {
        assert!(!house.has_object(key).await, "{key}");
    }
}

#[rstest]
#[tokio::test]
async fn uploading_the_same_large_contents_twice_leaves_one_object(
    #[values(Store::S3s, Store::Moto)] store: Store,
) {
    let house = House::at(store).await;
    let bytes: Vec<u8> = (0..9 << 20).map(|n: u32| n.to_le_bytes()[1]).collect();
    let kept = house.upload(bytes.clone()).await.blob;
    house.upload(bytes).await;
    let removed: uuid::Uuid = sqlx::query_scalar("SELECT id FROM blobs WHERE state = 'removing'")
        .fetch_one(&house.stores.db)
        .await
        .expect("the second blob is being removed");
    Purge::new(&house.stores)
        .run(BlobId(removed))
        .await
        .expect("is removed");
    assert_eq!(house.count("SELECT count(*) FROM blobs").await, 1);
    assert!(!house.has_object(&content(BlobId(removed))).await);
    assert!(house.has_object(&content(kept)).await);
}
