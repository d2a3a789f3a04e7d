//! The pages, in a real browser, against the whole binary: what is seen, what is sent, and what other sites cannot do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::json;

use crate::bed::{Bed, Serving};
use crate::driver::Browser;

const PASSWORD: &str = "correct horse battery staple";

/// A server that was set up in a browser, where its admin is logged in.
fn set_up(bed: &Bed) -> (Serving, Browser) {
    set_up_at(bed, bed.serve(&[]))
}

/// As [`set_up`], of a server that was started otherwise than usual.
fn set_up_at(bed: &Bed, serving: Serving) -> (Serving, Browser) {
    let browser = Browser::start();
    browser.open(&link(bed));
    browser.until("the ticket is in the form", |browser| !value(browser, "#ticket").is_empty());
    browser.fill("#name", "ada");
    browser.fill("#password", PASSWORD);
    browser.submit("main button");
    assert_eq!(browser.url(), format!("{}/", serving.url), "{}", browser.text());
    (serving, browser)
}

/// The set-up link, as the server wrote it for whoever has a shell.
fn link(bed: &Bed) -> String {
    std::fs::read_to_string(bed.path("data").join("setup-link")).unwrap().trim().to_owned()
}

fn value(browser: &Browser, selector: &str) -> String {
    let script = format!("return document.querySelector('{selector}').value");
    browser.run(&script).as_str().unwrap_or_default().to_owned()
}

fn log_in(browser: &Browser, serving: &Serving, password: &str) {
    browser.open(&format!("{}/login", serving.url));
    browser.fill("#name", "ada");
    browser.fill("#password", password);
    browser.submit("main button");
}

/// What the session may see of its own account: whether the browser is logged in.
fn me(browser: &Browser) -> u64 {
    let script = "const r = new XMLHttpRequest(); r.open('GET', '/api/v1/me', false); r.send(); return r.status";
    browser.run(script).as_u64().unwrap()
}

