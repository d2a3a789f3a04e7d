//! What tests and benches need besides Rust: named, and installed where that is possible.

use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

/// A program and the Debian package that brings it.
pub(crate) struct Tool {
    /// What is looked for on the `PATH`.
    pub(crate) program: &'static str,
    /// What brings it.
    pub(crate) package: &'static str,
    /// Who needs it.
    pub(crate) needed_by: &'static str,
}

/// What the examples (and so the tests) call.
pub(crate) const TEST_TOOLS: &[Tool] = &[
    Tool { program: "cc", package: "gcc", needed_by: "the bundled SQLite and examples/c-project.yaml" },
    Tool { program: "make", package: "make", needed_by: "examples/c-project.yaml" },
    Tool { program: "sqlite3", package: "sqlite3", needed_by: "examples/sqlite-backup.yaml" },
    Tool { program: "python3", package: "python3", needed_by: "tests of `shell: python3`" },
    Tool { program: "bash", package: "bash", needed_by: "tests of `shell: bash`" },
    Tool { program: "awk", package: "mawk", needed_by: "examples/log-analysis.yaml" },
    Tool { program: "pgrep", package: "procps", needed_by: "tests of what a step leaves behind" },
    Tool { program: "curl", package: "curl", needed_by: "tests of the API from outside" },
    Tool { program: "openssl", package: "openssl", needed_by: "tests of a server behind a proxy" },
    Tool { program: "nginx", package: "nginx", needed_by: "tests of a server behind a proxy" },
    Tool { program: "haproxy", package: "haproxy", needed_by: "tests of a server behind a proxy" },
    Tool { program: "setsid", package: "util-linux", needed_by: "tests of a password at a terminal" },
    Tool { program: "setpriv", package: "util-linux", needed_by: "tests of limits that root does not have" },
    Tool { program: "unshare", package: "util-linux", needed_by: "tests of a server in a container" },
    Tool { program: "promtool", package: "prometheus", needed_by: "tests of docs/prometheus-alerts.yaml" },
    Tool { program: "tar", package: "tar", needed_by: "tests of what a doctor packs" },
    Tool { program: "chromium", package: "chromium", needed_by: "tests of the pages" },
    Tool { program: "chromedriver", package: "chromium-driver", needed_by: "tests of the pages" },
];

/// What the build needs besides Rust and the C compiler that Rust links with.
pub(crate) const BUILD_TOOLS: &[Tool] =
    &[Tool { program: "make", package: "make", needed_by: "jemalloc, the server's allocator" }];

/// What `bench dag` compares with.
pub(crate) const BENCH_TOOLS: &[Tool] = &[
    Tool { program: "ninja", package: "ninja-build", needed_by: "bench dag" },
    Tool { program: "make", package: "make", needed_by: "bench dag" },
];

/// Sees to it that all of them are there.
pub(crate) fn ensure(tools: &[Tool]) -> Result<()> {
    let missing: Vec<&Tool> = tools.iter().filter(|tool| !process::exists(tool.program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    if process::exists("apt-get") && is_root()? {
        process::run(apt(&["update", "-q"]))?;
        let mut arguments = vec!["install", "-q", "-y", "--no-install-recommends"];
        arguments.extend(&packages);
        return process::run(apt(&arguments));
    }
    let mut words = String::new();
    for tool in &missing {
        words += &format!("\n  {} (for {})", tool.program, tool.needed_by);
    }
    bail!("these programs are missing:{words}\ninstall them, on Debian by: apt-get install {}", packages.join(" "))
}

/// Builds with the toolchain of this workspace; a newer one may not.
const NEXTEST: &str = "cargo-nextest@0.9.151";

/// Sees to it that `cargo nextest` works; builds it into `target/tools` if the machine has none.
pub(crate) fn ensure_nextest() -> Result<()> {
    if process::exists("cargo-nextest") {
        return Ok(());
    }
    let root = process::tools();
    let mut install = process::cargo(&["install", "--locked", NEXTEST])?;
    // A test runner need not be fast itself: half the optimising, a fraction of the wait.
    install.arg("--root").arg(root).env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1").env("CARGO_PROFILE_RELEASE_LTO", "off");
    process::run(install)
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn is_root() -> Result<bool> {
    let mut id = Command::new("id");
    id.arg("-u");
    Ok(process::output(id)?.trim() == "0")
}
