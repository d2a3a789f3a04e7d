//! A form that no page of another site can send, and nobody more than five times a minute: `cargo run -p axum-guarded`.
use std::{collections::HashMap, error::Error, io::Write, net::SocketAddr, sync::Arc, time::Duration};

use axum::extract::{ConnectInfo, Form, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::{Router, body::Bytes, routing::get};
use staunch_guard::csrf::{Caller, CsrfLayer, Origins, PreSession, SystemRandom};
use staunch_guard::{Clock, Limiter, Monotonic, Policy, PolicySet, Quota, RateLayer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Three hundred requests a minute for each client, of which five post.
    let all = Policy::new("all", Quota::new(300, Duration::from_secs(60))?);
    let limiter = Limiter::new(PolicySet::new(vec![all, Policy::login()])?)?;
    let rate = RateLayer::new(Arc::new(limiter)).peer(|extensions| Some(extensions.get::<ConnectInfo<_>>()?.0));

    // The origin is told by `Host` here. On the internet, say it: `Origins::new(["https://your.site"], [])`.
    let forms = Arc::new(PreSession::new(&SystemRandom)?);
    let csrf = CsrfLayer::new(Origins::new([], [])?, Arc::clone(&forms), now)
        .caller(|headers, _| Some(Caller::Session(cookie(headers).unwrap_or_default())));

    // From below: first the rate, then where a request comes from and whether it has the form's token.
    let app = Router::new().route("/", get(form).post(greet)).layer(csrf).layer(rate).with_state(forms);
    let address = std::env::args().nth(1);
    let listener = tokio::net::TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:8080")).await?;
    writeln!(std::io::stdout(), "listening on http://{}", listener.local_addr()?)?;
    Ok(axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await?)
}

/// The form, with a token that goes with the visitor's cookie; nothing is remembered of either.
async fn form(State(forms): State<Arc<PreSession>>, headers: HeaderMap) -> Result<impl IntoResponse, StatusCode> {
    let broken = |_| StatusCode::INTERNAL_SERVER_ERROR;
    let known = cookie(&headers).and_then(|cookie| String::from_utf8(cookie.into()).ok());
    let token = known.as_ref().map(|cookie| forms.token(cookie.as_bytes(), now(), &SystemRandom));
    let (cookie, token) = match (known, token.transpose().map_err(broken)?.flatten()) {
        (Some(cookie), Some(token)) => (cookie, token),
        _ => forms.issue(now(), &SystemRandom).map_err(broken)?,
    };
    let page = format!(
        "<!doctype html><title>Guarded</title><form method=post><input type=hidden name=csrf_token value={token}>\
         <label>Your name <input name=name></label> <button>Greet me</button></form>"
    );
    let cookie = format!("form={cookie}; HttpOnly; SameSite=Lax; Path=/");
    Ok(([(header::SET_COOKIE, cookie), (header::CACHE_CONTROL, "no-store".to_owned())], Html(page)))
}

async fn greet(Form(fields): Form<HashMap<String, String>>) -> String {
    format!("Hello, {}!\n", fields.get("name").map_or("you", String::as_str))
}

fn cookie(headers: &HeaderMap) -> Option<Bytes> {
    let pairs = headers.get_all(header::COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let value = pairs.map(<[u8]>::trim_ascii).find_map(|pair| pair.strip_prefix(b"form="))?;
    Some(Bytes::copy_from_slice(value))
}

fn now() -> u32 {
    (Monotonic::default().now() / 1_000_000_000) as u32
}
