//! Heap profiles of the real server: taken over its debug socket, and read by a program that knows nothing of ours.
#![cfg(all(feature = "jemalloc", target_os = "linux", target_env = "gnu"))]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::bed::{Bed, Serving};
use crate::closed::set_up;
use crate::curl::curl;

/// Reads `profile.proto` by the format's own description: which fields there are, and what their numbers mean.
const READER: &str = r#"
import gzip, json, sys

def fields(data):
    at = 0
    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]; at += 1
            value |= (byte & 127) << shift; shift += 7
            if byte < 128: return value
    while at < len(data):
        key = varint()
        if key & 7 == 0: yield key >> 3, varint()
        elif key & 7 == 2:
            length = varint(); yield key >> 3, data[at:at + length]; at += length
        else: raise ValueError("wire type %d" % (key & 7))
    assert at == len(data)

def packed(data):
    out, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 127) << shift; shift += 7
        if byte < 128: out.append(value - (1 << 64) if value >> 63 else value); value = shift = 0
    return out

top = {}
for number, value in fields(gzip.decompress(open(sys.argv[1], "rb").read())):
    top.setdefault(number, []).append(value)
texts = [text.decode() for text in top[6]]
assert texts[0] == ""
kind = lambda data: [texts[dict(fields(data))[n]] for n in (1, 2)]
functions = {dict(fields(f))[1]: texts[dict(fields(f))[2]] + " " + texts[dict(fields(f)).get(4, 0)] for f in top[5]}
locations = {}
for data in top[4]:
    all = list(fields(data))
    one = dict((n, v) for n, v in all if n != 4)
    locations[one[1]] = [functions[dict(fields(line))[1]] for n, line in all if n == 4]
sites, samples = {}, []
for data in top[2]:
    one = dict(fields(data))
    values = packed(one[2])
    names = [name for location in packed(one.get(1, b"")) for name in locations[location]]
    samples.append(values)
    for name in set(names): sites[name] = sites.get(name, 0) + values[1]
print(json.dumps({
    "types": [kind(data) for data in top[1]], "period": [kind(top[11][0]), top[12][0]], "default": texts[top[14][0]],
    "nanos": top[9][0], "mappings": [texts[dict(fields(m))[5]] for m in top.get(3, [])],
    "bytes": sum(v[1] for v in samples), "objects": sum(v[0] for v in samples), "samples": len(samples), "sites": sites,
}))
"#;

fn read(bed: &Bed, profile: &Path) -> Value {
    let reader = bed.file("reader.py", READER);
    let done = Command::new("python3").arg(reader).arg(profile).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

fn serve(bed: &Bed) -> (Serving, PathBuf) {
    let socket = bed.path("debug.sock");
    let mut command = bed.serving(&[]);
    command.env("STAUNCH_DEBUG_LISTEN", format!("unix:{}", socket.display()));
    // 32 times as many samples as usual. What is looked for is 3 MiB: two tables of 1 MiB and some of 128 KiB. With a sample every
    // 64 KiB a large one is missed in one run of nine million; with one every 512 KiB it is missed in one of seven.
    command.env("MALLOC_CONF", "lg_prof_sample:16");
    (Serving::of(command), socket)
}

fn fetch(bed: &Bed, socket: &Path, token: &str, path: &str) -> PathBuf {
    let (file, url) = (bed.path("heap.pb.gz"), format!("http://localhost{path}"));
    let authorization = format!("authorization: Bearer {token}");
    let status = Command::new("curl")
        .args(["-q", "-s", "-S", "-m", "30", "-o", file.to_str().unwrap(), "-w", "%{http_code}"])
        .args(["--unix-socket", socket.to_str().unwrap(), "-H", &authorization, &url])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&status.stdout), "200");
    file
}

/// Whether this is a function of the rate limits. With line tables the name is short, and the file is known.
fn names_rates(text: &str) -> bool {
    text.contains("staunch_guard::rate") || text.contains("staunch-guard/src/rate")
}

#[test]
fn ground_g7_a_profile_of_the_running_server_names_what_is_known_to_be_held() {
    let bed = Bed::new();
    let (server, socket) = serve(&bed);
    let token = set_up(&bed, &server);
    let profile = read(&bed, &fetch(&bed, &socket, &token, "/debug/pprof/heap"));
    assert_eq!(profile["types"], serde_json::json!([["inuse_objects", "count"], ["inuse_space", "bytes"]]));
    assert_eq!(profile["period"], serde_json::json!([["space", "bytes"], 65_536]));
    assert_eq!(profile["default"], "inuse_space");
    let binary = std::fs::canonicalize(env!("CARGO_BIN_EXE_staunch")).unwrap();
    assert_eq!(profile["mappings"], serde_json::json!([binary]));
    // The tables of the rate limits are 3 MiB from the start to the end, most of it in two blocks.
    let sites = profile["sites"].as_object().unwrap();
    let held: i64 = sites
        .iter()
        .filter(|(name, _)| names_rates(name))
        .map(|(_, bytes)| bytes.as_i64().unwrap())
        .max()
        .unwrap_or_else(|| panic!("no site of the rate limits: {profile}"));
    assert!((1 << 20..16 << 20).contains(&held), "{held} bytes: {profile}");
    // The whole is of the size of what the server says it holds, and no frame of the allocator is in it.
    let bytes = profile["bytes"].as_i64().unwrap();
    assert!((held..64 << 20).contains(&bytes), "{bytes}");
    assert!(!sites.keys().any(|name| name.contains("prof_backtrace") || name.starts_with("malloc ")), "{sites:?}");

    // Whoever has no token gets none, though they may open the socket.
    let unix = socket.to_str().unwrap();
    let answer = curl(&["--unix-socket", unix, "http://localhost/debug/pprof/heap"]).is(401);
    assert_eq!(answer.code(), "unauthenticated");
    let authorization = format!("authorization: Bearer {token}");
    assert_eq!(curl(&["-H", &authorization, &format!("{}/debug/pprof/heap", server.url)]).is(404).code(), "not_found");
    let text =
        curl(&["--unix-socket", unix, "-H", &authorization, "http://localhost/debug/pprof/heap?debug=1"]).is(200);
    assert!(text.body.starts_with("heap profile: ") && text.body.lines().any(names_rates), "{}", text.body);
    let done = server.stop();
    assert!(done.out.contains("profiles:  unix:"), "{}", done.out);
    assert!(!socket.exists(), "the socket goes with the server");
}

#[test]
fn a_place_that_others_reach_is_refused() {
    let bed = Bed::new();
    let mut command = bed.serving(&[]);
    command.env("STAUNCH_DEBUG_LISTEN", "0.0.0.0:7879");
    let done = crate::bed::Running::start(command).end().exits(2);
    assert!(done.err.contains("$STAUNCH_DEBUG_LISTEN") && done.err.contains("not a loopback address"), "{}", done.err);
}
