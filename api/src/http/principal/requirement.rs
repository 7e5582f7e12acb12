//! Permissions as types, so that the signature of an operation declares its permission.

use plinth_domain::permission::Permission;

/// The permission that an operation requires, with the names of its placeholder security schemes.
pub trait Requirement: Send + Sync + 'static {
    /// `None` accepts every authenticated caller.
    const PERMISSION: Option<Permission>;
    const ALLOWED: &'static str;
    const NOT_IMPERSONATED: &'static str;
    const IN_SESSION: &'static str;
    const FRESH: &'static str;
    const ENROLLING: &'static str;
}

macro_rules! requirements {
    ($($(#[$doc:meta])* $name:ident: $permission:expr;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $name;

            impl Requirement for $name {
                const PERMISSION: Option<Permission> = $permission;
                const ALLOWED: &'static str = concat!("allowed ", stringify!($name));
                const NOT_IMPERSONATED: &'static str = concat!("not-impersonated ", stringify!($name));
                const IN_SESSION: &'static str = concat!("in-session ", stringify!($name));
                const FRESH: &'static str = concat!("fresh ", stringify!($name));
                const ENROLLING: &'static str = concat!("enrolling ", stringify!($name));
            }
        )*

        /// Returns the permission of a requirement by its name.
        pub(super) fn permission_of(name: &str) -> Option<Permission> {
            match name {
                $(stringify!($name) => $permission,)*
                _ => None,
            }
        }
    };
}

requirements! {
    /// Requires an authenticated caller and no permission.
    LoggedIn: None;
    ProfileRead: Some(Permission::ProfileRead);
    ProfileWrite: Some(Permission::ProfileWrite);
    CredentialsRead: Some(Permission::CredentialsRead);
    CredentialsWrite: Some(Permission::CredentialsWrite);
    FilesRead: Some(Permission::FilesRead);
    FilesWrite: Some(Permission::FilesWrite);
    NotificationsRead: Some(Permission::NotificationsRead);
    UsersRead: Some(Permission::UsersRead);
    UsersWrite: Some(Permission::UsersWrite);
    UsersImpersonate: Some(Permission::UsersImpersonate);
    RolesRead: Some(Permission::RolesRead);
    RolesWrite: Some(Permission::RolesWrite);
    AuditRead: Some(Permission::AuditRead);
    JobsRead: Some(Permission::JobsRead);
    JobsWrite: Some(Permission::JobsWrite);
}
