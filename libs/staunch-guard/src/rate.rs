//! Rate limits in fixed memory: quotas, the table that counts, policies, headers, the layer.

mod clock;
mod decision;
mod hash;
mod headers;
mod layer;
mod limiter;
mod policy;
mod quota;
mod ruling;
mod set;
mod sets;
mod table;

pub use clock::{Clock, Coarse, Monotonic};
pub use decision::{Allowed, Decision, Denied, NeverFits, Receipt};
pub use hash::Key;
pub use layer::{Rate, RateFuture, RateLayer};
pub use limiter::{Caller, Limiter, Principal};
pub use policy::{Callers, KeyKind, POLICIES_MAX, Policy, PolicyError, PolicySet};
pub use quota::{Quota, QuotaError, QuotaTextError};
pub use ruling::{Ruling, Standing};
pub use table::{Stats, Table, TableError};
