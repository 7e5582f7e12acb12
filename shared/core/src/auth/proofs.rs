//! What of a user's other proofs of who he is concerns the password and the end of the account.

use plinth_domain::id::UserId;
use plinth_platform::database::named;
use sqlx::PgConnection;

/// Whether he could log in without a password.
pub(super) async fn has_passkey(connection: &mut PgConnection, user: UserId) -> sqlx::Result<bool> {
    let query =
        sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM passkeys WHERE user_id = $1) AS "has!""#, user.0);
    named("passkeys.has", query.fetch_one(connection)).await
}

/// Leaves nothing of his passkeys, authenticators and recovery codes.
pub(super) async fn remove_factors(connection: &mut PgConnection, user: UserId) -> sqlx::Result<()> {
    let passkeys = sqlx::query!("DELETE FROM passkeys WHERE user_id = $1", user.0);
    named("passkeys.remove_all_of", passkeys.execute(&mut *connection)).await?;
    let authenticators = sqlx::query!("DELETE FROM totp_factors WHERE user_id = $1", user.0);
    named("totp_factors.remove_all_of", authenticators.execute(&mut *connection)).await?;
    let codes = sqlx::query!("DELETE FROM recovery_codes WHERE user_id = $1", user.0);
    named("recovery_codes.remove_all_of", codes.execute(connection)).await.map(drop)
}
