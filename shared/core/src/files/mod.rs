//! Files: names, tags and versions in PostgreSQL over [blobs], which are the bytes.

mod blobs;
mod content_tickets;
mod direct;
mod download;
mod limits;
mod links;
mod listing;
mod owners;
mod processing;
pub mod reconcile;
mod repository;
mod resumable;
mod scans;
mod service;
mod slots;
mod sniff;
mod stripping;
mod trash;
mod unfinished;
mod upload;
mod variants;

pub(crate) use blobs::abandoned;
pub use blobs::usage::{Quota, Usage};
pub use blobs::{BrokenContent, Download, Purge, Rewrapped, rewrap};
pub use content_tickets::{ContentTickets, Wanted};
pub use direct::{
    DirectState, DirectUpload, DirectUploads, DirectVerification, MOST_SIGNED, SignedPart,
    Verifying,
};
pub use download::{Content, Unlocked};
pub use limits::{Bounds, Limits};
pub(crate) use links::remove_all_of as remove_links_of;
pub use links::{
    DownloadTickets, NewShareLink, OwnLink, RESUME_LIFETIME, ShareLink, ShareLinks, SharedContent,
    SharedFile, Ticket,
};
pub(crate) use links::{end_made_by_ended as end_links_made_by_ended, expired as expired_links};
pub use listing::{Filter, ListRequest, Order};
pub use owners::Owners;
pub use processing::{Made, Notify, Processing, Reason, Source, Step};
pub use resumable::{Resumable, Resumables, Writer};
pub use scans::Scans;
pub use service::{Change, DirectTransfers, Files};
pub use slots::UploadSlot;
pub use stripping::{Stripping, Unstripped};
pub(crate) use trash::{delete_all_of, trashed};
pub use upload::Upload;
