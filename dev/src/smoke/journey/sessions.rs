//! Sessions of one account: another device is revoked, and a replayed refresh token ends its
//! session.

use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;

use crate::door::{Account, Door, Tokens};
use crate::smoke::report::{Failed, Report};

pub(super) async fn steps(
    client: &Door,
    account: &Account,
    tokens: &Tokens,
    report: &mut Report,
) -> Result<(), Failed> {
    let token = &tokens.access_token;
    let log_in = || client.log_in(&account.email, &account.password);
    let is_refused = async |token: &str| {
        let status = StatusCode::UNAUTHORIZED;
        client.is_refused("/v1/me", token, status).await
    };
    let other = report.step("log in on another device", log_in()).await?;
    let list = async {
        let sessions = client.sessions(token).await?;
        ensure!(sessions.len() == 2, "there are {} sessions", sessions.len());
        let mut others = sessions.into_iter().filter(|session| !session.current);
        others.next().context("no session is of another device")
    };
    let session = report.step("find both sessions listed", list).await?;
    let revoke = client.revoke_session(&session.id, token);
    report.step("revoke the other session", revoke).await?;
    let refused = is_refused(&other.access_token);
    let name = "be refused on the other device";
    report.step(name, refused).await?;

    // After two rotations only a thief has the first token.
    let name = "log in where tokens are stolen";
    let first = report.step(name, log_in()).await?;
    let refresh = async {
        let second = client.refresh(&first.refresh_token).await?;
        client.refresh(&second.refresh_token).await
    };
    let third = report.step("refresh these tokens twice", refresh).await?;
    let replay = client.refuses_refresh(&first.refresh_token);
    let name = "be refused with the stolen token";
    report.step(name, replay).await?;
    let ended = async {
        is_refused(&third.access_token).await?;
        client.refuses_refresh(&third.refresh_token).await
    };
    report.step("find that session ended", ended).await
}
