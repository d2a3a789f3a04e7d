//! What is judged: each resource, its bounds, and how it is read.

use staunch_engine::Limits;
use staunch_leak::watch::{Resource, State};

use super::config::WatchConfig;
use super::rare::Rare;
use super::reading::Reading;
use crate::process::Process;

/// How a resource is read: from each census, or from each look at what costs more.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    Often(fn(&Reading) -> Option<u64>),
    Rarely(fn(&Rare) -> Option<u64>),
}

/// A resource that is followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Followed {
    pub(super) resource: Resource,
    pub(super) read: Read,
    /// Whether its growth counts against the process. What is live is judged by its two parts: `stores`, which fill, and `unattributed`.
    /// What is resident is up to the allocator and the kernel too.
    pub(super) counts: bool,
    /// Whether its limit is the memory that the process may use.
    pub(super) of_memory: bool,
    /// Whether it is seen only while no run is open. Where one always is, there will never be a verdict, and nobody waits for it.
    pub(super) waits: bool,
}

/// What is not runs takes some room in the database: 64 MiB is a hundred times what was seen.
const DATABASE_REST_BYTES: u64 = 64 << 20;

/// All that are followed: what this kernel and this allocator can tell. Anything else would stay without a verdict for ever.
/// `can_say` is whether the allocator counts.
pub(super) fn all(config: &WatchConfig, limits: &Limits, process: Option<&Process>, can_say: bool) -> Vec<Followed> {
    let followed = |resource, read| Followed { resource, read, counts: true, of_memory: false, waits: false };
    let often = |resource, read| followed(resource, Read::Often(read));
    let rarely = |resource, read| followed(resource, Read::Rarely(read));
    let granted = config.granted.bytes();
    let of_memory = |name, read| {
        let resource = Resource { limit: granted, ..Resource::bytes(name) };
        Followed { of_memory: true, ..often(resource, read) }
    };
    let told = |name, read| Followed { counts: false, ..of_memory(name, read) };
    let mut all = Vec::new();
    if can_say {
        all.push(told("live", Reading::live_bytes));
        all.push(of_memory("unattributed", Reading::unattributed_bytes));
    }
    let stores = Resource::bytes("stores").cap(limits.memory_bytes_max());
    if let Some(process) = process {
        all.push(told("resident", |reading| Some(reading.process?.resident_bytes)));
        all.push(often(Resource::pieces("fds").limit(process.max_fds), Reading::fds_of_ours));
        all.push(often(Resource::pieces("threads"), |reading| Some(reading.process?.threads)));
    }
    if process.is_some_and(|process| process.children.is_some()) {
        all.push(often(Resource::pieces("children"), Reading::stray_children));
    }
    all.extend([
        often(stores, |reading| Some(reading.stores_bytes())),
        often(Resource::pieces("tasks"), |reading| Some(reading.tasks_of_ours())),
        Followed { waits: true, ..rarely(Resource::pieces("temp_files"), Rare::files_left) },
        rarely(rows(limits), Rare::rows_total),
        rarely(disk(limits), Rare::disk_bytes),
    ]);
    all
}

/// History fills until retention removes as much as comes. Where retention keeps any number there is no such end, and growth is
/// what was asked for: then it is only filling, whatever it is.
fn rows(limits: &Limits) -> Resource {
    let kept = match limits.retention_runs {
        0 => u64::MAX,
        runs => runs.saturating_mul(limits.workflows_max.into()),
    };
    let accounts = u64::from(limits.users_max) * u64::from(limits.tokens_per_user_max + 1)
        + u64::from(limits.sessions_max)
        + limits.audit_rows_max;
    // A run that is open is a row and has attempts in flight.
    let open = limits.runs_open_max.saturating_mul(2);
    Resource::pieces("rows").cap(kept.saturating_add(open).saturating_add(accounts))
}

fn disk(limits: &Limits) -> Resource {
    let kept = match limits.retention_bytes {
        0 => u64::MAX,
        // Pages of a database are not all full.
        bytes => bytes.saturating_add(bytes / 2),
    };
    Resource::bytes("disk").cap(kept.saturating_add(DATABASE_REST_BYTES))
}

impl Followed {
    /// Whether a verdict on it counts against the process.
    pub(super) fn counts(&self, state: State) -> bool {
        self.counts && !(self.waits && state == State::Insufficient)
    }
}

#[cfg(test)]
mod tests {
    use staunch_leak::watch::RESOURCES_MAX;

    use super::*;

    #[test]
    fn all_fit_into_one_watch_and_have_names_of_their_own() {
        let process = Process { children: Some(0), ..Process::default() };
        let all = all(&WatchConfig::default(), &Limits::default(), Some(&process), true);
        assert!((11..=RESOURCES_MAX).contains(&all.len()), "{}", all.len());
        let names: std::collections::BTreeSet<_> = all.iter().map(|followed| followed.resource.name).collect();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn what_has_parts_that_are_judged_does_not_count_itself() {
        let all = all(&WatchConfig::default(), &Limits::default(), Some(&Process::default()), true);
        let told: Vec<_> =
            all.iter().filter(|followed| !followed.counts).map(|followed| followed.resource.name).collect();
        assert_eq!(told, ["live", "resident"]);
    }

    #[test]
    fn nobody_waits_for_what_is_seen_only_while_no_run_is_open() {
        let all = all(&WatchConfig::default(), &Limits::default(), None, false);
        let counting =
            |state| all.iter().filter(|one| one.counts(state)).map(|one| one.resource.name).collect::<Vec<_>>();
        assert_eq!(counting(State::Insufficient), ["stores", "tasks", "rows", "disk"]);
        assert_eq!(counting(State::Stable), ["stores", "tasks", "temp_files", "rows", "disk"]);
    }

    #[test]
    fn what_cannot_be_told_is_not_followed() {
        let names = |process: Option<Process>| {
            let all = all(&WatchConfig::default(), &Limits::default(), process.as_ref(), false);
            all.iter().map(|followed| followed.resource.name).collect::<Vec<_>>()
        };
        assert_eq!(names(None), ["stores", "tasks", "temp_files", "rows", "disk"]);
        let told = names(Some(Process::default()));
        assert!(told.contains(&"fds") && !told.contains(&"children"), "{told:?}");
    }

    #[test]
    fn what_retention_keeps_without_bound_never_counts_as_a_leak() {
        let limits = Limits { retention_runs: 0, retention_bytes: 0, ..Limits::default() };
        assert_eq!((rows(&limits).cap, disk(&limits).cap), (Some(u64::MAX), Some(u64::MAX)));
        assert!(rows(&Limits::default()).cap < Some(100_000_000));
    }
}
