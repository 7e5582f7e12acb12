//! Accounts for the load generators, made by the product's import.

use anyhow::{Context as _, Result, anyhow};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use plinth_dev::door::Account;
use plinth_dev::random;
use plinth_dev::stack::one_shot;
use serde_json::json;

use super::{Fixture, program};

/// Creates accounts with verified addresses. Their hashes have the product's parameters, so that no
/// login rehashes.
pub(crate) async fn import(fixture: &Fixture, count: usize) -> Result<Vec<Account>> {
    let accounts: Vec<_> = (0..count)
        .map(|_| Account::fresh())
        .collect::<Result<_>>()?;
    let lines = accounts.iter().map(|account| {
        let hash = password_hash(&account.password)?;
        let line = json!({ "email": account.email, "password_hash": hash, "email_verified": true });
        Ok(line.to_string())
    });
    let lines = lines.collect::<Result<Vec<_>>>()?.join("\n");
    let api = program::folder()?.join("plinth-api");
    let (stack, root) = (&fixture.stack, &fixture.layout.root);
    let env = stack.environment.shared(&stack.manifest.api_url);
    one_shot(&api, &["admin", "import"], &env, root, Some(&lines))
        .await
        .context("importing accounts")?;
    Ok(accounts)
}

/// Returns a hash in the PHC string format with the product's default parameters.
fn password_hash(password: &str) -> Result<String> {
    let params = Params::new(19_456, 2, 1, Some(32)).map_err(|error| anyhow!("{error}"))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let (salt, mut hash) = (random::bytes(16)?, [0; 32]);
    argon2
        .hash_password_into(password.as_bytes(), &salt, &mut hash)
        .map_err(|error| anyhow!("{error}"))?;
    let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
    Ok(format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${hash}"))
}
