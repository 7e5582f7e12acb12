//! The client of S3 with two S3 servers of other authors, and its credentials.

mod credentials;
mod encryption;
mod script;

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use plinth_object_store::{ByteRange, ObjectError, ObjectStore, Part};
use plinth_testkit::{Stage, Store};
use rstest::rstest;

/// The smallest size of every part but the last.
const LEAST_PART: usize = 5 * 1024 * 1024;

async fn read(
    objects: &ObjectStore,
    key: &str,
    range: Option<(u64, u64)>,
) -> Result<Vec<u8>, ObjectError> {
    let range = range.map(|(first, last)| ByteRange { first, last });
    let pieces: Vec<Bytes> = objects.get(key, range).await?.try_collect().await?;
    Ok(pieces.concat())
}

#[rstest]
#[tokio::test]
async fn an_object_is_read_whole_and_in_ranges_until_it_is_deleted(
    #[values(Store::S3s, Store::Moto)] store: Store,
) {
    let stage = Stage::at(store).await;
    let objects = stage.stores().objects;
    objects.ping().await.expect("the bucket exists");
    assert_eq!(objects.size("a/b").await.expect("answers"), None);
    assert!(matches!(
        read(&objects, "a/b", None).await,
        Err(ObjectError::NotFound)
    ));
    objects
        .put("a/b", Bytes::from_static(b"first"), "text/plain")
        .await
        .expect("is stored");
    objects
        .put("a/b", Bytes::from_static(b"0123456789"), "text/plain")
        .await
        .expect("overwrites");
    assert_eq!(objects.size("a/b").await.expect("answers"), Some(10));
    assert_eq!(
        read(&objects, "a/b", None).await.expect("whole"),
        b"0123456789"
    );
    assert_eq!(
        read(&objects, "a/b", Some((0, 0)))
            .await
            .expect("the first"),
        b"0"
    );
    assert_eq!(
        read(&objects, "a/b", Some((7, 9)))
            .await
            .expect("the last three"),
        b"789"
    );
    objects
        .put("empty", Bytes::new(), "text/plain")
        .await
        .expect("is stored");
    assert_eq!(read(&objects, "empty", None).await.expect("whole"), b"");
    for _ in 0..2 {
        objects
            .delete("a/b")
            .await
            .expect("succeeds for a missing object");
        assert_eq!(objects.size("a/b").await.expect("answers"), None);
    }
}

#[rstest]
#[tokio::test]
async fn an_object_is_completed_from_parts_of_any_sender(
    #[values(Store::S3s, Store::Moto)] store: Store,
) {
    let stage = Stage::at(store).await;
    let (objects, others) = (stage.stores().objects, stage.stores().objects);
    let upload = objects.begin_parts("whole").await.expect("begins");
    let put = async |objects: &ObjectStore, number: i32, bytes: Vec<u8>| {
        objects
            .put_part("whole", &upload, number, bytes.into())
            .await
            .expect("is taken")
    };
    // In any order, and one part twice: the later one counts.
    let last = put(&objects, 2, vec![2; 10]).await;
    put(&objects, 1, vec![0; LEAST_PART]).await;
    let first = put(&others, 1, vec![1; LEAST_PART]).await;
    assert_eq!(
        objects.size("whole").await.expect("answers"),
        None,
        "not before it is made"
    );
    let known = [first, last].map(|part| Part::new(part.number(), part.etag().to_owned()));
    others
        .finish_parts("whole", &upload, known.to_vec())
        .await
        .expect("is made");
    let expected = [vec![1; LEAST_PART], vec![2; 10]].concat();
    assert!(read(&objects, "whole", None).await.expect("whole") == expected);
    let seam = u64::try_from(LEAST_PART).expect("it is small");
    assert_eq!(
        read(&objects, "whole", Some((seam - 1, seam)))
            .await
            .expect("reads across the parts"),
        [1, 2]
    );
}

