//! The first thing that is found out of a request: where it comes from, what it is charged, and who calls.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CACHE_CONTROL, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use staunch_guard::{Client, csrf};
use staunch_store::Fingerprint;

use super::Auth;
use super::access::{Need, Place, Row};
use super::caller::{Caller, Principal, SessionCaller, TokenCaller};
use super::cookie::find;
use super::known::Found;
use super::visitor::{Charged, Peer};
use super::{secret, token};
use crate::app::App;
use crate::problem::{Code, Refusal};
use crate::rate::{Charge, Payer, Rule};

/// What a request says of who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    Nothing,
    /// A session's cookie; `None` if it has not the form.
    Cookie(Option<Fingerprint>),
    /// A token; `None` if it has not the form.
    Bearer(Option<Fingerprint>),
}

/// What an answer tells of charges, and the one that its handler may keep.
#[derive(Debug, Default)]
struct Told {
    headers: HeaderMap,
    own: Option<Charge>,
}

impl Told {
    /// A charge that stays.
    fn add(&mut self, auth: &Auth, charge: &Charge) {
        auth.throttle.tell(charge, &mut self.headers);
    }

    /// Writes it into an answer.
    fn tell(&self, mut response: Response) -> Response {
        for (name, value) in &self.headers {
            response.headers_mut().append(name.clone(), value.clone());
        }
        response
    }
}

/// The middleware.
pub(crate) async fn pass(State(app): State<App>, request: Request, next: Next) -> Response {
    let auth = &app.auth;
    let (mut request, body) = request.into_parts();
    let place = auth.access.place(&request);
    let client = client(auth, &request);
    let mut told = Told::default();
    let found = match place {
        Place::Row(Row { need: Need::Nothing, .. }) => Ok(Caller::nobody()),
        _ => identify(auth, &request, place, client, &mut told).await,
    };
    let caller = match found.and_then(|caller| reads(auth, &request, &caller).map(|()| caller)) {
        Ok(caller) => caller,
        Err(refusal) => return told.tell(refusal.into_response()),
    };
    let known = !matches!(caller.principal, Principal::Nobody);
    let expired = caller.expired;
    let extensions = &mut request.extensions;
    extensions.insert(place);
    if let Some(client) = client {
        extensions.insert(client);
    }
    let charged = told.own.take().map(Charged::new);
    if let Some(charged) = &charged {
        extensions.insert(charged.clone());
    }
    extensions.insert(caller);
    let mut response = next.run(Request::from_parts(request, body)).await;
    if let Some(charge) = charged.and_then(|charged| charged.take()) {
        auth.throttle.refund(charge);
    }
    let headers = response.headers_mut();
    if known && !headers.contains_key(CACHE_CONTROL) {
        // What one caller may see is nobody else's, and not for a disk either.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if expired && !headers.contains_key(SET_COOKIE) {
        headers.append(SET_COOKIE, auth.cookies.no_session());
    }
    told.tell(response)
}

/// The client by the socket's peer, or by what a trusted proxy says.
fn client(auth: &Auth, request: &Parts) -> Option<Client> {
    let Peer(peer) = request.extensions.get::<Peer>()?;
    Some(auth.proxies.client(peer.ip(), &request.headers))
}

/// Charges and looks, cheap before dear: nobody is looked for in the store before it is paid for.
async fn identify(
    auth: &Auth,
    request: &Parts,
    place: Place,
    client: Option<Client>,
    told: &mut Told,
) -> Result<Caller, Refusal> {
    let (rule, fresh) = match place {
        Place::Row(row) => (row.rule, row.need == Need::Fresh),
        _ => (None, false),
    };
    let given = given(auth, &request.headers)?;
    if !matches!(given, Given::Bearer(_)) {
        // Before anything is charged, or a page of another site could spend the quotas of whoever looks at it, and of their whole
        // network. No browser sends a token by itself: whoever has one is asked again below, when it is known to be good.
        reads(auth, request, &Caller::nobody())?;
        if writes_from_elsewhere(auth, request) {
            return Ok(Caller::nobody());
        }
    }
    if given == Given::Nothing && is_here(request) && auth.mode.is_open(&*auth.accounts).await? {
        return Ok(Caller { principal: Principal::Local(auth.mode.closed().clone()), expired: false });
    }
    if let Some(rule) = rule {
        let charge = auth.throttle.charge(rule, Payer::Address(client))?;
        told.add(auth, &charge);
        told.own = Some(charge);
    }
    if fresh {
        return Ok(Caller::nobody());
    }
    let known = match given {
        Given::Nothing => None,
        Given::Cookie(key) => Some(by_cookie(auth, key, client, told).await?),
        Given::Bearer(key) => Some(by_token(auth, key, client, told).await?),
    };
    match known {
        Some(caller) => {
            // A cookie that stands for nothing was charged when it was looked for.
            if let Some(name) = account(&caller) {
                told.add(auth, &auth.throttle.charge(Rule::ApiToken, Payer::Name(&name))?);
            }
            Ok(caller)
        }
        None => {
            if !auth.mode.seems_open() {
                told.add(auth, &auth.throttle.charge(Rule::Api, Payer::Address(client))?);
            }
            Ok(Caller::nobody())
        }
    }
}

