//! stub
use crate::unit::Unit;
use crate::{Result, Stores};
use plinth_domain::id::UserId;
use plinth_platform::settings::Settings;
use serde_json::Value;
#[derive(Clone)]
pub struct Passkeys;
pub(crate) struct PasskeyRequest {
    pub(crate) public_key: Value,
    pub(crate) state: Value,
}
impl Passkeys {
    pub fn new(_: &Stores, _: &Settings) -> Self {
        Self
    }
    pub(crate) async fn request_for(&self, _: UserId) -> Result<Option<PasskeyRequest>> {
        Ok(None)
    }
    pub(crate) async fn verify_for(&self, _: &mut Unit, _: UserId, _: &Value, _: &Value) -> Result<bool> {
        Ok(false)
    }
}
pub(crate) async fn remove_beside_password(_: &mut Unit, _: UserId) -> Result<()> {
    Ok(())
}
