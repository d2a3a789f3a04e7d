//! The set-up link: how the first admin is made, while there is none.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use staunch_bounded::fault_point;
use staunch_server::{SETUP_TTL, open_setup};
use staunch_store::Accounts;
use tokio::time::{Instant, sleep};

use crate::failure::Failure;

/// How often is asked whether it was used. The link is worthless from that moment anyway; only its file stays so long.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The file in the data directory that holds the link, for whoever cannot see what the server prints.
const FILE: &str = "setup-link";

/// A link that was not used yet, and its file, which goes with it.
pub(super) struct SetupLink {
    url: String,
    file: PathBuf,
    accounts: Arc<dyn Accounts>,
    until: Instant,
}

impl SetupLink {
    /// Makes the link, if there is no admin; one of an earlier start is worthless from then on, and its file goes in any case.
    /// `origin` is where browsers find the server.
    pub(super) async fn open(
        accounts: Arc<dyn Accounts>,
        directory: &Path,
        origin: &str,
    ) -> Result<Option<Self>, Failure> {
        let file = directory.join(FILE);
        // Of a server that was killed.
        remove(&file);
        let opened = open_setup(accounts.as_ref()).await;
        let Some(ticket) = opened.map_err(|error| Failure::broken(error.to_string()))? else { return Ok(None) };
        // Behind `#`: a browser sends that to nobody, so the ticket stands in no log and no `Referer`.
        let url = format!("{origin}/setup#{}", ticket.fragment());
        let link = Self { url, file, accounts, until: Instant::now() + SETUP_TTL };
        if let Err(error) = write(&link.file, &link.url) {
            // It is printed too.
            tracing::warn!("the set-up link is not in {}: {error}", link.file.display());
        }
        Ok(Some(link))
    }

    /// The link.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Waits until it is worth nothing any more: there is an admin, or its time is over. May be dropped and called again.
    pub(super) async fn spent(&self) {
        while Instant::now() < self.until {
            sleep(ASK_EVERY).await;
            match self.accounts.has_admin().await {
                Ok(true) => return tracing::info!("there is an admin: a login or a token is needed"),
                Ok(false) => {}
                // The store says so itself where it matters.
                Err(error) => tracing::debug!("whether there is an admin is not known: {error}"),
            }
        }
        tracing::warn!("the set-up link was not used and has expired: a restart makes a new one");
    }
}

impl Drop for SetupLink {
    fn drop(&mut self) {
        remove(&self.file);
    }
}

/// Only for the eyes of the server's user, from the first moment on: a file that is there already is never written to.
fn write(path: &Path, url: &str) -> io::Result<()> {
    fault_point!("serve.link.make")?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    fault_point!("serve.link.write")?;
    file.write_all(format!("{url}\n").as_bytes())
}

fn remove(path: &Path) {
    let removed = fault_point!("serve.link.remove").map_err(io::Error::from).and_then(|()| std::fs::remove_file(path));
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!("{} cannot be removed: {error}", path.display());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use staunch_engine::Limits;
    use staunch_store::{Durability, Sqlite, Store};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn the_file_goes_after_an_hour_and_not_before() {
        assert_eq!(SETUP_TTL, Duration::from_secs(3_600));
        let directory = tempfile::tempdir().expect("a directory");
        let store = Sqlite::open(directory.path(), Limits::default().store(), Durability::Off).expect("a store");
        let store = Arc::new(store);
        let accounts: Arc<dyn Accounts> = Arc::<Sqlite>::clone(&store);
        let before = Instant::now();
        let opened = SetupLink::open(accounts, directory.path(), "http://x").await.expect("opened");
        let mut link = opened.expect("there is no admin");
        assert!(link.until >= before + SETUP_TTL && link.until <= Instant::now() + SETUP_TTL);
        let file = directory.path().join(FILE);
        // An hour that is not over is not waited for here: a moment of it shows that nothing ends it.
        let moment = Duration::from_millis(20);
        assert!(timeout(moment, link.spent()).await.is_err());
        assert!(file.exists());
        link.until = Instant::now();
        timeout(Duration::from_secs(60), link.spent()).await.expect("its time is over");
        drop(link);
        assert!(!file.exists());
        Store::close(store.as_ref()).await;
    }

    #[test]
    fn a_file_that_is_there_is_not_written_to() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(FILE);
        write(&path, "http://x/setup#1").expect("written");
        let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().expect("there").permissions());
        assert_eq!(mode & 0o777, 0o600);
        assert!(write(&path, "http://x/setup#2").is_err());
        remove(&path);
        remove(&path);
        assert!(!path.exists());
    }
}
