//! The pages, as a browser without scripts asks for them.

use std::collections::BTreeMap;

use staunch_engine::Limits;
use staunch_server::{Rates, ServerConfig, open_setup};

use crate::bed::Bed;
use crate::client::{Answer, call};

const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const PASSWORD: &str = "correct horse battery staple";

/// A browser without scripts: it keeps cookies, follows nothing, and fills in the forms that it was shown.
struct Plain<'a> {
    bed: &'a Bed,
    cookies: BTreeMap<String, String>,
    page: String,
}

impl<'a> Plain<'a> {
    fn new(bed: &'a Bed) -> Self {
        Self { bed, cookies: BTreeMap::new(), page: String::new() }
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, String::new()).await
    }

    /// Sends a form with the token of the page that was shown last.
    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token();
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("csrf_token", &token);
        form.extend_pairs(fields);
        self.send("POST", path, form.finish()).await
    }

    /// As [`Plain::post`], from a page that is looked at first.
    async fn post_from(&mut self, page: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.get(page).await;
        self.post(path, fields).await
    }

    fn token(&self) -> String {
        let rest = self.page.split_once("name=\"csrf_token\" value=\"").map_or("", |(_, rest)| rest);
        rest.split('"').next().unwrap_or_default().to_owned()
    }

    async fn send(&mut self, method: &str, path: &str, body: String) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![HTML, ("cookie", cookies.as_str())];
        if method == "POST" {
            headers.extend([FORM, ("origin", "http://localhost"), ("sec-fetch-site", "same-origin")]);
        }
        let answer = call(self.bed.address(), method, path, &headers, body).await;
        for set in answer.headers.get_all("set-cookie") {
            let (pair, flags) = set.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            assert!(
                flags.contains("HttpOnly") && flags.contains("SameSite=Lax") && flags.contains("Path=/"),
                "{flags}"
            );
            if flags.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        self.page = String::from_utf8_lossy(&answer.body).into_owned();
        is_ours(&answer);
        answer
    }
}

/// What holds of every page, whatever its status.
#[track_caller]
fn is_ours(answer: &Answer) {
    assert_eq!(answer.header("cache-control"), "no-store", "{answer:?}");
    let policy = answer.header("content-security-policy");
    for part in
        ["default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    if answer.header("content-type").starts_with("text/html") {
        let text = String::from_utf8_lossy(&answer.body);
        // No code and no style in the page itself: the policy would not run them.
        assert!(!text.contains("<style") && !text.contains(" style=") && !text.contains(" onclick="), "{text}");
        assert!(!text.contains("<script>") && text.contains("<html lang=\"en\">"), "{text}");
    }
}

fn shows(answer: &Answer, status: u16, text: &str) {
    let page = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, status, "{page}");
    assert!(page.contains(text), "{text:?} is not in {page}");
}

fn leads_to(answer: &Answer, place: &str) {
    assert_eq!((answer.status, answer.header("location")), (303, place), "{answer:?}");
}

#[tokio::test]
async fn assets_stay_for_ever_and_are_found_by_the_page() {
    let bed = Bed::new(&[]).await;
    let page = bed.get("/").await;
    let page = String::from_utf8_lossy(&page.body).into_owned();
    let paths: Vec<&str> = page.split('"').filter(|part| part.starts_with("/assets/")).collect();
    assert!(paths.len() >= 3, "{page}");
    for path in paths {
        let asset = bed.get(path).await;
        assert_eq!(asset.status, 200, "{path}");
        assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(asset.header("x-content-type-options"), "nosniff");
        let kind = match path.rsplit_once('.').unwrap().1 {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(asset.header("content-type"), kind);
        let again = call(bed.address(), "GET", path, &[("if-none-match", asset.header("etag"))], "").await;
        assert_eq!((again.status, again.body.len()), (304, 0));
    }
    for path in ["/assets/staunch.css", "/assets/staunch-0000000000000000.css", "/assets/../Cargo.toml", "/assets/"] {
        assert_eq!(bed.get(path).await.status, 404, "{path}");
    }
    bed.close().await;
}

#[tokio::test]
async fn people_get_pages_and_programs_get_problems() {
    let bed = Bed::new(&[]).await;
    let page = call(bed.address(), "GET", "/nothing", &[HTML], "").await;
    shows(&page, 404, "There is nothing at this path");
    shows(&page, 404, "not_found");
    shows(&page, 404, page.header("x-request-id"));
    is_ours(&page);
    bed.get("/nothing").await.problem(404, "not_found");
    // Nothing under /api is a page, whoever asks.
    call(bed.address(), "GET", "/api/v1/nothing", &[HTML], "").await.problem(404, "not_found");
    let put = call(bed.address(), "PUT", "/setup", &[HTML], "").await;
    shows(&put, 405, "method_not_allowed");
    bed.close().await;
}

/// Sets the server up as a person does.
async fn set_up<'a>(bed: &'a Bed) -> Plain<'a> {
    let ticket = open_setup(&*bed.accounts).await.unwrap().unwrap();
    let mut browser = Plain::new(bed);
    shows(&browser.get("/setup").await, 200, "Set up this server");
    let fields = [("ticket", ticket.fragment()), ("name", "ada"), ("password", PASSWORD)];
    leads_to(&browser.post("/setup", &fields).await, "/");
    browser
}

