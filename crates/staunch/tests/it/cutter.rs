//! Servers that misbehave: one that says one thing, and one between a client and a server that cuts connections.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Answers every request with these bytes. Its address.
pub(crate) fn answers(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            // A client that left early is no failure of this test's server.
            if stream.read(&mut head).is_ok() {
                let _sent = stream.write_all(answer.as_bytes());
            }
        }
    });
    url
}

/// Stands between a client and a server, and cuts each live stream after so many bytes of it.
pub(crate) struct Cutter {
    /// Its address.
    pub(crate) url: String,
    cuts: Arc<AtomicUsize>,
}

impl Cutter {
    pub(crate) fn before(url: &str, bytes: usize) -> Self {
        let server: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let cuts = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&cuts);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, count) = (client.unwrap(), Arc::clone(&count));
                thread::spawn(move || pass(client, server, bytes, &count));
            }
        });
        Self { url, cuts }
    }

    /// How many streams it has cut.
    pub(crate) fn cuts(&self) -> usize {
        // Relaxed: a lone number, read after the client has ended.
        self.cuts.load(Ordering::Relaxed)
    }
}

fn pass(client: TcpStream, server: SocketAddr, bytes: usize, cuts: &AtomicUsize) {
    let server = TcpStream::connect(server).unwrap();
    let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let up = thread::spawn(move || {
        let copied = std::io::copy(&mut from_client, &mut to_server);
        let _closed = to_server.shutdown(Shutdown::Write);
        copied.is_ok()
    });
    let (mut from_server, mut to_client) = (server, client);
    let mut buffer = [0; 1024];
    let (mut passed, mut stream) = (0, false);
    while let Ok(read @ 1..) = from_server.read(&mut buffer) {
        stream |= String::from_utf8_lossy(&buffer[..read]).contains("text/event-stream");
        passed += read;
        if to_client.write_all(&buffer[..read]).is_err() {
            break;
        }
        if stream && passed > bytes {
            cuts.fetch_add(1, Ordering::Relaxed);
            break;
        }
    }
    for half in [&from_server, &to_client] {
        let _closed = half.shutdown(Shutdown::Both);
    }
    let _joined = up.join();
}
