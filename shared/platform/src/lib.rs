//! The layer below every capability: settings, telemetry, data stores, mail, cryptography and time.
//!
//! Each module wraps one external system and depends on no capability.

pub mod antivirus;
pub mod clamd;
pub mod clock;
pub mod crypto;
pub mod database;
pub mod error_chain;
pub mod internal;
pub mod mailer;
pub mod redis;
pub mod server;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
