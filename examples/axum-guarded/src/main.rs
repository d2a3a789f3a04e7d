//! A form that a page of another site cannot send, and that nobody can send more than five times a minute.
//!
//! `cargo run -p axum-guarded`, or with an address to listen at: `cargo run -p axum-guarded -- 127.0.0.1:0`.
#![expect(clippy::print_stdout, reason = "it says where it listens")]

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Form, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::{Router, routing::get};
use staunch_guard::csrf::{Caller, CsrfLayer, CsrfStore, Origins, StoreLimits};
use staunch_guard::{Limiter, Policy, PolicySet, Quota, RateLayer};

mod sessions;

struct App {
    sessions: sessions::Sessions,
    tokens: Arc<CsrfStore>,
    begun: Instant,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Three hundred requests a minute for each client, of which five post.
    let all = Policy::new("all", Quota::new(300, Duration::from_secs(60))?);
    let limiter = Limiter::new(PolicySet::new(vec![all, Policy::login()])?)?;
    let rate = RateLayer::new(Arc::new(limiter)).peer(|extensions| Some(extensions.get::<ConnectInfo<_>>()?.0));

    // Where the site is, is told by `Host` here. On the internet, say it: `Origins::new(["https://your.site"], [])`.
    let tokens = Arc::new(CsrfStore::new(StoreLimits::default())?);
    let app = Arc::new(App { sessions: sessions::Sessions::default(), tokens, begun: Instant::now() });
    let clock = Arc::clone(&app);
    let csrf = CsrfLayer::new(Origins::new([], [])?, Arc::clone(&app.tokens), move || clock.seconds());

    // From below: first the rate, then who it is, then where the request comes from and whether it has a token.
    let router = Router::new()
        .route("/", get(form).post(greet))
        .layer(csrf)
        .layer(from_fn_with_state(Arc::clone(&app), know))
        .layer(rate.clone())
        .with_state(Arc::clone(&app));
    let listener =
        tokio::net::TcpListener::bind(std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:8080")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let router = router.into_make_service_with_connect_info::<SocketAddr>();
    let mut timer = tokio::time::interval(Duration::from_secs(300));
    let sweeps = async {
        loop {
            timer.tick().await;
            // A courtesy: memory is bounded without it.
            rate.sweep(usize::MAX);
            app.tokens.sweep(app.seconds(), usize::MAX);
        }
    };
    tokio::select! {
        served = axum::serve(listener, router) => Ok(served?),
        never = sweeps => never,
    }
}

/// Tells the guard who calls. An application has its log-in for this; here whoever has seen the form has a session.
async fn know(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let session = app.sessions.of(request.headers());
    request.extensions_mut().insert(session.map_or(Caller::Anonymous, Caller::Session));
    next.run(request).await
}

async fn form(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, StatusCode> {
    let broken = StatusCode::INTERNAL_SERVER_ERROR;
    let session = app.sessions.of(&headers).or_else(|| app.sessions.open()).ok_or(broken)?;
    let token = app.tokens.current(&session, app.seconds()).map_err(|_| broken)?;
    let page = format!(
        "<!doctype html><title>Guarded</title><form method=post><input type=hidden name=csrf_token value={}>\
         <label>Your name <input name=name></label> <button>Greet me</button></form>",
        token.as_str()
    );
    let cookie = format!("session={}; HttpOnly; SameSite=Lax; Path=/", String::from_utf8_lossy(&session));
    Ok(([(header::SET_COOKIE, cookie), (header::CACHE_CONTROL, "no-store".to_owned())], Html(page)).into_response())
}

async fn greet(Form(fields): Form<HashMap<String, String>>) -> String {
    format!("Hello, {}!\n", fields.get("name").map_or("you", String::as_str))
}

impl App {
    fn seconds(&self) -> u32 {
        u32::try_from(self.begun.elapsed().as_secs()).unwrap_or(u32::MAX)
    }
}
