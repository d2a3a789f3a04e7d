//! What the server says of itself.

use staunch_server::wire::Memory;

use super::http::Client;
use crate::failure::Failure;

impl Client {
    /// What it holds, and what becomes of it; `fresh`: rows and files too are looked at now.
    pub(crate) fn memory(&self, fresh: bool) -> Result<Memory, Failure> {
        let query = fresh.then(|| ("fresh", "1".to_owned()));
        self.get("/memory", query.as_slice())
    }
}