#[tokio::test]
async fn setting_up_keeps_what_was_typed_and_works_once() {
    let bed = Bed::new(&[]).await;
    let ticket = open_setup(&*bed.accounts).await.unwrap().unwrap();
    let mut browser = Plain::new(&bed);
    let home = browser.get("/").await;
    shows(&home, 200, "Open mode");
    leads_to(&browser.get("/login").await, "/");
    let setup = browser.get("/setup").await;
    for part in ["autocomplete=\"username\"", "autocomplete=\"new-password\"", "<label for=\"ticket\">", "setup-"] {
        shows(&setup, 200, part);
    }
    assert_eq!(browser.cookies.len(), 1, "the form's");

    let fields = |ticket, name, password| [("ticket", ticket), ("name", name), ("password", password)];
    let short = browser.post("/setup", &fields(ticket.fragment(), "ada", "too short")).await;
    shows(&short, 422, "role=\"alert\"");
    shows(&short, 422, &format!("value=\"{}\"", ticket.fragment()));
    shows(&short, 422, "value=\"ada\"");
    assert!(!browser.page.contains("too short\""), "a password never comes back");
    shows(&browser.post("/setup", &fields(ticket.fragment(), "<a b>", PASSWORD)).await, 422, "value=\"&lt;a b&gt;\"");
    let wrong = "A".repeat(43);
    shows(&browser.post("/setup", &fields(&wrong, "ada", PASSWORD)).await, 403, "href=\"#ticket\"");
    // Without the form's cookie, or with another page's token, nothing is made.
    let mut stranger = Plain::new(&bed);
    stranger.page = browser.page.clone();
    shows(&stranger.post("/setup", &fields(ticket.fragment(), "eve", PASSWORD)).await, 403, "csrf_token_missing");

    // A whole link that was pasted is as good as its end.
    let link = format!("http://localhost/setup#{}\n", ticket.fragment());
    leads_to(&browser.post("/setup", &fields(&link, "ada", PASSWORD)).await, "/");
    assert_eq!(browser.cookies.keys().map(String::as_str).collect::<Vec<_>>(), ["staunch_session"]);
    shows(&browser.get("/").await, 200, "You are logged in as <strong>ada</strong>, admin");
    shows(&browser.get("/setup").await, 404, "This server is set up");
    let mut second = Plain::new(&bed);
    second.page = stranger.page;
    second.cookies = stranger.cookies;
    shows(&second.post("/setup", &fields(ticket.fragment(), "eve", PASSWORD)).await, 403, "This ticket is not good");
    bed.close().await;
}

