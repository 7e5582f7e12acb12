//! What every request passes, from the outside in: [`Observe`], [`ClientAddress`], CORS and [`RenderErrors`] where origins
//! are set, [`Admission`], [`Deadline`], [`ContentOnly`] where there is a host for users' files, [`Published`].

mod admission;
mod client_address;
mod content_only;
mod deadline;
mod metrics;
mod observe;
mod published;
mod render_errors;

pub use admission::{Admission, Parts as AdmissionParts};
pub use client_address::ClientAddress;
pub use content_only::ContentOnly;
pub use deadline::Deadline;
pub use observe::Observe;
pub use published::Published;
pub use render_errors::RenderErrors;
