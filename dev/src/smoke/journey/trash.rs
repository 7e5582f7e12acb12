//! Into the trash and back, then away for good.

use reqwest::StatusCode;

use super::resumable::Sent;
use crate::door::{Door, Tokens};
use crate::smoke::report::{Report, Step};

pub(super) async fn walk(
    door: &Door,
    tokens: &Step<Tokens>,
    sent: &Step<Sent>,
    report: &mut Report,
) {
    let owned = tokens.and(sent);
    let trashed = report
        .step(
            "move it into the trash",
            tokens.and(sent),
            async |(tokens, sent)| {
                door.delete_file(&sent.file.id, &tokens.access_token)
                    .await?;
                is_not_found(door, tokens, sent).await
            },
        )
        .await;
    let restored = report
        .step(
            "restore it",
            owned.and(&trashed),
            async |((tokens, sent), ())| {
                door.restore_file(&sent.file.id, &tokens.access_token)
                    .await?;
                let path = format!("/v1/files/{}/content", sent.file.id);
                sent.equals(&door.content(&path, &tokens.access_token).await?)
            },
        )
        .await;
    report
        .step(
            "delete it for good",
            owned.and(&restored),
            async |((tokens, sent), ())| {
                door.remove_file(&sent.file.id, &tokens.access_token)
                    .await?;
                is_not_found(door, tokens, sent).await?;
                door.is_gone(&sent.file.id, &tokens.access_token).await
            },
        )
        .await;
}

/// Neither what is known of the file, nor its bytes.
async fn is_not_found(door: &Door, tokens: &Tokens, sent: &Sent) -> anyhow::Result<()> {
    for path in [
        format!("/v1/files/{}", sent.file.id),
        format!("/v1/files/{}/content", sent.file.id),
    ] {
        door.is_refused(&path, &tokens.access_token, StatusCode::NOT_FOUND)
            .await?;
    }
    Ok(())
}
