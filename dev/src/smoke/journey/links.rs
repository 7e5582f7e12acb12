//! A link to a file, for people without an account.

use anyhow::{Result, ensure};

use super::resumable::Sent;
use crate::door::Door;
use crate::smoke::report::{Failed, Report};

pub(super) async fn steps(
    client: &Door,
    token: &str,
    sent: &Sent,
    report: &mut Report,
) -> Result<(), Failed> {
    let file = &sent.file;
    let share = client.share(&file.id, token);
    let link = report.step("share it by a link", share).await?;
    let read = async {
        let shared = client.shared_file(&link.token).await?;
        ensure!(
            shared["size"] == file.size,
            "it has {} bytes",
            shared["size"]
        );
        ensure!(shared["needs_password"] == false, "it needs a password");
        Ok(())
    };
    report.step("read what the link shares", read).await?;
    let download = async { sent.equals(&client.shared_content(&link.token).await?) };
    report.step("download by the link alone", download).await?;
    let revoke = client.revoke_link(&file.id, &link.link.id, token);
    report.step("revoke the link", revoke).await?;
    let dead = client.link_is_dead(&link.token);
    report.step("find nothing by it any more", dead).await
}
