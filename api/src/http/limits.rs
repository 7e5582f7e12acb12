//! How much of a request is read, and how long a body may stand still.

use std::time::Duration;

use plinth_platform::settings::ByteSize;

/// The bounds of reading bodies; put into every request.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// The longest JSON body.
    pub json: ByteSize,
    /// How long a streamed body may bring nothing.
    pub idle: Duration,
}
