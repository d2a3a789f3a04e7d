//! `staunch memory`.

use staunch_server::wire::{Growth, GrowthRate, HeldStore, Memory, Rung, WatchedResource};

use super::invoke::client;
use crate::cli::{self, AllFlags};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Ink, Table, Terminal, bytes};

/// Shows what the server holds, and what becomes of it.
pub(super) fn run(arguments: &cli::Memory, all: &AllFlags, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let memory = client(&arguments.server, all, terminal)?.memory(arguments.fresh)?;
    if arguments.json.json {
        terminal.json(&memory)?;
        return Ok(Exit::Ok);
    }
    let paint = terminal.out_paint();
    let verdict = paint.ink(ink(memory.verdict).unwrap_or(Ink::Strong), &memory.says).to_string();
    terminal.line(verdict);
    if memory.rung > Rung::Calm {
        let pressure = format!("memory is scarce: {}, {} runs cancelled for it", memory.rung.word(), memory.runs_shed);
        terminal.line(paint.ink(Ink::Bad, &pressure).to_string());
    }
    for table in [sizes(&memory), resources(&memory), stores(&memory)] {
        let shown = table.show(paint).to_string();
        terminal.line(format_args!("\n{shown}"));
    }
    Ok(Exit::Ok)
}

/// The color of a state; none if it says nothing in particular.
fn ink(growth: Growth) -> Option<Ink> {
    match growth {
        Growth::Insufficient => Some(Ink::Faint),
        Growth::Stable => Some(Ink::Good),
        Growth::Filling => None,
        Growth::Growing => Some(Ink::Warn),
        Growth::Leak => Some(Ink::Bad),
    }
}

/// The word of a state.
pub(crate) fn growth_word(growth: Growth) -> &'static str {
    match growth {
        Growth::Insufficient => "insufficient",
        Growth::Stable => "stable",
        Growth::Filling => "filling",
        Growth::Growing => "growing",
        Growth::Leak => "leak",
    }
}

fn sizes(memory: &Memory) -> Table {
    let mut table = Table::new(&["memory", ">bytes", "which is"]);
    let allocator = &memory.allocator;
    for (name, size, what) in [
        ("live", memory.live_bytes, "asked for and not given back"),
        ("  stores", Some(memory.stores_bytes), "held by bounded stores"),
        ("  unattributed", memory.unattributed_bytes, "held by nothing that answers for it"),
        ("active", allocator.active_bytes, "in pages of which some part is live"),
        ("retained", allocator.retained_bytes, "address space that the allocator keeps"),
        ("resident", memory.resident_bytes, "given to the process by the kernel"),
        ("cgroup", memory.cgroup.as_ref().map(|group| group.current_bytes), "used by the cgroup"),
        ("bounds", Some(memory.bounds_bytes), "what the limits allow the stores in all"),
        ("limit", memory.limit_bytes, "what the process may use"),
    ] {
        if let Some(size) = size {
            table.row(vec![
                (name.to_owned(), None),
                (bytes(size), Some(Ink::Strong)),
                (what.to_owned(), Some(Ink::Faint)),
            ]);
        }
    }
    table
}

fn resources(memory: &Memory) -> Table {
    let mut table = Table::new(&["resource", ">value", "state", ">per run, at most", "limit in"]);
    for resource in &memory.resources {
        let state = if resource.counts {
            growth_word(resource.state).to_owned()
        } else {
            format!("({})", growth_word(resource.state))
        };
        table.row(vec![
            (resource.name.clone(), None),
            (quantity(resource, resource.value), Some(Ink::Strong)),
            (state, if resource.counts { ink(resource.state) } else { Some(Ink::Faint) }),
            (resource.per_run.map_or_else(String::new, |rate| rate_of(resource, rate)), None),
            (resource.until_limit_seconds.map_or_else(String::new, eta), Some(Ink::Bad)),
        ]);
    }
    table
}

fn stores(memory: &Memory) -> Table {
    let mut table = Table::new(&["store", ">bytes", ">of", ">entries", ">of", ">let go of", ">refused"]);
    for store in &memory.stores {
        let HeldStore { entries, entries_max, .. } = store;
        table.row(vec![
            (store.name.clone(), None),
            (bytes(store.bytes), Some(Ink::Strong)),
            (bytes(store.bytes_max), Some(Ink::Faint)),
            (entries.map_or_else(String::new, |entries| entries.to_string()), None),
            (entries_max.map_or_else(String::new, |most| most.to_string()), Some(Ink::Faint)),
            ((store.expired + store.evicted).to_string(), None),
            (store.refused.to_string(), (store.refused > 0).then_some(Ink::Warn)),
        ]);
    }
    table
}

/// A number of a resource in its unit.
fn quantity(resource: &WatchedResource, value: u64) -> String {
    if resource.unit == "bytes" { bytes(value) } else { value.to_string() }
}

/// The upper bound of a growth: what it is at most.
fn rate_of(resource: &WatchedResource, rate: GrowthRate) -> String {
    let unit = if resource.unit == "bytes" { " B" } else { "" };
    format!("{:.3}{unit}", rate.upper.max(0.0))
}

/// How long until a limit is reached.
fn eta(seconds: u64) -> String {
    match seconds {
        ..=5_999 => format!("{} min", seconds / 60),
        6_000..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
