//! The command line: every command, argument and flag. What they do stands in [`crate::cmd`].

mod accounts;
mod health;
mod soak;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use accounts::{
    Role, Token, TokenCommand, TokenCreate, TokenList, TokenRevoke, User, UserChange, UserCommand, UserCreate,
    UserDelete, UserList, UserRescue, UserSessions, UserShow,
};
pub(crate) use health::{Doctor, Memory, Top};
pub(crate) use soak::{Leak, LeakKind, Mix, Share, Soak};

const AFTER_HELP: &str = "\
Exit codes: 0 ok, 1 run failed, 2 usage, 3 invalid workflow, 4 not found, 5 not allowed,
6 server unreachable, 7 timed out, 8 refused by a bound, 9 cancelled, 130 interrupted.

Start here:  staunch serve --demo";

/// A self-hosted workflow server in which nothing leaks.
#[derive(Debug, Parser)]
#[command(name = "staunch", version, about, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) all: AllFlags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct AllFlags {
    /// Colors: `auto` minds the terminal, NO_COLOR and CLICOLOR_FORCE
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: Color,
    /// The configuration file [default: ~/.config/staunch/staunch.toml, else /etc/staunch/staunch.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// When to use colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Also into a pipe.
    Always,
    /// Not at all.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start the server
    Serve(Serve),
    /// Run a workflow: a FILE in this process, or by its NAME on the server
    Run(Run),
    /// Check workflow files
    Validate(Validate),
    /// List runs, or show one
    Runs(Runs),
    /// Print what the steps of a run said
    Logs(Logs),
    /// Ask a run to stop; its clean-up steps still run
    Cancel(Cancel),
    /// Run a run again, whole or in part, with the same text and inputs
    Rerun(Rerun),
    /// List the workflows of the server
    Workflows(Workflows),
    /// Make, change and remove users
    User(User),
    /// Make, list and revoke API tokens
    Token(Token),
    /// Show what the server holds, and whether any of it grows
    Memory(Memory),
    /// Watch the server live; `q` quits
    Top(Top),
    /// Say in words whether the server is well, and what to do if it is not
    Doctor(Doctor),
    /// Load a server in cycles and prove that nothing grows
    Soak(Soak),

    /// Show the configuration
    Config(ConfigCommand),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the version
    Version(Json),
}

/// `--json`.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Json {
    /// Print one JSON object (or array) instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which server to ask, and by what right.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Server {
    /// The server's address [env: STAUNCH_URL] [default: http://127.0.0.1:7878]
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// A file with the API token to send; a token itself goes into the environment, not here [env: STAUNCH_TOKEN, STAUNCH_TOKEN_FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Send the token, or a password, without encryption to another machine: whoever is on the way can read it
    #[arg(long)]
    pub(crate) insecure_http: bool,
}

/// `staunch serve`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Serve {
    /// Where runs, logs and the database are kept [default: ~/.local/share/staunch]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Where to listen; others than loopback addresses need an admin first [default: 127.0.0.1:7878]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// The directory of workflow files, followed while the server runs [default: DATA/workflows]
    #[arg(long, value_name = "DIR")]
    pub(crate) workflows: Option<PathBuf>,
    /// Bring three demo workflows along; without --data, in a directory that is removed at the end
    #[arg(long)]
    pub(crate) demo: bool,
    /// error, warn, info, debug or trace; or a filter such as `info,staunch_engine=debug`
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// What `staunch soak` has its own server lose
    #[arg(long, hide = true, value_name = "KIND=RATE")]
    pub(crate) inject_leak: Vec<Leak>,
}

