//! The shell: accepts connections, bounds them, and ends them in order.
//!
//! A connection is accepted only when there is room for it: beyond `connections_max` new ones wait in the kernel's queue,
//! which costs this process nothing. Idle connections are closed after ten seconds and event streams are fewer than
//! connections, so that room comes. A client that ends its half of a connection ends its requests: a dropped
//! event stream is noticed at once, not at the next write.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use staunch_engine::{Engine, Kind, Tasks};
use staunch_store::Accounts;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::Layer;

use crate::auth::{Peer, sweep};
use crate::bounds::{CONNECTION_BUFFER_BYTES, HEAD_BYTES_MAX, HEADERS_MAX, Times};
use crate::config::{BindError, ServerConfig};
use crate::debug::{self, DebugListen, SocketFile};
use crate::lookout;
use crate::pressure;
use crate::router::build;
use crate::stall::Impatient;
use crate::tally::{Open, Tally};

/// A server that listens. It serves until the engine's tasks are told to stop, or [`Server::close`].
#[derive(Debug)]
pub struct Server {
    local_addr: SocketAddr,
    closed: CancellationToken,
    room: Room,
    debug: Option<(Room, DebugListen)>,
}

/// Where connections come from.
#[derive(Debug)]
pub(crate) enum Door {
    /// A network.
    Tcp(TcpListener),
    /// This machine, by a socket file, which goes with it.
    Unix(UnixListener, #[expect(dead_code, reason = "its drop removes the file")] SocketFile),
}

/// A connection.
enum Socket {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

/// A peer without an address. Nobody looks for it: who calls is then found out by credentials alone.
#[derive(Clone, Copy, Debug)]
struct Unknown;

/// Where connections are served until it is closed.
#[derive(Debug)]
pub(crate) struct Room {
    stop: CancellationToken,
    places: Arc<Semaphore>,
    connections_max: u32,
}

/// Whether only programs of this machine can reach this address.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Listens at `listen` and serves the engine, as [`bind_with`] with the default of everything else.
///
/// # Errors
/// As [`bind_with`].
pub async fn bind(engine: Engine, accounts: Arc<dyn Accounts>, listen: SocketAddr) -> Result<Server, BindError> {
    bind_with(engine, accounts, &ServerConfig { listen, ..ServerConfig::default() }).await
}

/// Listens and serves the engine. All tasks are the engine's.
///
/// # Errors
/// [`BindError`]: the address cannot be had, or the configuration means nothing.
pub async fn bind_with(
    engine: Engine,
    accounts: Arc<dyn Accounts>,
    config: &ServerConfig,
) -> Result<Server, BindError> {
    let (times, connections_max) = (Times::default(), engine.limits().connections_max);
    let tasks = engine.tasks().clone();
    let (router, app) = build(engine.clone(), accounts, config, times).await?;
    let listener = TcpListener::bind(config.listen).await?;
    let closed = app.auth.mode.closed().clone();
    let debug = match &config.debug_listen {
        Some(listen) => Some(debug::open(listen, &app, config.allocator, &tasks).await?),
        None => None,
    };
    let server = serve(listener, router, &tasks, connections_max, times, Arc::clone(&app.tally))?;
    if let Some(ceiling) = &config.ceiling {
        tasks.spawn(Kind::Pressure, pressure::watch(engine, ceiling.clone(), server.room.stop.clone()));
    }
    tasks.spawn(Kind::Sweep, sweep(Arc::clone(&app.auth), server.room.stop.clone()));
    tasks.spawn(Kind::Census, lookout::watch(app, server.room.stop.clone()));
    Ok(Server { closed, debug, ..server })
}

/// Serves `router` at `listener`, as tasks of `tasks`.
pub(crate) fn serve(
    listener: TcpListener,
    router: Router,
    tasks: &Tasks,
    connections_max: u32,
    times: Times,
    tally: Arc<Tally>,
) -> io::Result<Server> {
    let local_addr = listener.local_addr()?;
    let room = open(Door::Tcp(listener), router, tasks, connections_max, times, tally);
    Ok(Server { local_addr, closed: CancellationToken::new(), room, debug: None })
}

/// Serves `router` to whoever comes by `door`, as tasks of `tasks`.
pub(crate) fn open(
    door: Door,
    router: Router,
    tasks: &Tasks,
    connections_max: u32,
    times: Times,
    tally: Arc<Tally>,
) -> Room {
    let room = Room {
        stop: tasks.token().child_token(),
        places: Arc::new(Semaphore::new(connections_max as usize)),
        connections_max,
    };
    let (stop, places) = (room.stop.clone(), Arc::clone(&room.places));
    let shell = Shell { router, tasks: tasks.clone(), stop, room: places, times, tally };
    tasks.spawn(Kind::Listener, shell.accept(door));
    room
}

impl Room {
    async fn close(&self) {
        self.stop.cancel();
        let all = self.places.acquire_many(self.connections_max).await;
        drop(all.expect("never fails, because nobody closes this semaphore"));
    }
}

impl Door {
    async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(socket, peer)| Socket::Tcp(socket, peer)),
            Self::Unix(listener, _) => listener.accept().await.map(|(socket, _)| Socket::Unix(socket)),
        }
    }
}

