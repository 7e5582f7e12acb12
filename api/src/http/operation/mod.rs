//! An operation: one struct with one `#[OpenApi]` method, and what it declares beside its signature.
//!
//! Each capability lists its operations once, with [`operations!`](crate::http::operation::operations). From the list come
//! the routes, the document, and the [`RouteTable`](super::route_table::RouteTable) of the layers around the routes.

mod declaration;
mod registered;

use plinth_core::access::Purpose;
use plinth_domain::error_code::ErrorCode;
use poem_openapi::OpenApi;

pub(crate) use declaration::Declaration;
pub(crate) use registered::{Declared, Registered};

/// A code that an operation answers with instead of its result, and the HTTP status that it has there.
pub(crate) type Refusal = (u16, ErrorCode);

/// Refusals in groups, so that operations which do the same share a list.
pub(crate) type Refusals = &'static [&'static [Refusal]];

/// What an operation declares that its signature does not say.
pub(crate) trait Operation: OpenApi {
    /// What the service refuses. What follows from the signature is not listed: see [`Declaration::refusals`].
    const REFUSALS: Refusals = &[];

    /// Whether everyone may call the operation. One that is not open takes its caller as a parameter; one that does
    /// neither is not served.
    const IS_OPEN: bool = false;

    /// The rate limit that its requests count against.
    const PURPOSE: Purpose = Purpose::Other;

    /// Where it is served if the deployment gives users' files on a host of their own.
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

/// Lists the operations of a capability: each by its type, with the services that its fields hold. `field: service` names
/// a service that is called otherwise than the field. Makes the type `Operations` and the function `operations`.
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
