//! What the owner of an account is told by mail when something happened to how he logs in.

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// What a second factor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(
    feature = "openapi",
    derive(poem_openapi::Enum),
    oai(rename_all = "snake_case")
)]
pub enum FactorKind {
    Totp,
    Passkey,
    RecoveryCodes,
}

/// Something that the owner should know of, since somebody else could have done it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(tag = "notice", rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum SecurityNotice {
    /// Somebody registered with the address of this account.
    RegistrationAttempted,
    PasswordChanged,
    PasswordReset,
    /// From now on only passkeys log in.
    PasswordRemoved,
    /// Goes to the address that was left, with a link that undoes it.
    EmailChanged {
        old_email: String,
    },
    /// The account has its old address again, and only a mailed link lets its owner in.
    EmailChangeUndone,
    /// Goes to the address that an undo took from the account, which can do nothing about it.
    EmailRemoved {
        email: String,
    },
    /// Changes of the address can no longer be undone.
    EmailUndoWaived,
    /// An administrator has taken the account back for its owner.
    AccountReset,
    /// So many logins have failed.
    LoginsFailed {
        failures: u32,
    },
    /// An old refresh token was presented: its session was ended.
    RefreshReused,
    FactorAdded {
        kind: FactorKind,
    },
    FactorRemoved {
        kind: FactorKind,
    },
    /// A recovery code was used; so many are left.
    RecoveryCodeUsed {
        left: u32,
    },
    /// An administrator has removed every second factor.
    FactorsReset,
    ApiKeyCreated {
        name: String,
    },
    /// The account is deleted when its grace period is over.
    DeletionScheduled,
    /// The deletion of the account was taken back.
    AccountRestored,
    /// Goes to the address that the account had.
    AccountDeleted {
        email: String,
    },
}

impl SecurityNotice {
    /// Its name, as the job and the audit log have it.
    pub fn name(&self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_read_back_as_it_was_written() {
        let notice = SecurityNotice::FactorAdded {
            kind: FactorKind::Totp,
        };
        let written = serde_json::to_value(&notice).expect("serialises");
        assert_eq!(
            written,
            serde_json::json!({ "notice": notice.name(), "kind": "totp" })
        );
        assert_eq!(
            serde_json::from_value::<SecurityNotice>(written).expect("reads"),
            notice
        );
    }
}
