//! The way to the first admin: a link that is printed where the server was started.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use staunch_store::{Accounts, Actor, Fingerprint, NewUser, Role, SetupOpened, SetupRedeemed, StoreError, UserRow};

use super::Auth;
use super::caller::Caller;
use super::login::{Begun, is_name, nobody};
use super::secret::{self, Ticket};
use super::visitor::Visitor;
use crate::problem::{Code, Refusal};
use crate::wire::Secret;

/// How long a set-up ticket is good.
pub const SETUP_TTL: Duration = Duration::from_secs(3_600);

/// A ticket with which the first admin can be made, once, within an hour. `Debug` does not show it.
pub struct SetupTicket(Ticket);

impl SetupTicket {
    /// What stands behind the `#` of the link: a fragment, which no browser sends to a server.
    pub fn fragment(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for SetupTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetupTicket(..)")
    }
}

/// Why there is no set-up ticket, although there is no admin.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SetupError {
    /// The operating system gave no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A new set-up ticket, which replaces the one before; `None` if there is an admin.
///
/// # Errors
/// [`SetupError`].
pub async fn open_setup(accounts: &dyn Accounts) -> Result<Option<SetupTicket>, SetupError> {
    if accounts.has_admin().await? {
        return Ok(None);
    }
    let ticket = Ticket::generate().map_err(|_| SetupError::NoRandomness)?;
    match accounts.open_setup(ticket.fingerprint(), SETUP_TTL, Actor::server()).await? {
        SetupOpened::Opened { .. } => Ok(Some(SetupTicket(ticket))),
        SetupOpened::AdminExists => Ok(None),
    }
}

impl Auth {
    /// Makes the first admin and begins their session. From then on the server is closed.
    ///
    /// # Errors
    /// 403 `setup_refused`, one answer for every ticket that is not good; 422 for a name or a password that cannot be used.
    pub(crate) async fn redeem_setup(
        &self,
        ticket: &Secret,
        name: &str,
        password: &Secret,
        visitor: &Visitor,
    ) -> Result<Begun, Refusal> {
        // Each that is tried counts, whatever comes of it: nobody needs many.
        visitor.charged.keep();
        let refused = || Refusal::new(Code::SetupRefused);
        let fingerprint = secret::fingerprint(ticket.expose()).ok_or_else(refused)?;
        if !is_name(name) {
            return Err(Refusal::new(Code::InvalidName));
        }
        if self.accounts.has_admin().await? {
            self.mode.close();
            return Err(refused());
        }
        let password = self.passwords.hash(password).await?;
        let user = NewUser { name: name.to_owned(), role: Role::Admin, password };
        let admin = self.redeem(fingerprint, user, visitor).await?;
        self.begin(&admin, visitor).await
    }

    async fn redeem(&self, ticket: Fingerprint, user: NewUser, visitor: &Visitor) -> Result<UserRow, Refusal> {
        let actor = nobody(&user.name, visitor);
        let name = user.name.clone();
        // If what became of it is never heard, the next request asks.
        self.mode.doubt();
        let caller = Caller::nobody();
        let redeem =
            move |accounts: Arc<dyn Accounts>, _, _| async move { accounts.redeem_setup(ticket, user, actor).await };
        let redeemed = self.see_through(&caller, redeem);
        match redeemed.await? {
            SetupRedeemed::Created(admin) => {
                self.mode.close();
                Ok(admin)
            }
            SetupRedeemed::AdminExists => {
                self.mode.close();
                Err(Refusal::new(Code::SetupRefused))
            }
            SetupRedeemed::Unknown | SetupRedeemed::Expired => {
                self.note(nobody(&name, visitor), "setup.refused", &name).await;
                Err(Refusal::new(Code::SetupRefused))
            }
            SetupRedeemed::NameTaken => Err(Refusal::new(Code::UserExists)),
            SetupRedeemed::Full { limit } => Err(Refusal::new(Code::UsersFull).detail(format_args!("{limit} at most"))),
        }
    }
}
