//! What goes into [`crate::Accounts`] and what comes out of it.

mod audit;
mod id;
mod limits;
mod secret;
mod session;
mod setup;
mod token;
mod usage;
mod user;

pub use audit::{Actor, AuditEntry, AuditQuery, AuditRow, Via};
pub use id::{SessionHandle, TokenId, UserId};
pub use limits::AccountLimits;
pub use secret::{Fingerprint, PasswordHash};
pub use session::{LiveSession, NewSession, SessionBegun, SessionRow};
pub use setup::{SetupOpened, SetupRedeemed};
pub use token::{LiveToken, NewToken, Scope, TokenCreated, TokenRow};
pub use usage::{AccountUsage, AccountsSwept};
pub use user::{Credentials, NewUser, Role, UserChange, UserChanged, UserCreated, UserDeleted, UserRow};
