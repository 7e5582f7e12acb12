//! One complete response of each operation.

use std::collections::BTreeSet;
use std::path::Path;

use rstest::rstest;

use super::snapshot::{self, FOLDER};
use crate::operations::{Operation, operations, present_document};
use crate::requests::{open, open_for, prepare};

#[rstest]
#[tokio::test]
async fn an_operation_responds_as_in_its_snapshot(
    #[values(
        "Account",
        "Audit",
        "Authentication",
        "Files",
        "Jobs",
        "Notifications",
        "Roles",
        "Users"
    )]
    tag: &str,
) {
    let shared = open().await;
    for operation in tagged(tag) {
        let own;
        let house = if depends_on_other_requests(&operation) {
            own = open_for(&operation).await;
            &own
        } else {
            &shared
        };
        let caller = if operation.is_of_administrators() {
            house.administrator().await
        } else {
            house.person(operation.id()).await
        };
        let request = prepare(house, &operation, &caller)
            .await
            .build(house, &caller);
        eprintln!("{}", operation.name());
        let answer = snapshot::compare(FOLDER, operation.id(), request).await;
        assert!(
            answer.status.is_success(),
            "{}: {answer:?}",
            operation.name()
        );
    }
}

/// Returns whether the response depends on other requests, so that the operation needs an API of
/// its own. Starting one for each operation would take minutes.
fn depends_on_other_requests(operation: &Operation) -> bool {
    operation.is_of_administrators() || operation.path.starts_with("/v1/content/")
}

/// Returns the operations with this tag, at least one.
fn tagged(tag: &str) -> Vec<Operation> {
    let is_tagged = |operation: &Operation| operation.description["tags"][0] == tag;
    let found: Vec<_> = operations(&present_document())
        .into_iter()
        .filter(is_tagged)
        .collect();
    assert!(!found.is_empty(), "no operation has the tag {tag}");
    found
}

#[test]
fn operations_and_snapshots_correspond() {
    let document = present_document();
    let operations: BTreeSet<_> = operations(&document)
        .iter()
        .map(|operation| operation.id().to_owned())
        .collect();
    assert_eq!(names_in("tests/it/snapshots"), operations);
}

/// Returns the names of the snapshots in a folder of this crate.
pub(super) fn names_in(folder: &str) -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|file| file.expect("reads").path());
    let snapshots = files.filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "snap")
    });
    snapshots
        .map(|path| {
            path.file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}
