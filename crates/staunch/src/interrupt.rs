//! The signals by which people and machines ask a process to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use staunch_bounded::fault_point;

use crate::failure::Failure;

/// SIGINT, SIGTERM and SIGHUP, caught from the moment this is made.
pub(crate) struct Interrupts {
    int: Signal,
    term: Signal,
    /// `None` if whoever started us wants us to outlive the terminal (nohup(1)).
    hup: Option<Signal>,
}

impl Interrupts {
    /// Begins to catch. From now on none of them ends the process by itself.
    pub(crate) fn new() -> Result<Self, Failure> {
        let listen = |kind| {
            fault_point!("serve.signals")
                .map_err(std::io::Error::from)
                .and_then(|()| signal(kind))
                .map_err(|error| Failure::broken(format!("cannot listen for signals: {error}")))
        };
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Ok(Self {
            hup: if ignores_hangup(&status) { None } else { Some(listen(SignalKind::hangup())?) },
            int: listen(SignalKind::interrupt())?,
            term: listen(SignalKind::terminate())?,
        })
    }

    /// Waits for the next one. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> &'static str {
        let hup = async {
            match &mut self.hup {
                Some(hup) => hup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.int.recv() => "SIGINT",
            _ = self.term.recv() => "SIGTERM",
            _ = hup => "SIGHUP",
        }
    }
}

/// Whether SIGHUP is ignored, by the text of `/proc/self/status` (proc(5)): SIGHUP is signal 1, the lowest bit.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::ignores_hangup;

    #[test]
    fn an_ignored_hangup_is_read_from_the_mask() {
        assert!(ignores_hangup("Name:\tstaunch\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hangup("SigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n"));
        assert!(!ignores_hangup(""));
    }
}
