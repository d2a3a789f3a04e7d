//! What a server says when it listens: where, to whom, and what to do next.

use std::net::SocketAddr;

use staunch_server::DebugListen;

use super::daemon::Place;
use super::door::Door;
use super::setup::SetupLink;
use crate::render::{Ink, Terminal};

/// What there is to say.
pub(super) struct Welcome<'a> {
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// Where heap profiles are to be had.
    pub(super) debug: Option<&'a DebugListen>,
    /// Where it keeps things.
    pub(super) place: &'a Place,
    /// Whether it has brought workflows along to play with.
    pub(super) demo: bool,
    /// Who may come in.
    pub(super) door: Door,
    /// The way to the first admin, if there is none.
    pub(super) link: Option<&'a SetupLink>,
}

/// Says it.
pub(super) fn say(welcome: &Welcome<'_>, terminal: &mut Terminal) {
    let place = welcome.place;
    let url = format!("http://{}", welcome.address);
    let paint = terminal.out_paint();
    terminal.line(format_args!("workflows: {}", place.workflows.display()));
    let removed = if place.is_temporary() { " (removed at the end)" } else { "" };
    terminal.line(format_args!("data:      {}{removed}", place.data.display()));
    if let Some(debug) = welcome.debug {
        terminal.line(format_args!("profiles:  {debug} (/debug/pprof/, with an admin's token)"));
    }
    terminal.line(format_args!("listening on {}", paint.ink(Ink::Good, &url)));
    access(welcome, terminal);
    if welcome.demo {
        demo(&url, welcome.address.port(), terminal);
    }
    terminal.flush();
}

fn access(welcome: &Welcome<'_>, terminal: &mut Terminal) {
    let paint = terminal.out_paint();
    match (welcome.door, welcome.link.map(SetupLink::url)) {
        (Door::Open, Some(url)) if welcome.demo => {
            terminal
                .line(format_args!("no login needed on this machine; to change that: {}", paint.ink(Ink::Strong, url)));
        }
        (Door::Open, Some(url)) => {
            terminal.line("open: whoever uses this machine may do everything, until there is an admin. To make one, within the hour:");
            terminal.line(format_args!("  {}", paint.ink(Ink::Strong, url)));
        }
        (Door::Waiting, Some(url)) => {
            terminal.line("closed: there is no admin yet, and nobody may do anything. To make one, within the hour:");
            terminal.line(format_args!("  {}", paint.ink(Ink::Strong, url)));
        }
        _ => terminal.line("a login or a token is needed"),
    }
}

fn demo(url: &str, port: u16, terminal: &mut Terminal) {
    let paint = terminal.out_paint();
    // The usual address needs no flag.
    let flag = if port == 7878 { String::new() } else { format!(" --server {url}") };
    terminal.line("\nTry, in another terminal:");
    for command in [
        format!("staunch workflows{flag}"),
        format!("staunch run hello -i name=Ada{flag}"),
        format!("staunch run fan-out{flag}"),
        format!("staunch run deploy{flag}        # fails, rolls back, cleans up"),
        format!("staunch runs{flag}"),
        format!("curl -X POST {url}/api/v1/workflows/hello/runs -H 'content-type: application/json' -d '{{}}'"),
    ] {
        terminal.line(format_args!("  {}", paint.ink(Ink::Strong, &command)));
    }
    terminal.line("Ctrl-C stops the server.");
}
