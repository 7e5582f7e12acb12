//! What one-time tokens and challenges are good for.

use strum::{EnumString, IntoStaticStr};

/// What a one-time token is good for, and for nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum TokenPurpose {
    VerifyEmail,
    ResetPassword,
    ChangeEmail,
    UndoEmailChange,
    /// Never mailed: marks that the owner of an address was told of a registration with it.
    TellOfRegistration,
}

/// What a challenge is good for, and for nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ChallengePurpose {
    /// The second factor of a login.
    SecondFactor,
    /// Another proof in a session.
    StepUp,
    /// A login by passkey alone.
    PasskeyLogin,
    /// A passkey that is to be added.
    PasskeyEnrolment,
    /// The second factor of an undo of a change of address.
    UndoEmailChange,
    /// The answer of a login to an account that is deleting.
    Restore,
}