impl Server {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Where its debug listener listens, if it has one.
    pub fn debug_listen(&self) -> Option<&DebugListen> {
        self.debug.as_ref().map(|(_, at)| at)
    }

    /// Whether everybody on this machine is an admin here, because there is none yet.
    pub fn is_open(&self) -> bool {
        !self.closed.is_cancelled()
    }

    /// Ends when that is over: the first admin exists.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    /// Stops listening, ends the event streams, lets requests in work finish for a few seconds, and cuts what is left. No connection
    /// is open when this returns.
    pub async fn close(&self) {
        self.room.close().await;
        if let Some((room, _)) = &self.debug {
            room.close().await;
        }
    }
}

/// What the listener's task needs.
struct Shell {
    router: Router,
    tasks: Tasks,
    stop: CancellationToken,
    room: Arc<Semaphore>,
    times: Times,
    tally: Arc<Tally>,
}

impl Shell {
    /// Accepts until the stop.
    async fn accept(self, door: Door) {
        let http = http(&self.times);
        let mut failing = false;
        loop {
            let next = async {
                let room = Arc::clone(&self.room).acquire_owned().await;
                let room = room.expect("never fails, because nobody closes this semaphore");
                (room, door.accept().await)
            };
            let (room, accepted) = tokio::select! {
                () = self.stop.cancelled() => return,
                next = next => next,
            };
            match accepted {
                Ok(socket) => {
                    failing = false;
                    match socket {
                        Socket::Tcp(socket, peer) => {
                            prepare(&socket, &self.times);
                            self.connect(&http, socket, Peer(peer), room);
                        }
                        Socket::Unix(socket) => self.connect(&http, socket, Unknown, room),
                    }
                }
                Err(error) => {
                    self.tally.accept_failed();
                    // Once a spell, not once an error: a process without file descriptors must not fill its log.
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!("connections cannot be accepted: {error}");
                    }
                    drop(room);
                    // EMFILE and the like do not pass by asking at once.
                    tokio::select! {
                        () = self.stop.cancelled() => return,
                        () = tokio::time::sleep(self.times.accept_pause) => {}
                    }
                }
            }
        }
    }

    /// Serves one connection. Each request of it carries `peer`.
    fn connect<S, P>(&self, http: &http1::Builder, socket: S, peer: P, room: OwnedSemaphorePermit)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        P: Clone + Send + Sync + 'static,
    {
        let io = TokioIo::new(Impatient::new(socket, self.times.stall));
        let service = TowerToHyperService::new(Extension(peer).layer(self.router.clone()));
        let connection = http.serve_connection(io, service);
        let (stop, drain, open) = (self.stop.clone(), self.times.drain, self.tally.accept());
        self.tasks.spawn(Kind::Connection, async move {
            let _held: (OwnedSemaphorePermit, Open) = (room, open);
            let mut connection = pin!(connection);
            tokio::select! {
                // A client that breaks off or breaks the protocol has been answered, if it could be; it is no event of ours.
                _ = connection.as_mut() => return,
                () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
            }
            // What is not done by then is cut: dropping the connection drops its handler or its stream.
            if tokio::time::timeout(drain, connection).await.is_err() {
                tracing::debug!("a connection was cut at the stop");
            }
        });
    }
}

fn http(times: &Times) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(times.head)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_BYTES_MAX)
        .max_buf_size(CONNECTION_BUFFER_BYTES)
        .half_close(false);
    http
}

/// Small writes leave at once, and a peer that vanished is noticed. Neither is needed for correctness, so a refusal of the
/// kernel is no reason to refuse the connection.
fn prepare(socket: &TcpStream, times: &Times) {
    let millis = u32::try_from(times.stall.as_millis()).unwrap_or(u32::MAX);
    let done = socket.set_nodelay(true).is_ok() && rustix::net::sockopt::set_tcp_user_timeout(socket, millis).is_ok();
    if !done {
        tracing::debug!("a socket refused an option");
    }
}

#[cfg(test)]
mod tests;
