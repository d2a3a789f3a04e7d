//! What can be asked of workflows and runs, and what is answered.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A request to run a workflow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitRequest {
    /// The inputs, at most 1000: text, numbers, true or false. Strings are accepted for numbers and booleans.
    #[serde(default, deserialize_with = "scalars")]
    #[schema(value_type = Object)]
    pub inputs: BTreeMap<String, Value>,
}

/// Which steps a rerun runs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// All.
    All,
    /// Those that did not succeed, and all that depend on them.
    Failed,
}

/// A request to run steps of an ended run again: exactly one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RerunRequest {
    /// All of them, or those that did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub which: Option<Which>,
    /// The step with this id, and all that depend on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// A request to stop a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {
    /// Skip the clean-up steps too.
    #[serde(default)]
    pub force: bool,
}

/// A run was accepted: it is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// Its id.
    pub id: String,
    /// Whether the Idempotency-Key was seen before, and this is the run that was accepted then.
    pub replayed: bool,
}

/// The most inputs of one request.
const INPUTS_MAX: usize = 1_000;

/// Inputs are scalars, and few: refused while they are read, so that a small body cannot become a large tree.
fn scalars<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Value>, D::Error> {
    struct Inputs;

    impl<'de> Visitor<'de> for Inputs {
        type Value = BTreeMap<String, Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of inputs")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut inputs = BTreeMap::new();
            while let Some(name) = map.next_key::<String>()? {
                if inputs.len() == INPUTS_MAX {
                    return Err(A::Error::custom(format_args!("more than {INPUTS_MAX} inputs")));
                }
                inputs.insert(name, map.next_value::<Scalar>()?.0);
            }
            Ok(inputs)
        }
    }

    deserializer.deserialize_map(Inputs)
}

/// Text, a number, true or false; null too, which the workflow's own check refuses in its own words.
struct Scalar(Value);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl Visitor<'_> for Any {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a number, true or false")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(value.into()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(value.into()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
                Ok(Scalar(value.into()))
            }

            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar(Value::Null))
            }
        }

        deserializer.deserialize_any(Any)
    }
}
