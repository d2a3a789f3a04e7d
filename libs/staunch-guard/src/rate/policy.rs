//! A policy: which requests a quota is for, and whose are counted together.

use std::time::Duration;

use http::Method;

use super::quota::{Quota, QuotaError};

/// Whose requests a policy counts together. The order is that of checking, coarse first: what a whole site is denied makes no
/// fine keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// The IPv6 /48 around the client; a client with an IPv4 address is not counted.
    Site,
    /// The client: an IPv4 address or an IPv6 /64.
    Client,
    /// The account that a request names, whether or not it is that account's: a login. Anybody can use up a stranger's
    /// account quota, so make it larger than the client's, or give back on success. A [`RateLayer`](crate::RateLayer) knows
    /// no account: whoever has read the name asks the limiter, see [`Caller`](crate::Caller).
    Account,
    /// Who the request is authenticated as. Requests that are not are not counted.
    Principal,
}

/// Which callers a policy is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Callers {
    /// All.
    #[default]
    Anyone,
    /// Those without a principal.
    Anonymous,
    /// Those with one.
    Authenticated,
}

/// A quota, whom it is for, and what counts as one.
///
/// ```
/// use staunch_guard::{KeyKind, Policy, PolicySet};
/// let set = PolicySet::new(Policy::login().with_site().unwrap().to_vec()).unwrap();
/// let told: Vec<_> = set.policies().iter().map(|p| (p.name.as_str(), p.key, p.quota.count())).collect();
/// assert_eq!(told, [("login-site", KeyKind::Site, 80), ("login", KeyKind::Client, 5)]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Lower-case letters, digits, `-` and `_`; at most 64. Told to clients, and a metric's label.
    pub name: String,
    /// How much.
    pub quota: Quota,
    /// Counted together.
    pub key: KeyKind,
    /// Only these methods; empty means all.
    pub methods: Vec<Method>,
    /// Only these callers.
    pub callers: Callers,
    /// Count and report, but deny nothing.
    pub dry_run: bool,
    /// Sets of its table, a power of two, 128 bytes and seven keys each.
    pub sets: usize,
}

/// Policies that hold together, in the order in which they are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySet {
    policies: Vec<Policy>,
}

/// Why policies are no set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// There is none.
    #[error("a limiter without a policy limits nothing: leave it out instead")]
    Empty,
    /// Too many.
    #[error("{0} policies for one request: at most {POLICIES_MAX}")]
    TooMany(usize),
    /// A name that cannot be told to clients.
    #[error("the policy name {0:?} is not 1 to 64 of a-z, 0-9, - and _")]
    Name(String),
    /// Two of the same name.
    #[error("two policies are called {0:?}")]
    Twice(String),
    /// A table that cannot be made.
    #[error("policy {name:?}: {source}")]
    Table {
        /// The policy.
        name: String,
        /// Why not.
        source: super::table::TableError,
    },
}

/// Each request is charged by all of its policies, and each answer names them.
pub const POLICIES_MAX: usize = 8;

/// A name is told in each answer.
pub(super) const NAME_BYTES_MAX: usize = 64;

/// 57,344 keys in 1 MiB: four times what is to be expected of a form.
const SETS_FORM: usize = 8_192;

/// 458,752 keys in 8 MiB.
const SETS_API: usize = 65_536;

/// A site may hold this many clients that use all they can.
const SITE_FACTOR: u32 = 16;

impl Policy {
    /// All requests of a client, 8,192 sets.
    pub fn new(name: impl Into<String>, quota: Quota) -> Self {
        let callers = Callers::Anyone;
        let (key, methods, dry_run, sets) = (KeyKind::Client, Vec::new(), false, SETS_FORM);
        Self { name: name.into(), quota, key, methods, callers, dry_run, sets }
    }

    fn preset(name: &'static str, count: u32, seconds: u64) -> Self {
        let quota = Quota::new(count, Duration::from_secs(seconds));
        Self::new(name, quota.expect("the presets are constants, and a test makes each"))
    }

    /// Attempts to log in: 5 a minute.
    pub fn login() -> Self {
        Self { methods: vec![Method::POST], ..Self::preset("login", 5, 60) }
    }

    /// New accounts: 3 a minute.
    pub fn register() -> Self {
        Self { methods: vec![Method::POST], ..Self::preset("register", 3, 60) }
    }

    /// Password resets and changes: 3 an hour.
    pub fn password() -> Self {
        Self { methods: vec![Method::POST], ..Self::preset("password", 3, 3_600) }
    }

    /// Requests that send an e-mail: 3 an hour.
    pub fn email() -> Self {
        Self { methods: vec![Method::POST], ..Self::preset("email", 3, 3_600) }
    }

    /// Calls of an API by callers without a token: 100 in 15 minutes.
    pub fn api() -> Self {
        Self { callers: Callers::Anonymous, sets: SETS_API, ..Self::preset("api", 100, 900) }
    }

    /// This policy behind one for the client's whole IPv6 site, with 16 times the quota: `NAME-site`. It stops a customer with
    /// 65,536 networks, and bounds how fast such a one can make keys.
    ///
    /// # Errors
    /// [`QuotaError`] if 16 times the quota is out of bounds.
    pub fn with_site(self) -> Result<[Self; 2], QuotaError> {
        let quota = self.quota.times(SITE_FACTOR)?;
        let site = Self { name: format!("{}-site", self.name), quota, key: KeyKind::Site, ..self.clone() };
        Ok([site, self])
    }

    /// Whether it is for such a request.
    #[inline]
    pub(crate) fn applies(&self, method: &Method, authenticated: bool) -> bool {
        let callers = match self.callers {
            Callers::Anyone => true,
            Callers::Anonymous => !authenticated,
            Callers::Authenticated => authenticated,
        };
        callers && (self.methods.is_empty() || self.methods.contains(method))
    }
}

impl PolicySet {
    /// These policies, coarse keys first, otherwise in the given order.
    ///
    /// # Errors
    /// [`PolicyError`] if there is none or more than [`POLICIES_MAX`], or if a name is taken or not fit to be told.
    pub fn new(mut policies: Vec<Policy>) -> Result<Self, PolicyError> {
        if policies.is_empty() {
            return Err(PolicyError::Empty);
        }
        if policies.len() > POLICIES_MAX {
            return Err(PolicyError::TooMany(policies.len()));
        }
        for (at, policy) in policies.iter().enumerate() {
            let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
            if !(1..=NAME_BYTES_MAX).contains(&policy.name.len()) || !policy.name.bytes().all(fits) {
                return Err(PolicyError::Name(policy.name.clone()));
            }
            if policies[..at].iter().any(|before| before.name == policy.name) {
                return Err(PolicyError::Twice(policy.name.clone()));
            }
        }
        // Stable, so equals stay in order.
        policies.sort_by_key(|policy| policy.key);
        Ok(Self { policies })
    }

    /// In the order in which they are checked.
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    pub(crate) fn into_policies(self) -> Vec<Policy> {
        self.policies
    }
}

#[cfg(test)]
mod tests;