/// Nothing on any page was refused by its own policy.
#[track_caller]
fn nothing_refused(browser: &Browser) {
    let refused: Vec<String> = browser
        .console()
        .into_iter()
        .filter(|line| line.contains("Content Security Policy") || line.contains("Trusted"))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

fn close(serving: Serving, browser: Browser) {
    browser.end();
    serving.stop();
}

#[test]
fn the_set_up_link_works_once_and_leaves_no_trace() {
    let bed = Bed::new();
    let serving = bed.serve(&[]);
    let browser = Browser::start();
    browser.open(&format!("{}/", serving.url));
    assert!(browser.text().contains("Open mode"), "{}", browser.text());
    let link = link(&bed);
    let ticket = link.split_once('#').unwrap().1.to_owned();
    browser.open(&link);
    browser.until("the module ran", |browser| !browser.url().contains('#'));
    assert_eq!(browser.url(), format!("{}/setup", serving.url));
    assert_eq!(value(&browser, "#ticket"), ticket);

    // A fault keeps what was typed, but for the password.
    browser.run("document.querySelectorAll('form').forEach(form => form.noValidate = true)");
    browser.fill("#name", "ada");
    browser.fill("#password", "short");
    browser.submit("main button");
    assert_eq!(browser.status(), 422, "{}", browser.text());
    assert_eq!(
        (value(&browser, "#ticket"), value(&browser, "#name"), value(&browser, "#password")),
        (ticket, "ada".into(), "".into())
    );
    assert_eq!(browser.run("return document.querySelectorAll('[role=alert]').length"), json!(1));

    browser.fill("#password", PASSWORD);
    browser.submit("main button");
    assert_eq!(browser.url(), format!("{}/", serving.url), "{}", browser.text());
    assert!(browser.text().contains("You are logged in as ada"), "{}", browser.text());
    assert_eq!(me(&browser), 200);
    let cookies = browser.cookies();
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    assert_eq!((cookies[0]["name"].as_str(), &cookies[0]["httpOnly"]), (Some("staunch_session"), &json!(true)));
    assert_eq!((&cookies[0]["sameSite"], &cookies[0]["path"]), (&json!("Lax"), &json!("/")));
    assert_eq!(browser.run("return document.cookie"), json!(""));

    // The link is dead, for this browser and for every other.
    browser.open(&link);
    assert_eq!(browser.status(), 404);
    browser.until("the file of the link is gone", |_| !bed.path("data").join("setup-link").exists());
    nothing_refused(&browser);
    // And it would have been seen.
    browser.run("document.body.setAttribute('style', 'color: red')");
    assert!(browser.console().iter().any(|line| line.contains("Content Security Policy")), "the console is heard");
    close(serving, browser);
}

#[test]
fn logging_in_is_refused_slowed_down_and_forgotten_at_the_end() {
    let bed = Bed::new();
    let mut command = bed.serving(&[]);
    // Of the usual quota one attempt comes back every twelve seconds, and on a busy machine five take a browser longer.
    command.env("STAUNCH_RATE_LOGIN", "5/1h");
    let (serving, browser) = set_up_at(&bed, Serving::of(command));
    browser.submit("header form button");
    assert_eq!(browser.url(), format!("{}/login", serving.url));
    assert!(browser.cookies().iter().all(|cookie| cookie["name"] != "staunch_session"), "{:?}", browser.cookies());

    // What was seen before is not seen again.
    browser.back();
    browser.until("the page came again", |browser| browser.run("return document.readyState") == json!("complete"));
    assert!(!browser.text().contains("ada"), "{}", browser.text());

    // A page that one must log in for leads there and back.
    browser.open(&format!("{}/account", serving.url));
    assert_eq!(browser.url(), format!("{}/login?next=%2Faccount", serving.url));
    browser.fill("#name", "ada");
    browser.fill("#password", PASSWORD);
    browser.submit("main button");
    assert_eq!(browser.url(), format!("{}/account", serving.url), "{}", browser.text());
    browser.submit("header form button");

    for attempt in 1..=5 {
        log_in(&browser, &serving, "not the password at all");
        assert_eq!(browser.status(), 401, "attempt {attempt}: {}", browser.text());
        assert_eq!((value(&browser, "#name"), value(&browser, "#password")), ("ada".to_owned(), String::new()));
    }
    log_in(&browser, &serving, PASSWORD);
    assert_eq!(browser.status(), 429, "{}", browser.text());
    assert!(browser.text().contains("Try again in "), "{}", browser.text());
    nothing_refused(&browser);
    close(serving, browser);
}

#[test]
fn twelve_tabs_of_one_session_all_have_good_forms() {
    let bed = Bed::new();
    let (serving, browser) = set_up(&bed);
    let account = format!("{}/account", serving.url);
    browser.open(&account);
    let mut tabs: Vec<String> = (0..12).map(|_| browser.tab()).collect();
    for tab in &tabs {
        browser.look_at(tab);
        browser.open(&account);
    }
    // The last one logs out.
    let last = tabs.pop().unwrap();
    for (n, tab) in tabs.iter().enumerate() {
        browser.look_at(tab);
        browser.fill("#token_name", &format!("token {n}"));
        browser.fill("#token_password", PASSWORD);
        browser.submit("form[action='/account/tokens'] button");
        assert_eq!(browser.status(), 201, "{}", browser.text());
        assert!(browser.text().contains("stn_"), "{}", browser.text());
    }
    browser.look_at(&last);
    browser.submit("header form button");
    assert_eq!(browser.url(), format!("{}/login", serving.url));
    nothing_refused(&browser);
    close(serving, browser);
}

#[test]
fn other_origins_change_nothing() {
    let bed = Bed::new();
    let (serving, browser) = set_up(&bed);
    let evil = Evil::start(&serving.url);
    let port = serving.url.rsplit_once(':').unwrap().1.to_owned();
    let by_name = format!("http://localhost:{port}");
    // From another port of the same host, which browsers call the same site; from the other name of this machine; and from both into a
    // form that is posted to that other name.
    for (page, target) in [
        (format!("{}/form?", evil.url), &serving.url),
        (format!("{}/form?", evil.by_name), &serving.url),
        (format!("{}/form?", evil.url), &by_name),
    ] {
        for path in ["/logout", "/login", "/api/v1/logout", "/account/sessions/revoke"] {
            browser.open(&format!("{page}{target}{path}"));
            browser.submit("button");
            assert_eq!(browser.status(), 403, "{page}{target}{path}: {}", browser.text());
            browser.open(&format!("{}/", serving.url));
            assert_eq!(me(&browser), 200, "the session lives after {page}{target}{path}");
        }
    }
    // A sandboxed frame has no origin. Its answer is not readable from outside, so the server's word counts.
    browser.open(&format!("{}/frame?{}/logout", evil.url, serving.url));
    browser.enter_frame();
    browser.submit("button");
    browser.open(&format!("{}/", serving.url));
    assert_eq!(me(&browser), 200, "the session lives after the frame");
    // The page of this server is not framed at all.
    browser.open(&format!("{}/framing?{}/", evil.url, serving.url));
    browser.enter_frame();
    assert!(!browser.text().contains("ada"), "{}", browser.text());
    evil.end();
    close(serving, browser);
}

/// Before there is an admin whoever is on this machine is one, and so is a browser that other sites send to us.
#[test]
fn in_open_mode_other_origins_start_nothing() {
    let bed = Bed::new();
    bed.workflow("touch.yaml", "steps: [{ id: touch, run: 'true' }]\n");
    let serving = bed.serve(&[]);
    let browser = Browser::start();
    let evil = Evil::start(&serving.url);
    let by_name = serving.url.replace("127.0.0.1", "localhost");
    for (page, target) in
        [(&evil.url, &serving.url), (&evil.by_name, &serving.url), (&evil.url, &by_name), (&evil.by_name, &by_name)]
    {
        for path in ["/api/v1/workflows/touch/runs", "/setup", "/api/v1/users"] {
            browser.open(&format!("{page}/form?{target}{path}"));
            browser.submit("button");
            assert_eq!(browser.status(), 403, "{page} {target}{path}: {}", browser.text());
        }
        browser.open(&format!("{page}/frame?{target}/api/v1/workflows/touch/runs"));
        browser.enter_frame();
        browser.submit("button");
    }
    assert_eq!(
        serving.run(&bed, &["runs", "--json", "--server", &serving.url]).exits(0).out.matches("run_").count(),
        0
    );
    browser.open(&format!("{}/", serving.url));
    assert!(browser.text().contains("Open mode"), "nobody was made: {}", browser.text());
    evil.end();
    close(serving, browser);
}

/// A second server, which shows forms that are sent to the first.
struct Evil {
    url: String,
    by_name: String,
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Evil {
    fn start(victim: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let over = Arc::new(AtomicBool::new(false));
        let (ended, victim) = (Arc::clone(&over), victim.to_owned());
        let thread = thread::spawn(move || {
            for socket in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let _gone = answer(socket.unwrap(), &victim);
            }
        });
        Self { url: format!("http://127.0.0.1:{port}"), by_name: format!("http://localhost:{port}"), over, thread }
    }

    fn end(self) {
        self.over.store(true, Ordering::Relaxed);
        // Wakes it, so that it sees the flag.
        let _woken = TcpStream::connect(self.url.trim_start_matches("http://"));
        self.thread.join().unwrap();
    }
}

fn answer(mut socket: TcpStream, victim: &str) -> std::io::Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut lines = BufReader::new(socket.try_clone()?.take(16 << 10)).lines();
    let line = lines.next().unwrap_or(Ok(String::new()))?;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let target = line.split(' ').nth(1).unwrap_or("/");
    let (path, target) = target.split_once('?').unwrap_or((target, victim));
    let form = format!(
        "<form method=post action='{target}'><input name=name value=ada><input name=password value='{PASSWORD}'>\
         <input name=csrf_token value=AAAA><button>Win</button></form>"
    );
    let body = match path {
        "/frame" => format!("<iframe sandbox='allow-forms allow-scripts' srcdoc=\"{form}\"></iframe>"),
        "/framing" => format!("<iframe src='{target}'></iframe>"),
        _ => form,
    };
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close";
    write!(socket, "{head}\r\nContent-Length: {}\r\n\r\n<!doctype html>{body}", body.len() + 15)
}

