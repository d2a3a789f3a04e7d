//! Who wins, what is refused, and that the manual says the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::key::{keys_table, limits_table};
use super::*;
use crate::exit::Exit;
use crate::failure::Failure;

/// A home of its own for each test.
struct Home {
    directory: tempfile::TempDir,
    sources: Sources,
}

impl Home {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let home = directory.path().as_os_str().to_owned();
        let env = BTreeMap::from([("HOME".to_owned(), home)]);
        Self { directory, sources: Sources { env, ..Sources::default() } }
    }

    fn file(&self, path: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(&path, text).expect("written");
        path
    }

    fn env(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.sources.env.insert(name.to_owned(), value.as_ref().as_os_str().to_owned());
        self
    }

    fn load(&self) -> Result<Config, Failure> {
        Config::load(&self.sources)
    }

    fn refused(&self) -> Failure {
        let failure = self.load().expect_err("refused");
        assert_eq!(failure.exit, Exit::Usage);
        failure
    }
}

#[test]
fn nobody_said_anything() {
    let home = Home::new();
    let config = home.load().expect("loaded");
    assert_eq!(config.data.value, home.directory.path().join(".local/share/staunch"));
    assert_eq!(config.workflows.value, config.data.value.join("workflows"));
    assert_eq!(config.listen.value.to_string(), "127.0.0.1:7878");
    assert_eq!(config.limits, staunch_engine::Limits::default());
    assert!(config.shown().iter().all(|line| line.origin == Origin::Default));
}

#[test]
fn each_source_wins_over_those_after_it() {
    let home = Home::new();
    let file =
        home.file(".config/staunch/staunch.toml", "# ours\nlisten = \"127.0.0.1:1\"\n\n[limits]\nstreams_max = 1\n");
    let listen = |home: &Home| home.load().expect("loaded").listen;
    assert_eq!(listen(&home).origin, Origin::File(file, 2));

    let credential = home.file("creds/staunch.toml", "listen = \"127.0.0.1:2\"");
    let creds = home.directory.path().join("creds");
    let home = home.env("CREDENTIALS_DIRECTORY", creds);
    assert_eq!(listen(&home).origin, Origin::Credential(credential, 1));

    let home = home.env("STAUNCH_LISTEN", "127.0.0.1:3");
    assert_eq!(listen(&home).origin, Origin::Env("STAUNCH_LISTEN".to_owned()));

    let mut home = home;
    home.sources = home.sources.flag("listen", "--listen", Some("localhost:4".to_owned()));
    let set = listen(&home);
    assert_eq!((set.origin, set.value.to_string().as_str()), (Origin::Flag("--listen"), "127.0.0.1:4"));
    // What no later source names stays as the file has it.
    assert_eq!(home.load().expect("loaded").limits.streams_max, 1);
}

#[test]
fn a_named_file_replaces_the_usual_one_and_must_be_there() {
    let home = Home::new();
    home.file(".config/staunch/staunch.toml", "log_level = \"debug\"");
    let other = home.file("other.toml", "log_level = \"trace\"");
    let mut home = home.env("STAUNCH_CONFIG", &other);
    assert_eq!(home.load().expect("loaded").log_level.value, "trace");
    home.sources.file = Some(home.directory.path().join("none.toml"));
    assert!(home.refused().message.contains("none.toml"));
}

