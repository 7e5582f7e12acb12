//! The layers around the routes, from the outside in: [`Observe`], [`ClientAddress`], CORS and
//! [`RenderErrors`] (if origins are set), [`Admission`], [`Deadline`], [`HostSeparation`] (if
//! users' files have a separate host), [`ServeDocuments`].

mod admission;
mod client_address;
mod deadline;
mod host_separation;
mod metrics;
mod observe;
mod render_errors;
mod serve_documents;

pub use admission::{Admission, Services as AdmissionServices};
pub use client_address::ClientAddress;
pub use deadline::Deadline;
pub use host_separation::HostSeparation;
pub use observe::Observe;
pub use render_errors::RenderErrors;
pub use serve_documents::ServeDocuments;