/// What must hold of each page at each width: nothing sticks out, all that is filled in has a label, all that is pressed can be hit
/// (WCAG 2.2: 1.4.10, 3.3.2, 2.5.8), and what is read stands out from its ground (1.4.3).
const LOOKS: &str = "
    const faults = [];
    if (document.documentElement.scrollWidth > window.innerWidth) faults.push('wider than the window');
    for (const field of document.querySelectorAll('input:not([type=hidden], [hidden]), select')) {
        if (field.labels.length !== 1 || !field.labels[0].innerText.trim()) faults.push('no label: ' + field.name);
        if (field.matches('input') && !field.autocomplete) faults.push('no autocomplete: ' + field.name);
    }
    for (const button of document.querySelectorAll('button, input:not([type=hidden], [hidden]), select, nav a, .links a')) {
        const { width, height } = button.getBoundingClientRect();
        if (width < 24 || height < 24) faults.push('too small: ' + button.outerHTML);
    }
    const parts = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => {
        const of = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
        return 0.2126 * of(r) + 0.7152 * of(g) + 0.0722 * of(b);
    };
    const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const [r, g, b, a = 1] = parts(getComputedStyle(at).backgroundColor);
            if (a > 0) return [r, g, b];
        }
        return [255, 255, 255];
    };
    for (const element of document.querySelectorAll('body *')) {
        const says = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!says || !element.checkVisibility()) continue;
        const [one, two] = [light(parts(getComputedStyle(element).color)), light(ground(element))].sort((a, b) => b - a);
        const contrast = (one + 0.05) / (two + 0.05);
        if (contrast < 4.5) faults.push(contrast.toFixed(2) + ' is too little contrast: ' + element.outerHTML);
    }
    if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1');
    return faults;
