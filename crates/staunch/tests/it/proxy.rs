//! Real proxies in front of a server, configured as the manual says.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::bed::{Bed, until};

/// The name in the manual's configurations.
pub(crate) const NAME: &str = "staunch.example.org";

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    Haproxy,
}

/// A proxy that runs. It is gone when this is dropped.
pub(crate) struct Proxy {
    child: Child,
    /// Its port for plain HTTP.
    pub(crate) plain: u16,
    /// Its port for HTTPS.
    pub(crate) tls: u16,
    /// The certificate it shows, which speaks for [`NAME`] and for `localhost`.
    pub(crate) certificate: PathBuf,
}

impl Proxy {
    /// Starts one in front of the server at `url`.
    pub(crate) fn start(bed: &Bed, kind: Kind, url: &str) -> Self {
        let directory = bed.path(&format!("{kind:?}"));
        std::fs::create_dir(&directory).unwrap();
        let (certificate, key) = certify(&directory);
        let server = url.trim_start_matches("http://");
        // Somebody else may take one of the ports in the meantime; hardly twice.
        let started = (0..3).find_map(|_| Self::try_start(kind, &directory, (&certificate, &key), server));
        started.unwrap_or_else(|| panic!("{}", std::fs::read_to_string(directory.join("log")).unwrap()))
    }

    /// One that listens, or `None` if it could not.
    fn try_start(kind: Kind, directory: &Path, pair: (&Path, &Path), server: &str) -> Option<Self> {
        let (plain, tls) = free();
        let (program, arguments, text) = match kind {
            Kind::Nginx => ("nginx", &["-c"][..], nginx(directory, pair, (plain, tls), server)),
            Kind::Haproxy => ("haproxy", &["-db", "-f"][..], haproxy(directory, pair, (plain, tls), server)),
        };
        let path = directory.join("conf");
        std::fs::write(&path, text).unwrap();
        let log = std::fs::File::create(directory.join("log")).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .arg(&path)
            // Debian has both where only root looks.
            .env("PATH", format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; `cargo xtask test` installs it"));
        let proxy = Self { child, plain, tls, certificate: pair.0.to_owned() };
        let listens = |port: u16| TcpStream::connect(("127.0.0.1", port)).is_ok();
        until(|| proxy.has_ended() || listens(plain) && listens(tls));
        (!proxy.has_ended()).then_some(proxy)
    }

    fn has_ended(&self) -> bool {
        !crate::bed::is_alive(&self.child.id().to_string())
    }

    /// Arguments that make curl ask it by name, from `address`, one of this machine's.
    pub(crate) fn by_name(&self, address: &str) -> Vec<String> {
        let at = |port: u16| format!("{NAME}:{port}:127.0.0.1");
        let certificate = self.certificate.display().to_string();
        let plain = [
            "--resolve",
            &at(self.tls),
            "--resolve",
            &at(self.plain),
            "--interface",
            address,
            "--cacert",
            &certificate,
        ]
        .map(str::to_owned);
        plain.into()
    }

    /// The address of a path, by name.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{NAME}:{}{path}", self.tls)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // In order, so that it takes its own children along. It may be gone already, after a failed test.
        let _told = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _reaped = self.child.wait();
    }
}

/// The blocks of the manual in a language, in order.
pub(crate) fn manual(language: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md");
    let page = std::fs::read_to_string(page).unwrap();
    let begin = format!("```{language}\n");
    page.split(&begin).skip(1).map(|rest| rest.split_once("```").unwrap().0.to_owned()).collect()
}

/// Replaces what must be there.
#[track_caller]
fn swap(text: &str, what: &str, with: &str) -> String {
    assert!(text.contains(what), "{what:?} is not in the manual's configuration:\n{text}");
    text.replace(what, with)
}

fn nginx(directory: &Path, (certificate, key): (&Path, &Path), (plain, tls): (u16, u16), server: &str) -> String {
    let text = swap(&manual("nginx")[0], "server 127.0.0.1:7878;", &format!("server {server};"));
    let text = swap(&text, "    listen [::]:80;\n", "");
    let text = swap(&text, "    listen [::]:443 ssl http2;\n", "");
    let text = swap(&text, "listen 80;", &format!("listen 127.0.0.1:{plain};"));
    let text = swap(&text, "listen 443 ssl http2;", &format!("listen 127.0.0.1:{tls} ssl http2;"));
    let text = swap(&text, "/etc/ssl/staunch/fullchain.pem", certificate.to_str().unwrap());
    let text = swap(&text, "/etc/ssl/staunch/key.pem", key.to_str().unwrap());
    let own = directory.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {own}/{name};\n"))
        .collect();
    // One process, of the tester's own: the bed's directories are nobody else's.
    format!(
        "daemon off;\nmaster_process off;\npid {own}/pid;\nerror_log {own}/error;\nevents {{ worker_connections 64; }}\n\
         http {{\naccess_log off;\n{temporary}{text}}}\n"
    )
}

fn haproxy(directory: &Path, (certificate, key): (&Path, &Path), (plain, tls): (u16, u16), server: &str) -> String {
    let both = directory.join("both.pem");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    std::fs::write(&both, read(certificate) + &read(key)).unwrap();
    let text = swap(&manual("haproxy")[0], "server staunch 127.0.0.1:7878", &format!("server staunch {server}"));
    let text = swap(&text, "bind :80\n", &format!("bind 127.0.0.1:{plain}\n"));
    let text = swap(&text, "bind :443 ", &format!("bind 127.0.0.1:{tls} "));
    swap(&text, "/etc/haproxy/staunch.pem", both.to_str().unwrap())
}

/// A certificate that vouches for itself, and its key.
fn certify(directory: &Path) -> (PathBuf, PathBuf) {
    let (certificate, key) = (directory.join("certificate.pem"), directory.join("key.pem"));
    let request = directory.join("request.cnf");
    // No authority: a client must not take an authority's own certificate for a server's.
    let text = format!(
        "[req]\nprompt = no\ndistinguished_name = name\nx509_extensions = more\n[name]\nCN = test\n\
         [more]\nbasicConstraints = CA:FALSE\nsubjectAltName = DNS:{NAME},DNS:localhost\n"
    );
    std::fs::write(&request, text).unwrap();
    let done = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args([Path::new("-config"), &request])
        .args([Path::new("-out"), &certificate, Path::new("-keyout"), &key])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    (certificate, key)
}

/// Two ports that were just free.
fn free() -> (u16, u16) {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [one, two] = listeners.map(|listener| listener.local_addr().unwrap().port());
    (one, two)
}
