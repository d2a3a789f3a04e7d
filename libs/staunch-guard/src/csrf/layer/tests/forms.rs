//! Tokens in the fields of forms: bounds, budget, and what reaches the server behind.

use super::*;

/// Trap 32: the body reaches the server byte for byte, with its trailers, in whatever chunks it came.
#[test]
fn a_urlencoded_form_is_verified_and_reaches_the_server_whole() {
    let bench = Bench::new();
    let form = format!("a=1&csrf_token={}&b={}", bench.token().as_str(), "x".repeat(1000));
    let trailers = HeaderMap::from_iter([(HeaderName::from_static("x-sum"), "7".parse().unwrap())]);
    for size in [1, 2, 43, 500, 5000] {
        for with in [false, true] {
            let mut body = Chunks::new(form.as_bytes(), size);
            if with {
                body = body.trailers(trailers.clone());
            }
            let request = post().header("content-type", format!("{URLENCODED}; charset=utf-8")).body(body).unwrap();
            assert_eq!(bench.outcome(request), OK);
            let (seen, seen_trailers) = bench.record.bodies.lock().unwrap().pop().unwrap();
            assert_eq!((seen, seen_trailers), (form.clone().into_bytes(), with.then(|| trailers.clone())));
        }
    }
    assert_eq!(bench.layer.forms().used(), 0);
    for (form, expected) in [
        ("a=1", MISSING),
        ("", MISSING),
        ("csrf_token=", MISSING),
        ("csrf_token=short", MALFORMED),
        (&format!("csrf_token={}", "A".repeat(43)), INVALID),
        (&format!("{form}&csrf_token=x"), (403, "csrf_token_repeated")),
        (&format!("{form}&csrf_token={}", bench.token().as_str()), (403, "csrf_token_repeated")),
    ] {
        assert_eq!(bench.post(|post| post.header("content-type", URLENCODED), form), expected, "{form}");
    }
}

/// The cap below, at and over, said beforehand and not; and what is read of a form that is too large.
#[test]
fn a_urlencoded_form_below_at_and_over_its_bound() {
    let bench = Bench::new().with(|layer| layer.form_bytes_max(200));
    let token = bench.token();
    for (length, expected) in
        [(199, OK), (200, OK), (201, (403, "csrf_form_too_large")), (1000, (403, "csrf_form_too_large"))]
    {
        let mut form = format!("csrf_token={}&b=", token.as_str());
        form += &"x".repeat(length - form.len());
        for said in [false, true] {
            let body = Chunks::new(form.as_bytes(), 50);
            let taken = Arc::clone(&body.taken);
            let mut request = post().header("content-type", URLENCODED);
            if said {
                request = request.header("content-length", length);
            }
            assert_eq!(bench.outcome(request.body(body).unwrap()), expected, "{length}");
            let most = if expected == OK {
                200
            } else if said {
                0
            } else {
                250
            };
            assert!(taken.load(Ordering::Relaxed) <= most);
        }
        // With the header the form may be of any size: nobody reads it here.
        assert_eq!(bench.post(|post| post.header("x-csrf-token", token.as_str()), &form), OK);
    }
    assert_eq!(bench.layer.forms().used(), 0);
}

fn multipart(fields: &[(&str, &str)]) -> String {
    let part = |(name, value): &(&str, &str)| {
        format!("--border\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    fields.iter().map(part).collect::<String>() + "--border--\r\n"
}

#[test]
fn the_first_part_of_a_multipart_form_is_verified_and_no_more_is_read() {
    let bench = Bench::new();
    let token = bench.token();
    let file = "x".repeat(100_000);
    let form = multipart(&[("csrf_token", token.as_str()), ("file", &file)]);
    for size in [1, 10, 1000, 200_000] {
        let body = Chunks::new(form.as_bytes(), size);
        assert_eq!(bench.outcome(post().header("content-type", MULTIPART).body(body).unwrap()), OK);
        let (seen, _) = bench.record.bodies.lock().unwrap().pop().unwrap();
        assert!(seen == form.as_bytes(), "chunks of {size}");
    }
    assert!(bench.layer.forms().peak() <= 200_000);
    for (fields, expected) in [
        (&[("csrf_token", "A")][..], MALFORMED),
        (&[("csrf_token", "")], MISSING),
        (&[("csrf_token", &"A".repeat(43))], INVALID),
        (&[("other", "1"), ("csrf_token", token.as_str())], MISSING),
        (&[], MISSING),
        (&[("csrf_token", &file)], (403, "csrf_form_too_large")),
    ] {
        let body = Chunks::new(multipart(fields).as_bytes(), 100);
        let taken = Arc::clone(&body.taken);
        assert_eq!(bench.outcome(post().header("content-type", MULTIPART).body(body).unwrap()), expected);
        assert!(taken.load(Ordering::Relaxed) <= 4200);
    }
    // Cut off before the token's end.
    assert_eq!(bench.post(|post| post.header("content-type", MULTIPART), &form[..80]), MISSING);
}

/// Forms are charged while they are read and until the server is done with them; no room is 503, and paid back it is again.
#[test]
fn forms_are_read_under_a_budget() {
    let budget = Budget::root("forms", 100);
    let bench = Bench::new().with(|layer| layer.forms_budget(Arc::clone(&budget)));
    let form = format!("csrf_token={}", bench.token().as_str());
    let send = || bench.post(|post| post.header("content-type", URLENCODED), &form);
    assert_eq!((send(), budget.used(), budget.peak()), (OK, 0, form.len() as u64));
    let other = budget.try_reserve(100 - form.len() as u64).unwrap();
    assert_eq!(send(), OK);
    let one_more = budget.try_reserve(1).unwrap();
    assert_eq!(send(), (503, "csrf_forms_full"));
    drop((other, one_more));
    assert_eq!((send(), budget.used()), (OK, 0));
}

/// What was read of a form is paid for as long as the server behind holds it, whether or not it has taken it out of the body.
#[test]
fn a_form_is_paid_for_while_the_server_behind_holds_it() {
    let bench = Bench::new();
    let form = format!("csrf_token={}", bench.token().as_str());
    let forms = Arc::clone(bench.layer.forms());
    let server = tower::service_fn(move |request: Request<Replay<Chunks>>| {
        let forms = Arc::clone(&forms);
        async move {
            let mut body = request.into_body();
            let held = forms.used();
            while let Some(frame) = body.frame().await {
                drop(frame.unwrap());
            }
            let read = forms.used();
            drop(body);
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(format!("{held} {read} {}", forms.used()))))
        }
    });
    for content in [URLENCODED, MULTIPART] {
        let form = if content == URLENCODED {
            form.clone()
        } else {
            multipart(&[("csrf_token", &form["csrf_token=".len()..])])
        };
        // One chunk: all of it is read for its token.
        let request = post().header("content-type", content).body(Chunks::new(form.as_bytes(), 1000)).unwrap();
        let answer = block_on(bench.layer.layer(server.clone()).oneshot(request)).unwrap();
        let told = block_on(answer.into_body().collect()).unwrap().to_bytes();
        assert_eq!(told, format!("{0} {0} 0", form.len()), "{content}");
    }
}
