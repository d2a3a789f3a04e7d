//! Every bound of a workflow file, its unit last in the name.

/// Diagnostics a file can get; what is beyond them is counted in the last one.
pub(crate) const DIAGNOSTICS_MAX: usize = 100;
/// Bytes of a workflow's name, a step's id or an input's name.
pub(crate) const ID_BYTES_MAX: usize = 100;
/// Bytes of a `name:` or `description:` for people.
pub(crate) const PROSE_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a script. Linux refuses a single argument of 128 KiB or more (`MAX_ARG_STRLEN`), its closing NUL included.
pub(crate) const RUN_BYTES_MAX: usize = 128 * 1024 - 1;
/// Bytes of a template's source: an environment value, an `if`, a directory.
pub(crate) const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of an environment variable's name; with the longest value it stays below what the system takes.
pub(crate) const ENV_NAME_BYTES_MAX: usize = 256;
/// Entries of one `env:`.
pub(crate) const ENV_ENTRIES_MAX: usize = 256;
/// Inputs of one workflow.
pub(crate) const INPUTS_MAX: usize = 100;
/// Bytes of one input's value.
pub(crate) const INPUT_BYTES_MAX: usize = 64 * 1024;
/// Bytes of all values of a run together: they become environment, of which Linux takes some 2 MiB with the arguments.
pub(crate) const INPUTS_BYTES_MAX: usize = 512 * 1024;
/// Options of one `choice` input.
pub(crate) const OPTIONS_MAX: usize = 1_000;
/// Words of one `shell: [command, args...]`.
pub(crate) const SHELL_WORDS_MAX: usize = 64;
/// Exit codes in one list.
pub(crate) const EXIT_CODES_MAX: usize = 256;
/// Attempts of one step.
pub(crate) const ATTEMPTS_MAX: i64 = 100;
/// Steps of one run in flight at once.
pub(crate) const MAX_PARALLEL_MAX: i64 = 10_000;
/// Edges of the graph. Two `parallel:` groups in a row need the product of their sizes.
pub(crate) const NEEDS_MAX: usize = 200_000;
/// Seconds of the longest duration: 365 days.
pub(crate) const DURATION_SECONDS_MAX: u64 = 365 * 86_400;
/// Work for did-you-mean, in characters compared with characters; beyond it no name is suggested.
pub(crate) const COMPARISONS_MAX: usize = 20_000_000;
/// What aliases may replay, as a part of the file's largest size: a quarter.
pub(crate) const REPLAY_DIVISOR: usize = 4;
