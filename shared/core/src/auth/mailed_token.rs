//! Tokens that go out by mail. The worker mints one right before its mail is sent, so that none rests in the ledger,
//! and no mailbox gets more than one of a kind in a while, however often it is asked for.

use std::time::Duration;

use plinth_domain::id::UserId;
use plinth_domain::purpose::TokenPurpose;
use plinth_domain::rejection::Rejection;
use plinth_domain::user::User;
use plinth_platform::crypto::OpaqueToken;
use time::OffsetDateTime;

use super::Auth;
use super::tokens::{self, NewToken};
use crate::unit::Unit;
use crate::{Error, Result};

/// A mailbox gets no second mail of a kind within so long of the first.
pub(super) const QUIET: Duration = Duration::from_mins(5);

/// An account has mails sent to so many addresses that it has not proved, and no more, within [`STRANGERS_FOR`].
const STRANGERS: i64 = 5;
const STRANGERS_FOR: Duration = Duration::from_hours(1);

/// What a mail with a token needs to say.
#[derive(Debug)]
pub struct MailedToken {
    pub user: UserId,
    pub to: String,
    pub display_name: Option<String>,
    pub token: OpaqueToken,
    /// How long the token is valid.
    pub valid: Duration,
}

impl MailedToken {
    pub(super) fn to(user: User, token: OpaqueToken, valid: Duration) -> Self {
        let display_name = user.name_in_mail().map(str::to_owned);
        Self {
            user: user.id,
            to: user.email,
            display_name,
            token,
            valid,
        }
    }
}

/// A mail as its job knows it.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// When somebody asked for it.
    pub at: OffsetDateTime,
    /// It was tried before: a token that it has minted already is no reason to keep quiet.
    pub again: bool,
}

/// What a token is minted for.
pub(super) struct Wanted<'a> {
    pub(super) user: UserId,
    pub(super) purpose: TokenPurpose,
    /// See [`NewToken::email`].
    pub(super) email: Option<&'a str>,
    pub(super) valid: Duration,
}

/// Mints a token; `None` while an earlier one of the kind is young. The caller holds the account.
pub(super) async fn mint_sparingly(
    unit: &mut Unit,
    wanted: &Wanted<'_>,
    asked: Asked,
) -> Result<Option<OpaqueToken>> {
    let now = unit.at();
    let kind = (wanted.user, wanted.purpose);
    let others = (asked.at - QUIET, asked.again.then_some(asked.at));
    if tokens::count_since(unit.connection(), kind, wanted.email, others, now).await? > 0 {
        return Ok(None);
    }
    mint(unit, wanted, asked.at).await.map(Some)
}

/// Whether the account may write to another address that it has not proved: it would be a way to send mail in the
/// product's name to anybody. The caller holds the account.
pub(super) async fn may_write_to_strangers(
    unit: &mut Unit,
    wanted: &Wanted<'_>,
    asked: Asked,
) -> Result<bool> {
    let now = unit.at();
    let others = (asked.at - STRANGERS_FOR, asked.again.then_some(asked.at));
    let kind = (wanted.user, wanted.purpose);
    Ok(tokens::count_since(unit.connection(), kind, None, others, now).await? < STRANGERS)
}

/// Mints a token.
pub(super) async fn mint(
    unit: &mut Unit,
    wanted: &Wanted<'_>,
    asked_at: OffsetDateTime,
) -> Result<OpaqueToken> {
    let token = OpaqueToken::generate();
    let new = NewToken {
        hash: token.hash(),
        user: wanted.user,
        purpose: wanted.purpose,
        email: wanted.email,
        expires_at: unit.at() + wanted.valid,
        created_at: asked_at,
    };
    tokens::insert(unit.connection(), &new).await?;
    Ok(token)
}

impl Auth {
    /// Reads a presented token, and whose it is. It is not used up: what it is for may yet be refused.
    pub(super) async fn mailed_token(
        &self,
        text: &str,
        purpose: TokenPurpose,
    ) -> Result<(OpaqueToken, UserId)> {
        let token = OpaqueToken::parse(text).ok_or_else(unknown_token)?;
        let found = tokens::find(
            &self.stores.db,
            &token.hash(),
            purpose,
            self.stores.clock.now(),
        )
        .await?;
        let (owner, _) = found.ok_or_else(unknown_token)?;
        Ok((token, owner))
    }
}

pub(super) fn unknown_token() -> Error {
    let detail = "The token is unknown, used or expired; ask for another mail.";
    Error::invalid("/token", Rejection::new("invalid_token", detail))
}
