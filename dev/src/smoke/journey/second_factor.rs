//! An authenticator app, a login and a step-up with its codes, and a passkey that logs in alone.

use anyhow::ensure;
use reqwest::StatusCode;

use crate::door::{Account, Door, Tokens};
use crate::smoke::report::{Report, Step};

pub(super) async fn walk(
    door: &Door,
    origin: &str,
    person: &Step<(Account, Tokens)>,
    report: &mut Report,
) {
    let app = report
        .step(
            "add an authenticator app",
            person.done(),
            async |(_, tokens)| door.add_app(&tokens.access_token).await,
        )
        .await;
    let tokens = report
        .step(
            "log in with its code",
            person.and(&app),
            async |((account, _), app)| {
                door.prove(&door.challenge(account).await?, &app.code()?)
                    .await
            },
        )
        .await;
    let needed = person.and(&app);
    let stepped_up = match (needed, tokens.done()) {
        (Step::Done((person, app)), Step::Done(tokens)) => Step::Done((person, app, tokens)),
        (Step::Failed(name), _) | (_, Step::Failed(name)) => Step::Failed(name),
    };
    let fresh = report
        .step(
            "step up",
            stepped_up,
            async |((account, _), app, tokens)| {
                let challenge = door
                    .step_up(&account.password, &tokens.access_token)
                    .await?;
                door.prove(&challenge, &app.next_code()?).await
            },
        )
        .await;
    report
        .step(
            "be refused with the token before it",
            tokens.and(&fresh),
            async |(tokens, _)| {
                door.is_refused("/v1/me", &tokens.access_token, StatusCode::UNAUTHORIZED)
                    .await
            },
        )
        .await;
    report
        .step(
            "create an API key and use it",
            fresh.done(),
            async |tokens| {
                let key = door.create_api_key(&tokens.access_token).await?;
                door.get("/v1/me", &key).await
            },
        )
        .await;
    passkey(door, origin, person, &fresh, report).await;
}

async fn passkey(
    door: &Door,
    origin: &str,
    person: &Step<(Account, Tokens)>,
    tokens: &Step<Tokens>,
    report: &mut Report,
) {
    let passkey = report
        .step("add a passkey", tokens.done(), async |tokens| {
            door.add_passkey(origin, &tokens.access_token).await
        })
        .await;
    report
        .step(
            "log in with the passkey alone",
            person.and(&passkey),
            async |((account, _), passkey)| {
                let tokens = door.log_in_by_passkey(passkey).await?;
                let me = door.get("/v1/me", &tokens.access_token).await?;
                ensure!(
                    me["email"] == account.email.as_str(),
                    "it is the account of {}",
                    me["email"]
                );
                Ok(())
            },
        )
        .await;
}
