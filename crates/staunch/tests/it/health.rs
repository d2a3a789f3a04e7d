//! `staunch memory`: what a server says of itself.

use crate::bed::Bed;

const JOB: &str = "steps: [{ id: only, run: 'true' }]";

#[test]
fn ground_g9_memory_is_shown_to_people_and_to_programs() {
    let bed = Bed::new();
    bed.workflow("job.yaml", JOB);
    let server = bed.serve(&[]);
    server.run(&bed, &["run", "job"]).exits(0);
    let told = server.run(&bed, &["memory", "--json", "--fresh"]).exits(0).json();
    assert_eq!(told["runs_ended"], 1);
    assert_eq!((&told["kept"]["rows"]["runs_ended"], &told["kept"]["temp_files"]), (&1.into(), &0.into()), "{told}");
    assert_eq!(told["tasks"]["census"], 1);
    // What the process may use is what the machine or its cgroup has.
    assert!(told["limit_bytes"].as_u64() >= told["bounds_bytes"].as_u64(), "{told}");
    let shown = server.run(&bed, &["memory"]).exits(0).out;
    for name in ["insufficient", "resident", "bounds", "limit", "rate_api", "sessions", "resource", "store"] {
        assert!(shown.contains(name), "{name} in {shown}");
    }
    server.stop();
    bed.run(&["memory", "--server", "http://127.0.0.1:1"]).exits(6);
}
