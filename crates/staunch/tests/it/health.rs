//! `staunch memory`, `doctor` and `top`: what a server says of itself.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;

use crate::bed::{Bed, Running, Serving, until};
use crate::seat::Seat;

const JOB: &str = "steps: [{ id: only, run: 'true' }]";

#[test]
fn ground_g9_memory_is_shown_to_people_and_to_programs() {
    let bed = Bed::new();
    bed.workflow("job.yaml", JOB);
    let server = bed.serve(&[]);
    server.run(&bed, &["run", "job"]).exits(0);
    let mut told = Value::Null;
    // The files of a run go a moment after its end.
    until(|| {
        told = server.run(&bed, &["memory", "--json", "--fresh"]).exits(0).json();
        told["kept"]["temp_files"] == 0
    });
    assert_eq!(told["runs_ended"], 1);
    assert_eq!(told["kept"]["rows"]["runs_ended"], 1, "{told}");
    assert_eq!(told["tasks"]["census"], 1);
    // What the process may use is what the machine or its cgroup has.
    assert!(told["limit_bytes"].as_u64() >= told["bounds_bytes"].as_u64(), "{told}");
    if cfg!(all(feature = "jemalloc", target_os = "linux", target_env = "gnu")) {
        assert_eq!(told["allocator"]["name"], "jemalloc");
        let number = |name: &str| told[name].as_u64().unwrap();
        assert_eq!(number("unattributed_bytes"), number("live_bytes") - number("stores_bytes"), "{told}");
    }
    let shown = server.run(&bed, &["memory"]).exits(0).out;
    for name in ["insufficient", "resident", "bounds", "limit", "rate_api", "sessions", "resource", "store"] {
        assert!(shown.contains(name), "{name} in {shown}");
    }
    server.stop();
    bed.run(&["memory", "--server", "http://127.0.0.1:1"]).exits(6);
}

#[test]
fn more_memory_than_there_is_may_be_configured_and_is_not_believed() {
    let bed = Bed::new();
    let mut command = bed.serving(&[]);
    command.env("STAUNCH_MEMORY_BYTES", "1000000GiB");
    let server = Serving::of(command);
    let told = server.run(&bed, &["memory", "--json"]).exits(0).json();
    assert!(told["limit_bytes"].as_u64().unwrap() < 1_000_000 << 30, "{told}");
    server.stop();
}

#[test]
fn ground_g9_the_doctor_says_what_it_cannot_tell_and_what_is_wrong() {
    let bed = Bed::new();
    let mut server = bed.serve(&[]);
    // A server that has run for a moment has no verdict, and that is never taken for health.
    let young = server.run(&bed, &["doctor"]).exits(2);
    assert!(young.out.contains("cannot tell: insufficient"), "{}", young.out);
    assert_eq!(server.run(&bed, &["doctor", "--json"]).exits(2).json()["verdict"], "cannot_tell");
    // With room for two descriptors more than are open, it has nearly all that it may have. What is open still changes while
    // it is young (our own connections close), so the room is made anew until both answers find it narrow.
    let most = getrlimit(Resource::Nofile).maximum;
    let pid = server.process().pid();
    let may_open = |current| {
        prlimit(Some(pid), Resource::Nofile, Rlimit { current, maximum: most }).unwrap();
    };
    let (mut words, mut object) = (None, None);
    until(|| {
        may_open(most);
        let open = server.run(&bed, &["memory", "--json", "--fresh"]).exits(0).json()["fds"].as_u64().unwrap();
        may_open(Some(open + 2));
        words = Some(server.run(&bed, &["doctor"]));
        object = Some(server.run(&bed, &["doctor", "--json"]));
        [&words, &object].iter().all(|done| done.as_ref().is_some_and(|done| done.code == Some(1)))
    });
    let (words, object) = (words.unwrap(), object.unwrap().json());
    for part in [
        "file descriptors: ",
        " are open of ",
        "Threshold: 80 %.",
        "What to do: raise the limit (`LimitNOFILE=`",
        "1 finding: ",
    ] {
        assert!(words.out.contains(part), "{part} in {}", words.out);
    }
    assert_eq!((&object["verdict"], &object["findings"][0]["about"]), (&"findings".into(), &"file descriptors".into()));
    may_open(most);
    server.stop();
    bed.run(&["doctor", "--server", "http://127.0.0.1:1"]).exits(6);
}

