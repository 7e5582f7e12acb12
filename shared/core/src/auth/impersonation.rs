//! Impersonation: for a quarter of an hour an administrator acts in somebody's name, for a reason that is written down.

use plinth_domain::audit::{Action, Origin, Outcome, Target};
use plinth_domain::error_code::ErrorCode;
use plinth_domain::id::{SessionId, UserId};
use plinth_domain::permission::Permission;
use plinth_domain::text::Reason;
use plinth_domain::user::UserStatus;
use serde_json::json;

use super::refresh_token::RefreshToken;
use super::sessions::{self, Impersonation, NewSession};
use super::{Auth, IMPERSONATION, SessionCaller, SessionTokens};
use crate::access_tokens::Grant;
use crate::unit::Unit;
use crate::{Error, Result, roles, users};

impl Auth {
    /// Opens a session of `user` in which the caller acts. It has an access token and nothing that would renew it.
    pub async fn impersonate(
        &self,
        origin: &Origin,
        caller: SessionCaller<'_>,
        user: UserId,
        reason: &Reason,
    ) -> Result<SessionTokens> {
        let mut unit = caller.begin_for(&self.stores, origin, user).await?;
        let (by, login) = (caller.user_id(), caller.login());
        require_subject(&mut unit, by, user).await?;
        let at = unit.at();
        let id = SessionId::mint(at);
        let session = NewSession {
            id,
            user,
            // Nobody is told the token that has this hash.
            refresh_hash: RefreshToken::first(id).hash(),
            methods: &login.methods,
            idle_expires_at: at + IMPERSONATION,
            expires_at: at + IMPERSONATION,
            impersonation: Some(Impersonation {
                by,
                reason: reason.as_str(),
            }),
        };
        sessions::insert(unit.connection(), &session, origin, at).await?;
        let details = json!({ "reason": reason.as_str(), "session": id });
        unit.audit_with(
            Action::ImpersonationStarted,
            Target::User(user),
            Outcome::Success,
            details,
        )
        .await?;
        unit.commit().await?;
        let grant = Grant {
            user,
            session: id,
            authenticated_at: login.authenticated_at,
            methods: login.methods.clone(),
            impersonator: Some(by),
        };
        let access_token = self.access_tokens.sign(grant, at, IMPERSONATION).await?;
        Ok(SessionTokens {
            session: id,
            access_token,
            expires_in: IMPERSONATION,
            refresh_token: None,
            device_token: None,
        })
    }
}

/// Refuses whom this administrator may not act for. The caller holds both accounts, and no role changes until the change
/// is over: whoever suspends one of them, or changes what they may do, finds the session that begins here.
async fn require_subject(unit: &mut Unit, by: UserId, user: UserId) -> Result<()> {
    let subject = users::hold(unit, user).await?;
    if by == user {
        let detail = "Nobody needs to act in his own name by way of an impersonation.".to_owned();
        return Err(Error::Conflict {
            code: ErrorCode::OwnAccount,
            detail,
        });
    }
    if subject.status != UserStatus::Active {
        let detail = "The account is suspended.".to_owned();
        return Err(Error::Conflict {
            code: ErrorCode::AccountSuspended,
            detail,
        });
    }
    roles::stand_still(unit).await?;
    let administrator = users::hold(unit, by).await?;
    let own = roles::permissions_of(unit, &administrator.roles).await?;
    if !own.allow(Permission::UsersImpersonate) || administrator.status != UserStatus::Active {
        let detail = "The caller may not act in anybody's name any more.".to_owned();
        return Err(Error::Forbidden {
            code: ErrorCode::PermissionDenied,
            detail,
        });
    }
    let wanted = roles::permissions_of(unit, &subject.roles).await?;
    roles::require_within(&wanted, &own)
}
