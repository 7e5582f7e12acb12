//! Sessions of one account: another device is seen and thrown out, and a stolen refresh token ends what it was
//! stolen from.

use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;

use crate::door::{Account, Door, Tokens};
use crate::smoke::report::{Report, Step};

type Person = Step<(Account, Tokens)>;

pub(super) async fn walk(door: &Door, person: &Person, report: &mut Report) {
    revoke(door, person, report).await;
    replay(door, person, report).await;
}

async fn revoke(door: &Door, person: &Person, report: &mut Report) {
    let other = report
        .step("log in on another device", person.done(), log_in(door))
        .await;
    let id = report
        .step(
            "find both sessions listed",
            person.and(&other),
            async |((_, tokens), _)| {
                let sessions = door.sessions(&tokens.access_token).await?;
                ensure!(sessions.len() == 2, "there are {} sessions", sessions.len());
                let other = sessions.into_iter().find(|session| !session.current);
                other
                    .map(|session| session.id)
                    .context("both say that they are this one")
            },
        )
        .await;
    let revoked = report
        .step(
            "revoke the other session",
            person.and(&id),
            async |((_, tokens), id)| door.revoke_session(id, &tokens.access_token).await,
        )
        .await;
    report
        .step(
            "be refused on the other device",
            other.and(&revoked),
            async |(other, ())| {
                door.is_refused("/v1/me", &other.access_token, StatusCode::UNAUTHORIZED)
                    .await
            },
        )
        .await;
}

/// Two rotations on, nobody honest has the first token any more.
async fn replay(door: &Door, person: &Person, report: &mut Report) {
    let first = report
        .step(
            "log in where tokens are stolen",
            person.done(),
            log_in(door),
        )
        .await;
    let last = report
        .step("refresh these tokens twice", first.done(), async |first| {
            let second = door.refresh(&first.refresh_token).await?;
            door.refresh(&second.refresh_token).await
        })
        .await;
    let replayed = report
        .step(
            "be refused with the stolen token",
            first.and(&last),
            async |(first, _)| door.refuses_refresh(&first.refresh_token).await,
        )
        .await;
    report
        .step(
            "find that session ended",
            last.and(&replayed),
            async |(last, ())| {
                door.is_refused("/v1/me", &last.access_token, StatusCode::UNAUTHORIZED)
                    .await?;
                door.refuses_refresh(&last.refresh_token).await
            },
        )
        .await;
}

/// One more session of the person.
fn log_in(door: &Door) -> impl AsyncFnOnce(&(Account, Tokens)) -> Result<Tokens> {
    async |(account, _): &(Account, Tokens)| door.log_in(&account.email, &account.password).await
}
