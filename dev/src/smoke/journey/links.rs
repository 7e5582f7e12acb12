//! A link to a file, for somebody without an account.

use anyhow::ensure;

use super::resumable::Sent;
use crate::door::{Door, NewLink, Tokens};
use crate::smoke::report::{Report, Step};

pub(super) async fn walk(
    door: &Door,
    tokens: &Step<Tokens>,
    sent: &Step<Sent>,
    report: &mut Report,
) {
    let link = report
        .step(
            "share it by a link",
            tokens.and(sent),
            async |(tokens, sent)| door.share(&sent.file.id, &tokens.access_token).await,
        )
        .await;
    report
        .step(
            "read what the link shares",
            sent.and(&link),
            async |(sent, link)| {
                let shared = door.shared_file(&link.token).await?;
                ensure!(
                    shared["size"] == sent.file.size,
                    "it says {} bytes",
                    shared["size"]
                );
                ensure!(shared["needs_password"] == false, "it asks for a password");
                Ok(())
            },
        )
        .await;
    report
        .step(
            "download by the link alone",
            sent.and(&link),
            async |(sent, link)| sent.equals(&door.shared_content(&link.token).await?),
        )
        .await;
    revoke(door, tokens, sent, &link, report).await;
}

async fn revoke(
    door: &Door,
    tokens: &Step<Tokens>,
    sent: &Step<Sent>,
    link: &Step<NewLink>,
    report: &mut Report,
) {
    let owned = tokens.and(sent);
    let revoked = report
        .step(
            "revoke the link",
            owned.and(link),
            async |((tokens, sent), link)| {
                door.revoke_link(&sent.file.id, &link.link.id, &tokens.access_token)
                    .await
            },
        )
        .await;
    report
        .step(
            "find nothing by it any more",
            link.and(&revoked),
            async |(link, ())| door.link_is_dead(&link.token).await,
        )
        .await;
}