#[test]
fn an_unknown_key_is_refused_with_its_place_and_the_nearest_one() {
    for (text, line, nearest) in [
        ("\nlisen = \"127.0.0.1:1\"\n", 2, "listen"),
        ("[limits]\nstreams_max = 1\nstream_max = 2\n", 3, "streams_max"),
        ("[limts]\nstreams_max = 1\n", 1, "limits"),
        ("[rates]\nlogin = \"5/1m\"\n", 1, "rate"),
        ("[rate]\nloginn = \"5/1m\"\n", 2, "login"),
        ("trusted_proxy = []\n", 1, "trusted_proxies"),
    ] {
        let home = Home::new();
        let path = home.file(".config/staunch/staunch.toml", text);
        let failure = home.refused();
        assert!(failure.message.starts_with(&format!("{}:{line}: unknown key", path.display())), "{}", failure.message);
        assert_eq!(failure.hint.expect("a hint"), format!("did you mean `{nearest}`?"));
    }
    let failure = Home::new().env("STAUNCH_LIMITS_STREAM_MAX", "1").refused();
    assert_eq!(failure.hint.expect("a hint"), "did you mean `STAUNCH_LIMITS_STREAMS_MAX`?");
    let failure = Home::new().env("STAUNCH_RATE_LOGINS", "5/1m").refused();
    assert_eq!(failure.hint.expect("a hint"), "did you mean `STAUNCH_RATE_LOGIN`?");
    // A step of a workflow has variables of ours that are no configuration.
    assert!(Home::new().env("STAUNCH_RUN_ID", "run_1").load().is_ok());
}

#[test]
fn a_wrong_value_is_refused_with_its_place() {
    for (text, what) in [
        ("listen = \"7878\"", "such as 127.0.0.1:7878"),
        ("listen = 7878", "is not an address"),
        ("listen = true", "not a boolean"),
        ("listen = [1]", "not a array"),
        ("memory_bytes = \"64MB\"", "use KiB, MiB"),
        ("server = \"127.0.0.1:7878\"", "such as http://"),
        ("log_level = \"info,x=loud\"", "is not a level"),
        ("data = \"\"", "not empty"),
        ("limits = 3", "is a table"),
        ("limits.streams_max = -1", "is not a number of streams"),
        ("limits.streams_max = 4294967296", "more than fits"),
        ("limits.log_bytes_max = \"1MB\"", "use KiB, MiB"),
        ("listen = \"a\nb\"", ".toml:"),
        ("rate = 3", "is a table"),
        ("rate.login = \"often\"", "such as 5/1m"),
        ("rate.api = \"0/1m\"", "at least 1 request"),
        ("public_url = \"staunch.example\"", "such as https://"),
        ("public_url = \"https://u:p@h\"", "such as https://"),
        ("public_url = \"ftp://h\"", "such as https://"),
        ("public_url = \"https://h/staunch\"", "has a path"),
        ("hosts = [\"http://h\"]", "without scheme and port"),
        ("hosts = [1]", "is a list of strings"),
        ("trusted_proxies = [\"proxy\"]\nclient_header = \"forwarded\"", "is not an IP address"),
        ("trusted_proxies = [\"10.1.2.3/16\"]\nclient_header = \"forwarded\"", "10.1.0.0/16 is meant?"),
        ("trusted_proxies = [\"::/0\"]\nclient_header = \"forwarded\"", "trusts everybody"),
        ("trusted_proxies = [\"0.0.0.0/0\"]\nclient_header = \"forwarded\"", "trusts everybody"),
        ("trusted_proxies = [\"::ffff:0:0/96\"]\nclient_header = \"forwarded\"", "trusts everybody"),
        ("trusted_proxies = \"127.0.0.1\"", "nothing says where"),
        ("trusted_proxies = \"127.0.0.1\"\nclient_header = \"none\"", "nothing says where"),
        ("client_header = \"forwarded\"", "there are no trusted_proxies"),
        ("client_header = \"x forwarded for\"", "is not the name of a header"),
        ("session_idle = \"2\"", "is not a duration"),
        ("session_idle = \"1s\"", "at least 1m"),
        ("session_absolute = \"1h\"", "session_idle (2h) is more than session_absolute (1h)"),
        ("session_idle = \"13h\"", "session_idle (13h) is more than session_absolute (12h)"),
        ("data = \"a\"\ndata = \"b\"", "duplicate"),
    ] {
        let home = Home::new();
        let path = home.file(".config/staunch/staunch.toml", text);
        let message = home.refused().message;
        assert!(message.contains(&path.display().to_string()), "{text}: {message}");
        assert!(message.contains(what), "{text}: {message}");
    }
}

