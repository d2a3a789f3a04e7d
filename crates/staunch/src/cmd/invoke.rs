//! From the command line to the command, and from its end to the exit code.

use std::process::ExitCode;

use clap::Parser;
use staunch_server::wire::Secret;

use super::{
    cancel, completions, config, doctor, logs, memory, rerun, run, runs, soak, token, top, user, validate, version,
    workflows,
};
use crate::cli::{AllFlags, Cli, Command, ConfigSubcommand, Server};
use crate::client::Client;
use crate::config::{Config, Origin, Sources};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::Terminal;
use crate::secret;

/// Reads the command line and does what it says.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors and go to standard output. Nobody can be told if that is gone.
            error.print().unwrap_or_default();
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok }.into();
        }
    };
    let mut terminal = Terminal::new(cli.all.color);
    let serves = matches!(cli.command, Command::Serve(_));
    let exit = invoke(cli, &mut terminal).unwrap_or_else(|failure| {
        terminal.fail(&failure);
        failure.exit
    });
    match terminal.finish() {
        // What a server prints is no result.
        Err(failure) if !serves => {
            terminal.fail(&failure);
            // How the work ended weighs more.
            if exit == Exit::Ok { failure.exit } else { exit }
        }
        _ => exit,
    }
    .into()
}

fn invoke(cli: Cli, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let all = cli.all;
    match cli.command {
        Command::Serve(serve) => crate::serve::run(&serve, &all, terminal),
        Command::Run(arguments) => run::run(&arguments, &all, terminal),
        Command::Validate(arguments) => validate::run(&arguments, &all, terminal),
        Command::Runs(arguments) => runs::run(&arguments, &all, terminal),
        Command::Logs(arguments) => logs::run(&arguments, &all, terminal),
        Command::Cancel(arguments) => cancel::run(&arguments, &all, terminal),
        Command::Rerun(arguments) => rerun::run(arguments, &all, terminal),
        Command::Workflows(arguments) => workflows::run(&arguments, &all, terminal),
        Command::User(arguments) => user::run(&arguments, &all, terminal),
        Command::Token(arguments) => token::run(&arguments, &all, terminal),
        Command::Memory(arguments) => memory::run(&arguments, &all, terminal),
        Command::Top(arguments) => top::run(&arguments, &all, terminal),
        Command::Doctor(arguments) => doctor::run(&arguments, &all, terminal),
        Command::Soak(arguments) => soak::run(&arguments, &all, terminal),
        Command::Config(arguments) => match arguments.command {
            ConfigSubcommand::Show(show) => config::show(&show, &all, terminal),
        },
        Command::Completions(arguments) => completions::run(&arguments, terminal),
        Command::Version(json) => version::run(json, terminal),
    }
}

/// A client for the server that the flags and the configuration name, with the token that they name.
pub(super) fn client(server: &Server, all: &AllFlags, terminal: &mut Terminal) -> Result<Client, Failure> {
    let config = configuration(server, all)?;
    let client = Client::new(&config.server.value, server.insecure_http);
    match token_of(&config, terminal)? {
        Some(token) => client.with_token(&token),
        None => Ok(client),
    }
}

/// A client that sends no token, whatever is configured.
pub(super) fn tokenless(server: &Server, all: &AllFlags) -> Result<Client, Failure> {
    Ok(Client::new(&configuration(server, all)?.server.value, server.insecure_http))
}

fn configuration(server: &Server, all: &AllFlags) -> Result<Config, Failure> {
    let token_file = server.token_file.as_ref().map(|path| path.to_string_lossy().into_owned());
    let sources = Sources::of_process(all.config.clone()).flag("server", "--server", server.server.clone()).flag(
        "token_file",
        "--token-file",
        token_file,
    );
    Config::load(&sources)
}

/// The flag, then `$STAUNCH_TOKEN`, then what else names a file. The token itself is no key of the configuration, so that nothing that
/// shows the configuration shows it.
fn token_of(config: &Config, terminal: &mut Terminal) -> Result<Option<Secret>, Failure> {
    let by_flag = matches!(config.token_file.origin, Origin::Flag(_));
    let given = std::env::var_os("STAUNCH_TOKEN").filter(|token| !by_flag && !token.is_empty());
    match (given, &config.token_file.value) {
        (Some(token), _) => {
            let token = token.into_string().map_err(|_| Failure::usage("$STAUNCH_TOKEN is not UTF-8"))?;
            Ok(Some(Secret::new(token)))
        }
        (None, Some(path)) => secret::from_file(path, terminal).map(Some),
        (None, None) => Ok(None),
    }
}

/// A runtime for a command that waits for several things at once. One thread: the work is done elsewhere.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::broken(format!("cannot start the runtime: {error}")))
}
