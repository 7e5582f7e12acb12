//! What every capability stands on: settings, telemetry, the stores, mail, cryptography, time.
//!
//! Each module wraps one piece of the outside world and knows no capability.

pub mod antivirus;
pub mod causes;
pub mod clamd;
pub mod clock;
pub mod crypto;
pub mod database;
pub mod internal;
pub mod mailer;
pub mod redis;
pub mod server;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