#[test]
fn sizes_may_have_units_and_numbers_may_be_hexadecimal() {
    let home = Home::new();
    home.file(
        ".config/staunch/staunch.toml",
        "memory_bytes = \"2GiB\"\n[limits]\nlog_bytes_max = \"1MiB\"\nstreams_max = 0x10\n",
    );
    let config = home.env("STAUNCH_LIMITS_RETENTION_DAYS", "7").load().expect("loaded");
    assert_eq!(config.memory_bytes.value, Some(2 << 30));
    assert_eq!((config.limits.log_bytes_max, config.limits.streams_max), (1 << 20, 16));
    assert_eq!(config.limits.retention_days, 7);
}

#[test]
fn what_the_guards_are_told_by_a_file_and_by_variables() {
    let home = Home::new();
    home.file(
        ".config/staunch/staunch.toml",
        "public_url = \"https://Staunch.Example:443/\"\ntrusted_proxies = [\"127.0.0.1/32\", \"fd00::/8\"]\n\
         client_header = \"X-Forwarded-For\"\nsession_idle = \"30m\"\n[rate]\nlogin = \"10/1m\"\n",
    );
    let home = home.env("STAUNCH_HOSTS", "a.example, B.example,").env("STAUNCH_RATE_API_TOKEN", "600/60s");
    let config = home.load().expect("loaded");
    let guards = &config.guards;
    assert_eq!(guards.public_url.value.as_deref(), Some("https://staunch.example"));
    assert_eq!(guards.trusted_proxies.value, ["127.0.0.1/32", "fd00::/8"]);
    assert_eq!(guards.client_header.value.as_deref(), Some("x-forwarded-for"));
    assert_eq!(guards.hosts.value, ["a.example", "b.example"]);
    assert_eq!((guards.session_idle.value.as_secs(), guards.session_absolute.value.as_secs()), (1_800, 43_200));
    let shown = config.shown();
    let line = |key: &str| shown.iter().find(|line| line.key == key).expect(key);
    assert_eq!((line("rate.login").value.as_str(), line("rate.login").worst_case), (Some("10/1m"), Some(19)));
    assert_eq!((line("rate.api").value.as_str(), line("rate.api").worst_case), (Some("100/15m"), Some(199)));
    assert_eq!(line("rate.api_token").origin, Origin::Env("STAUNCH_RATE_API_TOKEN".to_owned()));
    assert_eq!(line("rate.api_token").value.as_str(), Some("600/1m"));
    assert_eq!(line("session_idle").value.as_str(), Some("30m"));
    // Every key is shown, each once.
    for key in &key::KEYS {
        assert_eq!(shown.iter().filter(|line| line.key == key.name).count(), 1, "{}", key.name);
    }
}

#[test]
fn a_file_that_is_too_large_is_refused_unread() {
    let home = Home::new();
    home.file(".config/staunch/staunch.toml", &"#\n".repeat(200_000));
    assert!(home.refused().message.contains("larger than"));
}

/// What stands between two markers of a page of the manual.
fn part<'a>(page: &'a str, name: &str) -> &'a str {
    let (begin, end) = (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->"));
    let part = page.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end));
    part.map(|(part, _)| part).expect("the page has the markers")
}

#[test]
fn the_manual_says_what_the_program_does() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for (page, name, table) in [
        ("operations.md", "limits", limits_table()),
        ("operations.md", "keys", keys_table()),
        ("cli.md", "exit-codes", Exit::table()),
    ] {
        let path = docs.join(page);
        let text = std::fs::read_to_string(&path).expect("the page is there");
        let stands = part(&text, name);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(
                &path,
                text.replace(&format!(":begin -->\n{stands}<!-- {name}:"), &format!(":begin -->\n{table}<!-- {name}:")),
            )
            .expect("written");
        } else {
            assert_eq!(stands, table, "docs/{page} is out of date: run this test with UPDATE_DOCS=1");
        }
    }
}