#[test]
fn what_a_doctor_packs_is_whole_private_and_without_a_secret() {
    const TOKEN: &str = "stn_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
    let bed = Bed::new();
    bed.workflow("job.yaml", JOB);
    let server = bed.serve(&[]);
    let (url, file) = (server.url.replace("http://", "http://ada:hush-hush@"), bed.path("here").join("bundle.tar"));
    let token_file = bed.file("token", TOKEN);
    std::fs::set_permissions(&token_file, PermissionsExt::from_mode(0o600)).unwrap();
    // The command's own configuration has everything a careless person can put there.
    let home = bed.path("home/.config/staunch");
    std::fs::create_dir_all(&home).unwrap();
    std::fs::write(home.join("staunch.toml"), format!("server = \"{url}\"\ntoken_file = {token_file:?}\n")).unwrap();
    let pack = || {
        // The flag wins over the file, which is shown in the bundle all the same.
        let mut command = bed.command(&["doctor", "--server", &server.url, "--bundle", file.to_str().unwrap()]);
        command.env("STAUNCH_PASSWORD", "correct horse battery");
        Running::start(command).end()
    };
    // An open server asks for no token and takes no wrong one.
    pack().exits(5);
    assert!(!file.exists());
    std::fs::write(home.join("staunch.toml"), format!("server = \"{url}\"\n")).unwrap();
    let mut command = server.command(&bed, &["doctor", "--server", &server.url, "--bundle", file.to_str().unwrap()]);
    command.env_remove("STAUNCH_URL");
    let done = Running::start(command).end().exits(2);
    assert!(done.err.contains("wrote "), "{}", done.err);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let unpacked = bed.path("tmp/unpacked");
    std::fs::create_dir(&unpacked).unwrap();
    let tar = Command::new("tar").arg("-xf").arg(&file).current_dir(&unpacked).output().unwrap();
    assert!(tar.status.success() && tar.stderr.is_empty(), "{tar:?}");
    let read = |name: &str| std::fs::read_to_string(unpacked.join("staunch").join(name)).unwrap();
    let json = |name: &str| serde_json::from_str::<Value>(&read(name)).unwrap();
    assert_eq!(json("version.json")["name"], "staunch");
    assert!(json("memory.json")["stores"].as_array().unwrap().len() > 5);
    assert_eq!(json("findings.json").as_array().unwrap().len(), 0);
    assert!(read("metrics.txt").contains("staunch_store_bytes{") && read("metrics.txt").ends_with("# EOF\n"));
    assert!(read("ready.txt").contains("\"ready\":true"), "{}", read("ready.txt"));
    assert_eq!(json("config.json")["server"]["value"], server.url);
    let ticket = std::fs::read_to_string(bed.path("data/setup-link")).unwrap();
    let ticket = ticket.trim().rsplit('#').next().unwrap().to_owned();
    let bytes = std::fs::read(&file).unwrap();
    for secret in [TOKEN, "hush-hush", "correct horse battery", &ticket] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} is in the bundle");
    }
    // What is there is never written over.
    server.run(&bed, &["doctor", "--bundle", file.to_str().unwrap()]).exits(1);
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
    std::fs::remove_dir_all(unpacked).unwrap();
    server.stop();
}

#[test]
fn top_draws_on_a_terminal_until_q_and_refuses_without_one() {
    let bed = Bed::new();
    let server = bed.serve(&[]);
    let done = server.run(&bed, &["top"]).exits(2);
    assert!(done.err.contains("top needs a terminal") && done.err.contains("staunch memory"), "{}", done.err);
    assert!(done.out.is_empty());
    let url = server.url.clone();
    let mut seat = Seat::at(&bed, &["top", "--server", &url, "--every", "200ms"]);
    seat.sees_somewhere("quits");
    seat.sees_somewhere("rate_api");
    seat.types("q");
    let (code, seen) = seat.end();
    assert_eq!(code, Some(0), "{seen:?}");
    assert!(seat.echoes(), "as it was before");
    // The other screen was taken and given back.
    assert!(seen.contains("\x1b[?1049h") && seen.contains("\x1b[?1049l"), "{seen:?}");
    // A signal gives it back too.
    let mut seat = Seat::at(&bed, &["top", "--server", &url]);
    seat.sees_somewhere("quits");
    seat.signal(rustix::process::Signal::TERM);
    let (code, seen) = seat.end();
    assert!(code == Some(130) && seen.contains("\x1b[?1049l") && seat.echoes(), "{seen:?}");
    server.stop();
}
