//! Accounts for the load generators, brought in as an operator brings in those of another system.

use anyhow::{Context as _, Result};
use serde_json::json;

use super::Bed;
use super::baseline::hash_of;
use crate::build::{self, Profile};
use crate::door::Account;
use crate::random;
use crate::stack::one_shot;

/// New accounts with verified addresses. Their hashes are as the product makes them, so that no login makes one anew.
pub(super) async fn import(bed: &Bed, count: usize) -> Result<Vec<Account>> {
    let accounts: Vec<_> = (0..count)
        .map(|_| Account::fresh())
        .collect::<Result<_>>()?;
    let lines = accounts.iter().map(|account| {
        let hash = hash_of(&account.password, &random::bytes(16)?)?;
        let line = json!({ "email": account.email, "password_hash": hash, "email_verified": true });
        Ok(line.to_string())
    });
    let lines = lines.collect::<Result<Vec<_>>>()?.join("\n");
    let api = build::folder(Profile::Release)?.join("plinth-api");
    let env = bed.stack.environment.shared(&bed.stack.manifest.api_url);
    let imported = one_shot(
        &api,
        &["admin", "import"],
        &env,
        &bed.layout.root,
        Some(&lines),
    )
    .await;
    imported.context("importing accounts")?;
    Ok(accounts)
}
