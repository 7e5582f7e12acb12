//! An operation: one struct with one `#[OpenApi]` method, and its [`Operation`] declaration.
//!
//! Each capability lists its operations once, with
//! [`operations!`](crate::http::operation::operations). The routes, the document and the
//! [`RouteTable`](super::route_table::RouteTable) of the outer layers derive from this list.

mod declaration;
mod registered;

use plinth_core::access::Purpose;
use plinth_domain::error_code::ErrorCode;
use poem_openapi::OpenApi;

pub(crate) use declaration::Declaration;
pub(crate) use registered::{Declared, Registered};

/// The HTTP status and the code of an error.
pub(crate) type Refusal = (u16, ErrorCode);

/// Groups of errors, so that operations can share a list.
pub(crate) type Refusals = &'static [&'static [Refusal]];

/// What an operation declares beside its signature.
pub(crate) trait Operation: OpenApi {
    /// The errors that the service returns. Errors that follow from the signature are not listed:
    /// see [`Declaration::refusals`].
    const REFUSALS: Refusals = &[];

    /// Whether everyone may call the operation. An operation that is not open must take its caller
    /// as a parameter; otherwise the server does not start.
    const IS_OPEN: bool = false;

    /// The rate limit that requests count against.
    const PURPOSE: Purpose = Purpose::Other;

    /// The hosts that serve the operation if the deployment has a separate host for users' files.
    const HOSTS: Hosts = Hosts::Api;
}

/// The hosts that serve an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hosts {
    Api,
    /// The host of users' files (`PLINTH_CONTENT_URL`).
    Content,
    Both,
}

/// Lists the operations of a capability: each by its type, with the services in its fields. `field:
/// service` names a service whose name differs from the field. Defines the type `Operations` and
/// the function `operations`.
macro_rules! operations {
    (@types) => { () };
    (@types $module:ident::$name:ident $({ $($fields:tt)* })?, $($rest:tt)*) => {
        (
            $crate::http::operation::Registered<$module::$name>,
            $crate::http::operation::operations!(@types $($rest)*),
        )
    };
    (@values $services:ident) => { () };
    (@values $services:ident $module:ident::$name:ident $({ $($fields:tt)* })?, $($rest:tt)*) => {
        (
            $crate::http::operation::Registered::new(
                $crate::http::operation::operations!(@value $services $module::$name $({ $($fields)* })?)
            ),
            $crate::http::operation::operations!(@values $services $($rest)*),
        )
    };
    (@value $services:ident $module:ident::$name:ident) => { $module::$name };
    (@value $services:ident $module:ident::$name:ident { $($field:ident $(: $service:ident)?),* }) => {
        $module::$name {
            $($field: $crate::http::operation::operations!(@service $services $field $($service)?)),*
        }
    };
    (@service $services:ident $field:ident) => { Clone::clone(&$services.$field) };
    (@service $services:ident $field:ident $service:ident) => { Clone::clone(&$services.$service) };
    ($module:ident $($list:tt)*) => {
        /// The operations of this capability, as they are served and documented.
        pub(crate) type Operations =
            $crate::http::operation::operations!(@types $module $($list)*);

        pub(crate) fn operations(services: &$crate::services::Services) -> Operations {
            $crate::http::operation::operations!(@values services $module $($list)*)
        }
    };
}

pub(crate) use operations;
