//! What came of sealing secrets anew under another root key.

use std::fmt::Display;

use serde::Serialize;
use serde_json::{Value, json};

use crate::cleanup::PassedOver;
use crate::{Error, Result};

/// How many secrets were sealed anew, and how many could not be: neither root key opens them, or they cannot be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Resealed {
    pub resealed: u64,
    pub failed: u64,
}

impl Resealed {
    /// Counts what became of a secret. One that failed stays as it was and is passed over.
    ///
    /// # Errors
    /// An outage, which is no fault of the secret.
    pub(crate) fn count(&mut self, secret: impl Display, replaced: Result<u64>) -> Result<()> {
        match replaced {
            Ok(replaced) => self.resealed += replaced,
            Err(error) => {
                let mut passed_over = PassedOver::default();
                passed_over.note(secret, error)?;
                self.failed += passed_over.rows;
            }
        }
        Ok(())
    }

    /// As the audit log has it.
    pub(crate) fn told(self, what: &'static str) -> Value {
        json!({ "what": what, "resealed": self.resealed, "failed": self.failed })
    }
}

/// The error of a secret that was sealed under a third root key, or is damaged.
pub(crate) fn unreadable() -> Error {
    Error::internal("neither root key opens it")
}