#[tokio::test]
async fn logging_in_leads_to_where_one_wanted_and_nowhere_else() {
    let bed = Bed::configured(&[], Limits::default(), patient()).await;
    let mut browser = set_up(&bed).await;
    leads_to(&browser.get("/login?next=/account").await, "/account");
    leads_to(&browser.post_from("/", "/logout", &[]).await, "/login");
    assert!(browser.cookies.is_empty(), "{:?}", browser.cookies);
    leads_to(&browser.get("/account?done=token").await, "/login?next=%2Faccount%3Fdone%3Dtoken");
    leads_to(&browser.get("/").await, "/login");

    let page = browser.get("/login?next=%2Faccount").await;
    let help = "staunch user change NAME --password";
    for part in ["value=\"/account\"", "autocomplete=\"current-password\"", "autocomplete=\"username\"", help] {
        shows(&page, 200, part);
    }
    let wrong = [("name", "ada"), ("password", "wrong wrong wrong"), ("next", "/account")];
    let refused = browser.post("/login", &wrong).await;
    shows(&refused, 401, "The name or the password is wrong.");
    shows(&refused, 401, "value=\"ada\"");
    shows(&refused, 401, "value=\"/account\"");
    assert!(!browser.page.contains("wrong wrong wrong"));
    // Who there is not gets the same page.
    let nobody =
        browser.post("/login", &[("name", "ada"), ("password", "other other other"), ("next", "/account")]).await;
    assert_eq!((nobody.status, nobody.body.len()), (401, refused.body.len()));

    for (next, place) in [
        ("/account", "/account"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("https:", "/"),
        ("/\t/evil.example", "/"),
        ("", "/"),
    ] {
        browser
            .get(&format!("/login?next={}", form_urlencoded::byte_serialize(next.as_bytes()).collect::<String>()))
            .await;
        assert!(browser.page.contains(&format!("name=\"next\" value=\"{place}\"")), "{next:?}: {}", browser.page);
        let fields = [("name", "ADA"), ("password", PASSWORD), ("next", next)];
        leads_to(&browser.post("/login", &fields).await, place);
        leads_to(&browser.post_from("/", "/logout", &[]).await, "/login");
    }
    bed.close().await;
}

#[tokio::test]
async fn the_sixth_login_is_told_when_to_come_again() {
    // Of the usual quota one attempt comes back every twelve seconds, and on a busy machine five take longer.
    let rates = Rates { login: "5/1h".parse().unwrap(), ..Rates::default() };
    let bed = Bed::configured(&[], Limits::default(), ServerConfig { rates, ..ServerConfig::default() }).await;
    let mut browser = set_up(&bed).await;
    leads_to(&browser.post_from("/", "/logout", &[]).await, "/login");
    browser.get("/login").await;
    for _ in 0..5 {
        shows(&browser.post("/login", &[("name", "ada"), ("password", "x")]).await, 401, "role=\"alert\"");
    }
    let sixth = browser.post("/login", &[("name", "ada"), ("password", PASSWORD)]).await;
    shows(&sixth, 429, "Try again in ");
    shows(&sixth, 429, "quota_exceeded");
    assert!(sixth.header("retry-after").parse::<u64>().unwrap() >= 1);
    bed.close().await;
}

#[tokio::test]
async fn a_form_without_its_token_changes_nothing() {
    let bed = Bed::new(&[]).await;
    let mut browser = set_up(&bed).await;
    for path in
        ["/logout", "/account/password", "/account/sessions/revoke", "/account/tokens", "/account/tokens/revoke"]
    {
        browser.page = String::new();
        shows(&browser.post(path, &[]).await, 403, "csrf_token_");
        assert_eq!(browser.get("/api/v1/me").await.status, 200);
    }
    // The login form of one browser is worth nothing in another.
    leads_to(&browser.post_from("/", "/logout", &[]).await, "/login");
    browser.get("/login").await;
    let mut other = Plain::new(&bed);
    other.get("/login").await;
    other.page = browser.page.clone();
    let refused = other.post("/login", &[("name", "ada"), ("password", PASSWORD)]).await;
    shows(&refused, 403, "csrf_token_invalid");
    shows(&refused, 403, "value=\"ada\"");
    // What is shown again is good.
    leads_to(&other.post("/login", &[("name", "ada"), ("password", PASSWORD)]).await, "/");
    bed.close().await;
}

#[tokio::test]
async fn one_sees_to_one_s_own_account() {
    let bed = Bed::configured(&[], Limits::default(), patient()).await;
    let mut here = set_up(&bed).await;
    let mut there = Plain::new(&bed);
    there.get("/login").await;
    leads_to(&there.post("/login", &[("name", "ada"), ("password", PASSWORD)]).await, "/");

    // A token, shown once, and revoked.
    shows(&here.get("/account").await, 200, "this one");
    let token = [("token_name", "nightly"), ("scope", "run"), ("days", "90"), ("token_password", PASSWORD)];
    let wrong = [("token_name", "nightly"), ("scope", "run"), ("days", "90"), ("token_password", "not it, not it")];
    let refused = here.post("/account/tokens", &wrong).await;
    shows(&refused, 403, "href=\"#token_password\"");
    shows(&refused, 403, "value=\"nightly\"");
    let made = here.post("/account/tokens", &token).await;
    shows(&made, 201, "It is shown this once");
    let text = here.page.split("class=\"secret\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let bearer = format!("Bearer {text}");
    assert_eq!(call(bed.address(), "GET", "/api/v1/me", &[("authorization", &bearer)], "").await.status, 200);
    let listed = here.get("/account").await;
    shows(&listed, 200, "nightly");
    assert!(!here.page.contains(&text), "it is shown once");
    let id = here.page.split("name=\"id\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    leads_to(&here.post("/account/tokens/revoke", &[("id", &id)]).await, "/account?done=token");
    assert_eq!(call(bed.address(), "GET", "/api/v1/me", &[("authorization", &bearer)], "").await.status, 401);

    // The other browser is logged out from here.
    here.get("/account").await;
    let handle = here.page.split("name=\"handle\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    leads_to(&here.post("/account/sessions/revoke", &[("handle", &handle)]).await, "/account?done=sessions");
    shows(&here.get("/account?done=sessions").await, 200, "You are logged out there.");
    leads_to(&there.get("/").await, "/login");
    assert!(there.cookies.is_empty(), "{:?}", there.cookies);

    // Another password: this browser stays, with another cookie.
    let before = here.cookies.clone();
    let short = [("current_password", PASSWORD), ("new_password", "short")];
    shows(&here.post_from("/account", "/account/password", &short).await, 422, "href=\"#new_password\"");
    let change = [("current_password", PASSWORD), ("new_password", "another battery staple horse")];
    leads_to(&here.post("/account/password", &change).await, "/account?done=password");
    assert_ne!(here.cookies, before);
    shows(&here.get("/account?done=password").await, 200, "The password is changed.");
    bed.close().await;
}

/// Quotas that a test does not use up.
fn patient() -> ServerConfig {
    let many = "1000/1m".parse().unwrap();
    ServerConfig {
        rates: Rates { login: many, account: many, register: many, password: many, ..Rates::default() },
        ..ServerConfig::default()
    }
}