#[tokio::test]
async fn missing_parts_are_distinguished_from_a_failing_store() {
    // s3s fails in its own way if a part was never sent.
    let stage = Stage::at(Store::Moto).await;
    let objects = stage.stores().objects;
    let upload = objects.begin_parts("gone").await.expect("begins");
    let part = objects
        .put_part("gone", &upload, 1, vec![1; LEAST_PART].into())
        .await
        .expect("is taken");
    let never = Part::new(2, part.etag().to_owned());
    let finished = objects
        .finish_parts("gone", &upload, vec![part.clone(), never])
        .await;
    assert!(
        matches!(finished, Err(ObjectError::PartsLost)),
        "{finished:?}"
    );
    for _ in 0..2 {
        objects
            .abort_parts("gone", &upload)
            .await
            .expect("succeeds for a missing object");
    }
    assert_eq!(objects.size("gone").await.expect("answers"), None);

    // Both servers give S3's answer if the upload was aborted.
    let gone = "<Error><Code>NoSuchUpload</Code><Message>It does not exist.</Message></Error>";
    let (address, serving) =
        script::serve("404 Not Found", "application/xml", vec![gone.to_owned()]).await;
    let stage = stage.with("PLINTH_S3_ENDPOINT", &format!("http://{address}"));
    let finished = stage
        .stores()
        .objects
        .finish_parts("gone", &upload, vec![part])
        .await;
    assert!(
        matches!(finished, Err(ObjectError::PartsLost)),
        "{finished:?}"
    );
    serving.await.expect("one request was served");
}

#[rstest]
#[tokio::test]
async fn multipart_uploads_are_listed_if_the_store_supports_it(
    #[values(Store::S3s, Store::Moto)] store: Store,
) {
    let stage = Stage::at(store).await;
    let objects = stage.stores().objects;
    let upload = objects.begin_parts("blobs/begun").await.expect("begins");
    objects.begin_parts("elsewhere").await.expect("begins");
    let listed = objects
        .list_unfinished_parts("blobs/")
        .await
        .expect("answers");
    match store {
        Store::S3s => assert_eq!(listed, None, "s3s has no such list"),
        Store::Moto => {
            let listed = listed.expect("moto returns one");
            let found: Vec<_> = listed
                .iter()
                .map(|begun| (begun.key.as_str(), &begun.upload))
                .collect();
            assert_eq!(found, [("blobs/begun", &upload)]);
            objects
                .abort_parts("blobs/begun", &upload)
                .await
                .expect("aborts");
            let left = objects
                .list_unfinished_parts("blobs/")
                .await
                .expect("answers");
            assert_eq!(left, Some(Vec::new()));
        }
    }
}

#[tokio::test]
async fn a_list_of_multipart_uploads_continues_to_its_last_page() {
    let page = |upload: u8, more: bool| {
        format!(
            "<ListMultipartUploadsResult><IsTruncated>{more}</IsTruncated><NextKeyMarker>k{upload}</NextKeyMarker>\
             <NextUploadIdMarker>u{upload}</NextUploadIdMarker><Upload><Key>k{upload}</Key><UploadId>u{upload}\
             </UploadId></Upload></ListMultipartUploadsResult>"
        )
    };
    let (address, serving) = script::serve(
        "200 OK",
        "application/xml",
        vec![page(1, true), page(2, false)],
    )
    .await;
    let stage = Stage::open()
        .await
        .with("PLINTH_S3_ENDPOINT", &format!("http://{address}"));
    let objects = stage.with("PLINTH_S3_PREFIX", "").stores().objects;
    let listed = objects
        .list_unfinished_parts("")
        .await
        .expect("answers")
        .expect("a list");
    assert_eq!(
        listed
            .iter()
            .map(|begun| begun.upload.trim())
            .collect::<Vec<_>>(),
        ["u1", "u2"]
    );
    let requests = serving.await.expect("no panic");
    assert!(!requests[0].contains("key-marker"), "{requests:?}");
    assert!(
        requests[1].contains("key-marker=k1") && requests[1].contains("upload-id-marker=u1"),
        "{requests:?}"
    );
}

#[rstest]
#[tokio::test]
async fn a_list_continues_after_the_last_seen_key(#[values(Store::S3s, Store::Moto)] store: Store) {
    let stage = Stage::at(store).await;
    let objects = stage.stores().objects;
    objects
        .put("other/x", Bytes::new(), "text/plain")
        .await
        .expect("is stored");
    // More than one page, which has a thousand keys.
    let keys: BTreeSet<String> = (0..1003).map(|n| format!("many/{n:04}")).collect();
    stream::iter(&keys)
        .map(Ok)
        .try_for_each_concurrent(32, async |key| {
            objects
                .put(key, Bytes::from_static(b"x"), "text/plain")
                .await
        })
        .await
        .expect("all are stored");
    let (mut seen, mut pages) = (Vec::new(), 0);
    loop {
        let page = objects
            .list("many/", seen.last().map(String::as_str))
            .await
            .expect("lists");
        assert!(
            page.objects
                .iter()
                .all(|object| object.size == 1 && object.modified.is_some())
        );
        seen.extend(page.objects.into_iter().map(|object| object.key));
        pages += 1;
        if !page.has_more {
            break;
        }
    }
    assert!(seen.iter().eq(&keys), "each once, in their order");
    assert_eq!(pages, 2);
}