";

/// Pictures for people go into the directory that `STAUNCH_TEST_PICTURES` names, if it names one.
#[test]
fn each_page_can_be_read_and_used_on_a_wide_and_a_narrow_screen_by_day_and_by_night() {
    let directory = std::env::var_os("STAUNCH_TEST_PICTURES").map(PathBuf::from);
    let bed = Bed::new();
    bed.workflow("hello.yaml", "description: says hello\nsteps: [{ id: hello, run: echo hello }]\n");
    let serving = bed.serve(&[]);
    let browser = Browser::start();
    let look = |name: &str| {
        for (width, theme) in [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")] {
            browser.screen(width, 800, theme);
            let faults = browser.run(LOOKS);
            assert_eq!(faults, json!([]), "{name}, {width}, {theme}");
            if let Some(directory) = &directory {
                std::fs::write(directory.join(format!("{name}-{width}-{theme}.png.base64")), browser.picture())
                    .unwrap();
            }
        }
    };
    let open = |path: &str| browser.open(&format!("{}{path}", serving.url));
    serving.run(&bed, &["run", "hello", "--server", &serving.url]).exits(0);
    open("/");
    look("open");
    open("/nothing");
    look("nothing");
    browser.open(&link(&bed));
    look("setup");
    browser.fill("#name", "a b");
    browser.fill("#password", PASSWORD);
    browser.submit("main button");
    look("setup-again");
    browser.fill("#name", "ada");
    browser.fill("#password", PASSWORD);
    browser.submit("main button");
    look("home");
    open("/account");
    browser.fill("#token_name", "nightly");
    browser.fill("#token_password", PASSWORD);
    browser.submit("form[action='/account/tokens'] button");
    look("account");
    open("/setup");
    look("done");
    open("/");
    browser.submit("header form button");
    look("login");
    log_in(&browser, &serving, "not the password at all");
    look("login-again");
    nothing_refused(&browser);
    // And a fault would have been seen.
    browser.run("document.querySelector('h1').style.color = getComputedStyle(document.body).backgroundColor");
    assert!(browser.run(LOOKS)[0].as_str().is_some_and(|fault| fault.starts_with("1.00 is too little")));
    close(serving, browser);
}
