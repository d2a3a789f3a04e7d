//! What the server holds, and whether any of it grows.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};

use super::layout::{self, Frame};
use super::who::Names;
use crate::app::App;
use crate::auth::Caller;
use crate::problem::Refusal;
use crate::wire::{Growth, HeldStore, Memory, Rung, WatchedResource};

/// The page.
pub(super) async fn show(State(app): State<App>, caller: Caller) -> Result<Response, Refusal> {
    let names = Names::of(&app, &caller)?;
    let memory = app.memory(false).await;
    let frame = Frame { title: "Memory", here: "/memory", who: names.as_ref().map(Names::who), ..Frame::default() };
    Ok(layout::page(StatusCode::OK, &frame, &body(&memory)))
}

fn body(memory: &Memory) -> Markup {
    let (class, word) = standing(memory.verdict);
    let hours = memory.uptime_seconds / 3_600;
    html! {
        div class="lead" {
            h1 { "Memory" }
            p {
                span class={ "state " (class) } { (word) } " " (memory.says)
            }
            @if memory.rung > Rung::Calm {
                p {
                    span class="state bad" { "Pressure" } " memory is scarce: " (memory.rung.word()) ", "
                    (memory.runs_shed) " runs were cancelled for it"
                }
            }
            p class="quiet" {
                "Watched for " (hours) " h " (memory.uptime_seconds / 60 % 60) " min and " (memory.runs_ended) " runs. "
                "In a terminal: " code { "staunch doctor" } "."
            }
        }
        (sizes(memory))
        (resources(&memory.resources))
        (stores(&memory.stores))
    }
}

fn sizes(memory: &Memory) -> Markup {
    let rows = [
        ("Live", memory.live_bytes, "asked for and not given back"),
        ("In stores", Some(memory.stores_bytes), "of these: held by bounded stores"),
        ("Unattributed", memory.unattributed_bytes, "of these: the rest, which nothing answers for"),
        ("Resident", memory.resident_bytes, "given to the process by the kernel"),
        ("Bounds", Some(memory.bounds_bytes), "what the limits allow the stores in all"),
        ("Limit", memory.limit_bytes, "what the process may use"),
    ];
    html! {
        section class="sheet" aria-labelledby="sizes" {
            h2 id="sizes" { "In all" }
            table class="wide dense" {
                thead { tr { th scope="col" { "What" } th scope="col" { "Which is" } th scope="col" class="last" { "Size" } } }
                tbody {
                    @for (name, size, what) in rows {
                        @if let Some(size) = size {
                            tr {
                                td data-title="What" { (name) }
                                td data-title="Which is" { (what) }
                                td data-title="Size" class="last" { (bytes(size)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn resources(all: &[WatchedResource]) -> Markup {
    html! {
        section class="sheet" aria-labelledby="resources" {
            h2 id="resources" { "Does it grow?" }
            @if all.is_empty() {
                p class="quiet" { "The first verdict comes a minute after the start." }
            } @else {
                table class="wide dense" {
                    thead {
                        tr {
                            th scope="col" { "State" } th scope="col" { "Resource" } th scope="col" { "In words" }
                            th scope="col" class="last" { "Now" }
                        }
                    }
                    tbody { @for resource in all { (row(resource)) } }
                }
            }
        }
    }
}

fn row(resource: &WatchedResource) -> Markup {
    let (class, word) = standing(resource.state);
    // Its growth alone is no reason to worry.
    let class = if resource.counts { class } else { "quiet" };
    let now = if resource.unit == "bytes" { bytes(resource.value) } else { resource.value.to_string() };
    html! {
        tr {
            td data-title="State" { span class={ "state " (class) } { (word) } }
            td data-title="Resource" { (resource.name) }
            td data-title="In words" { (resource.says) }
            td data-title="Now" class="last" { (now) }
        }
    }
}

fn stores(all: &[HeldStore]) -> Markup {
    html! {
        section class="sheet" aria-labelledby="stores" {
            h2 id="stores" { "Bounded stores" }
            table class="wide dense" {
                thead {
                    tr {
                        th scope="col" { "Store" } th scope="col" { "Entries" } th scope="col" { "Refused" }
                        th scope="col" class="last" { "Size" }
                    }
                }
                tbody {
                    @for store in all {
                        tr {
                            td data-title="Store" { (store.name) }
                            td data-title="Entries" {
                                @match (store.entries, store.entries_max) {
                                    (Some(entries), Some(most)) => { (entries) " of " (most) },
                                    _ => "–",
                                }
                            }
                            td data-title="Refused" { (store.refused) }
                            td data-title="Size" class="last" { (bytes(store.bytes)) " of " (bytes(store.bytes_max)) }
                        }
                    }
                }
            }
        }
    }
}

fn standing(growth: Growth) -> (&'static str, &'static str) {
    match growth {
        Growth::Insufficient => ("quiet", "insufficient"),
        Growth::Stable => ("good", "stable"),
        Growth::Filling => ("quiet", "filling"),
        Growth::Growing => ("warn", "growing"),
        Growth::Leak => ("bad", "leak"),
    }
}

/// A size, as people read it: `512 B`, `12.3 MiB`.
fn bytes(bytes: u64) -> String {
    let (mut size, mut unit) = (bytes as f64, "B");
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if size < 1_024.0 {
            break;
        }
        (size, unit) = (size / 1_024.0, next);
    }
    if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_read_well() {
        let shown = [0, 1_023, 1_024, 1_536, 5 << 20, u64::MAX].map(bytes);
        assert_eq!(shown, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 MiB", "16777216.0 TiB"]);
    }
}
