//! What came of sealing secrets anew under another root key.

use serde::Serialize;
use serde_json::{Value, json};

/// How many secrets were sealed anew, and how many neither root key opens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Resealed {
    pub resealed: u64,
    pub failed: u64,
}

impl Resealed {
    /// As the audit log has it.
    pub(crate) fn told(self, what: &'static str) -> Value {
        json!({ "what": what, "resealed": self.resealed, "failed": self.failed })
    }
}
