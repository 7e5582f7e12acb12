//! The macro that generates the settings' types, reader and reference from one declaration.

/// Declares groups of settings: `name: Type in "prefix" { field: Type = default, ... }`.
///
/// A default of `None` makes a setting required.
macro_rules! settings {
    ($(
        $(#[doc = $group_doc:literal])*
        $group:ident: $Group:ident in $prefix:literal {
            $($(#[doc = $doc:literal])* $field:ident: $ty:ty = $default:expr),* $(,)?
        }
    )*) => {
        $(
            $(#[doc = $group_doc])*
            #[derive(Debug, Clone)]
            pub struct $Group { $($(#[doc = $doc])* pub $field: $ty),* }
        )*

        /// All settings.
        #[derive(Debug, Clone)]
        pub struct Settings { $($(#[doc = $group_doc])* pub $group: $Group),* }

        impl Settings {
            /// Returns every setting, in the order of the declaration.
            pub fn variables() -> Vec<$crate::settings::Variable> {
                vec![$($($crate::settings::Variable::of::<$ty>(
                    $prefix, stringify!($field), $default, concat!($($doc, "\n"),*),
                )),*),*]
            }

            pub(super) fn read(layers: &mut $crate::settings::Layers) -> Option<Self> {
                $(
                    let $group: Option<$Group> = {
                        $(let $field: Option<$ty> = layers.take($prefix, stringify!($field), $default);)*
                        (|| Some($Group { $($field: $field?),* }))()
                    };
                )*
                Some(Self { $($group: $group?),* })
            }

            /// Returns every variable with its effective value, secrets redacted.
            pub fn effective(&self) -> Vec<(String, String)> {
                vec![$($((
                    $crate::settings::env_name($prefix, stringify!($field)),
                    $crate::settings::Value::show(&self.$group.$field),
                )),*),*]
            }
        }
    };
}

pub(super) use settings;
