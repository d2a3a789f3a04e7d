//! Each page, and what its forms do, as a browser without scripts.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::world::World;
use crate::accounts::PASSWORD;
use crate::client::{Answer, call};

const HTML: (&str, &str) = ("accept", "text/html");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Keeps cookies, and the token of the form that it was shown last.
#[derive(Default)]
struct Browser {
    cookies: BTreeMap<String, String>,
    token: String,
}

impl Browser {
    async fn get(&mut self, at: SocketAddr, path: &str) -> Answer {
        self.send(at, "GET", path, String::new()).await
    }

    async fn post(&mut self, at: SocketAddr, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("csrf_token", &self.token);
        form.extend_pairs(fields);
        self.send(at, "POST", path, form.finish()).await
    }

    async fn send(&mut self, at: SocketAddr, method: &str, path: &str, body: String) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![HTML, ("cookie", cookies.as_str())];
        if method == "POST" {
            headers.extend([FORM, ("origin", "http://localhost"), ("sec-fetch-site", "same-origin")]);
        }
        let answer = call(at, method, path, &headers, body).await;
        for set in answer.headers.get_all("set-cookie") {
            let (pair, flags) = set.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            if flags.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let page = String::from_utf8_lossy(&answer.body);
        if let Some((_, rest)) = page.split_once("name=\"csrf_token\" value=\"") {
            self.token = rest.split('"').next().unwrap_or_default().to_owned();
        }
        answer
    }
}

staunch_leak::alone! {
    fn ground_g8_no_page_keeps_anything() {
        let world = World::new(&[]);
        let at = world.bed.address();
        let style = world.block_on(async {
            let page = Browser::default().get(at, "/login").await;
            let page = String::from_utf8_lossy(&page.body).into_owned();
            page.split('"').find(|part| part.starts_with("/assets/")).unwrap().to_owned()
        });
        world.flat_at_once("pages for whoever comes", async || {
            let mut browser = Browser::default();
            for (path, status) in [
                ("/", 303),
                ("/login", 200),
                ("/login?next=%2Faccount", 200),
                ("/setup", 404),
                ("/nothing", 404),
                ("/account", 303),
                (style.as_str(), 200),
                ("/assets/nothing.css", 404),
            ] {
                let answer = browser.get(at, path).await;
                assert_eq!(answer.status, status, "{path}: {answer:?}");
            }
            let refused = browser.post(at, "/logout", &[]).await;
            assert_eq!(refused.status, 401, "{refused:?}");
            let forged = Browser { token: "A".repeat(38), ..Browser::default() }.post(at, "/login", &[]).await;
            assert_eq!(forged.status, 403, "{forged:?}");
        });
        world.flat("pages of a session, and its forms", async || {
            let mut browser = Browser::default();
            browser.get(at, "/login").await;
            let login = browser.post(at, "/login", &[("name", "root"), ("password", PASSWORD)]).await;
            assert_eq!(login.status, 303, "{login:?}");
            assert_eq!(browser.get(at, "/").await.status, 200);
            assert_eq!(browser.get(at, "/account?done=token").await.status, 200);
            let wrong = [("current_password", PASSWORD), ("new_password", "short")];
            assert_eq!(browser.post(at, "/account/password", &wrong).await.status, 422);
            let token = [("token_name", "t"), ("scope", "read"), ("days", "30"), ("token_password", PASSWORD)];
            let made = browser.post(at, "/account/tokens", &token).await;
            assert_eq!(made.status, 201, "{made:?}");
            let page = String::from_utf8_lossy(&made.body).into_owned();
            let id = page.split_once("name=\"id\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
            assert_eq!(browser.post(at, "/account/tokens/revoke", &[("id", &id)]).await.status, 303);
            let none = [("handle", "ses_00000000000000000000000000")];
            assert_eq!(browser.post(at, "/account/sessions/revoke", &none).await.status, 303);
            assert_eq!(browser.post(at, "/logout", &[]).await.status, 303);
        });
        world.close();
    }
}
