//! Permissions as types, so that the signature of an operation says what it needs.

use plinth_domain::permission::Permission;

/// What an operation needs, with the names under which the document knows of it.
pub trait Requirement: Send + Sync + 'static {
    /// `None` lets in whoever is logged in.
    const PERMISSION: Option<Permission>;
    const ALLOWED: &'static str;
    const IN_OWN_NAME: &'static str;
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
                const IN_OWN_NAME: &'static str = concat!("in-own-name ", stringify!($name));
                const IN_SESSION: &'static str = concat!("in-session ", stringify!($name));
                const FRESH: &'static str = concat!("fresh ", stringify!($name));
                const ENROLLING: &'static str = concat!("enrolling ", stringify!($name));
            }
        )*

        /// The permission behind a name in the document.
        pub(super) fn permission_of(name: &str) -> Option<Permission> {
            match name {
                $(stringify!($name) => $permission,)*
                _ => None,
            }
        }
    };
}

requirements! {
    /// Needs a login and no permission.
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