/// `staunch run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// A workflow file (it has a `/` or ends in .yaml or .yml), or the name of a workflow of the server
    #[arg(value_name = "FILE|NAME")]
    pub(crate) target: String,
    /// An input; may be given several times
    #[arg(short, long = "input", value_name = "KEY=VALUE", action = ArgAction::Append)]
    pub(crate) input: Vec<String>,
    /// A YAML or JSON file of inputs; `-` is standard input. What `-i` says wins
    #[arg(long, value_name = "FILE")]
    pub(crate) input_file: Option<PathBuf>,
    /// Only for a FILE: keep the run and its logs here, durably, instead of in a temporary directory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) server: Server,
    /// Only for a NAME: do not wait for the run to end
    #[arg(long)]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// How to wait for a run.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Wait {
    /// Cancel the run after this long, such as `90s` or `1h30m`
    #[arg(long, value_name = "DURATION", conflicts_with = "detach", value_parser = crate::render::parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// Say nothing unless the run does not succeed
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// `staunch validate`.
#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// Workflow files
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `staunch runs`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Runs {
    #[command(subcommand)]
    pub(crate) command: Option<RunsCommand>,
    #[command(flatten)]
    pub(crate) list: RunsList,
}

/// What to do with runs.
#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List runs, the newest first
    List(RunsList),
    /// Show a run and its steps
    Show(RunsShow),
}

/// `staunch runs list`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct RunsList {
    /// Only runs of this workflow
    #[arg(short, long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,
    /// Only runs in this state
    #[arg(long, value_enum)]
    pub(crate) state: Option<State>,
    /// Only runs that ended like this
    #[arg(long, value_enum)]
    pub(crate) outcome: Option<Outcome>,
    /// At most this many
    #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    /// Accepted.
    Queued,
    /// Steps have started.
    Running,
    /// Over.
    Ended,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Outcome {
    /// No step failed.
    Succeeded,
    /// A step failed.
    Failed,
    /// The workflow's timeout ran out.
    #[value(name = "timed_out", alias = "timed-out")]
    TimedOut,
    /// Somebody cancelled it.
    Cancelled,
}

/// `staunch runs show`.
#[derive(Debug, Args)]
pub(crate) struct RunsShow {
    #[command(flatten)]
    pub(crate) run: RunArg,
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// Which run.
#[derive(Debug, Args)]
pub(crate) struct RunArg {
    /// A run's id, the beginning or end of it if no other recent run has it too, or @last
    #[arg(value_name = "RUN")]
    pub(crate) id: String,
}

/// `staunch logs`.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// Only this step
    #[arg(value_name = "STEP")]
    pub(crate) step: Option<String>,
    /// Go on until the run (or the step) is over
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// The bytes as the step wrote them; needs STEP
    #[arg(long, requires = "step", conflicts_with_all = ["follow", "json"])]
    pub(crate) raw: bool,
    /// Only the last N lines of each step
    #[arg(long, value_name = "N", conflicts_with_all = ["follow", "raw"])]
    pub(crate) tail: Option<u32>,
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `staunch cancel`.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// Skip the clean-up steps too
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `staunch rerun`.
#[derive(Debug, Args)]
pub(crate) struct Rerun {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// Only the steps that did not succeed, and all that depend on them
    #[arg(long, conflicts_with = "from")]
    pub(crate) failed: bool,
    /// Only this step and all that depend on it
    #[arg(long, value_name = "STEP")]
    pub(crate) from: Option<String>,
    /// Do not wait for the run to end
    #[arg(long)]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) wait: Wait,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `staunch workflows`.
#[derive(Debug, Args)]
pub(crate) struct Workflows {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `staunch config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigCommand {
    #[command(subcommand)]
    pub(crate) command: ConfigSubcommand,
}

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigSubcommand {
    /// Print every key and its value
    Show(ConfigShow),
}

/// `staunch config show`.
#[derive(Debug, Args)]
pub(crate) struct ConfigShow {
    /// Also say where each value comes from
    #[arg(long)]
    pub(crate) origin: bool,
    #[command(flatten)]
    pub(crate) json: Json,
}

/// `staunch completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_agree_with_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn runs_alone_lists_and_takes_the_flags_of_list() {
        let cli = Cli::try_parse_from(["staunch", "runs", "--state", "running", "-n", "3"]).expect("parses");
        let Command::Runs(runs) = cli.command else { panic!("not runs") };
        assert!(runs.command.is_none());
        assert_eq!((runs.list.state, runs.list.limit), (Some(State::Running), 3));
    }
}