/// On whose account a known caller's requests go: a user's for all their sessions, and each token has its own, so that whoever has found
/// one cannot keep its owner from revoking it. What stands first tells the two kinds of ids apart.
fn account(caller: &Caller) -> Option<[u8; 17]> {
    let (kind, id) = match &caller.principal {
        Principal::Nobody | Principal::Local(_) => return None,
        Principal::Session(session) => (b'u', session.live.user.id.0),
        Principal::Token(token) => (b't', token.live.token.id.0),
    };
    let mut name = [kind; 17];
    name[1..].copy_from_slice(id.as_bytes());
    Some(name)
}

/// Whether the other end of the socket is on this machine.
fn is_here(request: &Parts) -> bool {
    request.extensions.get::<Peer>().is_some_and(|Peer(peer)| crate::serve::is_loopback(peer.ip()))
}

/// The token counts before the cookie. What is there twice is believed in neither.
fn given(auth: &Auth, headers: &HeaderMap) -> Result<Given, Refusal> {
    let twice = || Refusal::new(Code::DuplicateCredentials);
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let (first, second) = (lines.next(), lines.next());
    if second.is_some() {
        return Err(twice());
    }
    let cookie = find(headers, auth.cookies.session_name()).map_err(|_| twice())?;
    Ok(match (first, cookie) {
        (Some(line), _) => Given::Bearer(bearer(line).and_then(token::fingerprint)),
        (None, Some(id)) => Given::Cookie(secret::fingerprint(id)),
        (None, None) => Given::Nothing,
    })
}

fn bearer(line: &HeaderValue) -> Option<&str> {
    let (scheme, token) = line.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start())
}

async fn by_cookie(
    auth: &Auth,
    key: Option<Fingerprint>,
    client: Option<Client>,
    told: &mut Told,
) -> Result<Caller, Refusal> {
    let found = match key.map(|key| (key, auth.sessions.at_hand(key))) {
        Some((key, Found::Good(live, alive))) => Some(SessionCaller { key, live, alive }),
        Some((key, Found::Stale)) => auth.sessions.load(key, &*auth.accounts).await?,
        Some((key, Found::Missing)) => {
            let charge = auth.throttle.charge(Rule::Lookup, Payer::Address(client))?;
            let found = auth.sessions.load(key, &*auth.accounts).await;
            settle(auth, charge, !matches!(found, Ok(None)), client, told)?;
            found?
        }
        None => {
            told.add(auth, &auth.throttle.charge(Rule::Api, Payer::Address(client))?);
            None
        }
    };
    Ok(match found {
        Some(session) => Caller { principal: Principal::Session(session), expired: false },
        None => Caller { principal: Principal::Nobody, expired: true },
    })
}

async fn by_token(
    auth: &Auth,
    key: Option<Fingerprint>,
    client: Option<Client>,
    told: &mut Told,
) -> Result<Caller, Refusal> {
    let found = match key.map(|key| (key, auth.tokens.at_hand(key))) {
        Some((_, Found::Good(live, alive))) => Some(TokenCaller { live, alive }),
        Some((key, Found::Stale)) => auth.tokens.load(key, &*auth.accounts).await?,
        Some((key, Found::Missing)) => {
            let charge = auth.throttle.charge(Rule::Lookup, Payer::Address(client))?;
            let found = auth.tokens.load(key, &*auth.accounts).await;
            settle(auth, charge, !matches!(found, Ok(None)), client, told)?;
            found?
        }
        None => {
            told.add(auth, &auth.throttle.charge(Rule::Api, Payer::Address(client))?);
            None
        }
    };
    let token = found.ok_or_else(|| Refusal::new(Code::InvalidToken))?;
    Ok(Caller { principal: Principal::Token(token), expired: false })
}

/// Whoever turned out to be somebody pays as that, and whom the server could not look for has cost nothing; whoever is nobody has been
/// looked for, and pays as nobody too.
fn settle(auth: &Auth, charge: Charge, good: bool, client: Option<Client>, told: &mut Told) -> Result<(), Refusal> {
    if good {
        auth.throttle.refund(charge);
    } else {
        told.add(auth, &auth.throttle.charge(Rule::Api, Payer::Address(client))?);
    }
    Ok(())
}

/// A page of another site may link to a page of ours. Anything else of it that reads would embed our answers, time them, or hold our
/// streams; and a link into the API would issue CSRF tokens and press older ones out. What changes something is looked at by the CSRF
/// guard.
fn reads(auth: &Auth, request: &Parts, caller: &Caller) -> Result<(), Refusal> {
    let headers = &request.headers;
    let safe = matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let bearer = matches!(caller.principal, Principal::Token(_));
    let follows = || headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    let page = !request.uri.path().starts_with("/api/");
    if !safe || bearer || page && follows() {
        return Ok(());
    }
    auth.origins.check_read(headers).map_err(|reason| {
        auth.tally.read_refused();
        Refusal::of_guard(&reason.refusal())
    })
}

/// Whether the CSRF guard, which is next, will refuse this by its origin, whoever calls.
fn writes_from_elsewhere(auth: &Auth, request: &Parts) -> bool {
    let Parts { method, uri, headers, .. } = request;
    let safe = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    !safe && auth.origins.check(csrf::Head { method, uri, headers }, false, false).is_err()
}

/// As the CSRF guard has it.
pub(crate) fn as_csrf_has_it(caller: &Caller) -> csrf::Caller<Fingerprint> {
    match &caller.principal {
        Principal::Nobody | Principal::Local(_) => csrf::Caller::Anonymous,
        Principal::Session(session) => csrf::Caller::Session(session.key),
        Principal::Token(_) => csrf::Caller::Bearer,
    }
}
