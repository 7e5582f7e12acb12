//! How values stand in PostgreSQL: enums as their names, sets of names as arrays.
//!
//! Which column has which type is declared in `sqlx.toml` of the crate with the queries.

use std::str::FromStr;

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef, Postgres};
use sqlx::{Decode, Encode, Type};

use crate::audit::{Action, Outcome, TargetKind};
use crate::authentication::Methods;
use crate::closed_set::Recorded;
use crate::direct_upload::DirectRefusal;
use crate::file::{MetadataState, ScanState, VariantFailure, VariantState};
use crate::job::Queue;
use crate::job_state::{AttemptOutcome, JobState};
use crate::notification::NotificationKind;
use crate::periodic::PeriodicTask;
use crate::permission::{Permission, Permissions};
use crate::purpose::{ChallengePurpose, TokenPurpose};
use crate::user::UserStatus;

/// Implements the type of a column for what is stored as another type.
macro_rules! stored_as {
    ($stored:ty: $name:ty $(, $parameter:ident)?) => {
        impl$(<$parameter>)? Type<Postgres> for $name {
            fn type_info() -> PgTypeInfo {
                <$stored as Type<Postgres>>::type_info()
            }

            fn compatible(found: &PgTypeInfo) -> bool {
                <$stored as Type<Postgres>>::compatible(found)
            }
        }
    };
}

/// Implements a column of type `text` for enums with strum's `EnumString` and `IntoStaticStr`. A name that this release does
/// not know is an error, or reads as the value after `else`: during an upgrade a newer release writes to the same rows.
macro_rules! text_columns {
    ($($name:ident $(else $fallback:ident)?,)*) => {$(
        stored_as!(str: $name);

        impl PgHasArrayType for $name {
            fn array_type_info() -> PgTypeInfo {
                <&str as PgHasArrayType>::array_type_info()
            }
        }

        impl Encode<'_, Postgres> for $name {
            fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
                let name: &str = self.into();
                <&str as Encode<'_, Postgres>>::encode(name, buffer)
            }
        }

        impl<'r> Decode<'r, Postgres> for $name {
            fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
                let name = <&str as Decode<'_, Postgres>>::decode(value)?;
                let known = name.parse::<Self>();
                $(let known = known.or(Ok::<_, ()>(Self::$fallback));)?
                Ok(known.map_err(|_| format!("{name:?} is not a {}", stringify!($name)))?)
            }
        }
    )*};
}

text_columns! {
    Action,
    AttemptOutcome,
    ChallengePurpose,
    DirectRefusal,
    JobState,
    MetadataState else Pending,
    NotificationKind,
    Outcome,
    PeriodicTask,
    Permission,
    Queue,
    ScanState else Pending,
    TargetKind,
    TokenPurpose,
    UserStatus else Suspended,
    VariantFailure else Internal,
    VariantState else Pending,
}

stored_as!(str: Recorded<T>, T);

impl<T: Copy + Into<&'static str>> Encode<'_, Postgres> for Recorded<T> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <&str as Encode<'_, Postgres>>::encode(self.as_str(), buffer)
    }
}

impl<'r, T: FromStr> Decode<'r, Postgres> for Recorded<T> {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(<String as Decode<'_, Postgres>>::decode(value)?.into())
    }
}

/// Implements a column of type `text[]` for sets of names; those that this release does not know are dropped.
macro_rules! text_array_columns {
    ($($name:ident),*) => {$(
        stored_as!(Vec<String>: $name);

        impl Encode<'_, Postgres> for $name {
            fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
                Vec::<String>::from(self.clone()).encode_by_ref(buffer)
            }
        }

        impl<'r> Decode<'r, Postgres> for $name {
            fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
                Ok(<Vec<String> as Decode<'_, Postgres>>::decode(value)?.into())
            }
        }
    )*};
}

text_array_columns!(Methods, Permissions);
