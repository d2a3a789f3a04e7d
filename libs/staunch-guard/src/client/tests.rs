use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn client(proxies: &Proxies, peer: &str, name: &'static str, lines: &[&str]) -> String {
    let mut headers = HeaderMap::new();
    for line in lines {
        let value = HeaderValue::from_bytes(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"));
        headers.append(HeaderName::from_static(name), value);
    }
    proxies.client(address(peer), &headers).address().to_string()
}

fn trusting(by: ForwardedBy) -> Proxies {
    let blocks = ["10.0.0.0/8", "2001:db8:ffff::/48"].map(|text| text.parse().unwrap_or_else(|e| panic!("{e}")));
    Proxies::new(blocks.to_vec(), by)
}

#[test]
fn x_forwarded_for_is_walked_from_the_right() {
    let proxies = trusting(ForwardedBy::XForwardedFor);
    for (peer, lines, found) in [
        // Not a proxy of ours: whatever it says.
        ("192.0.2.9", &["203.0.113.1"][..], "192.0.2.9"),
        ("10.0.0.1", &[], "10.0.0.1"),
        ("10.0.0.1", &[""], "10.0.0.1"),
        ("10.0.0.1", &["203.0.113.1"], "203.0.113.1"),
        // What a client wrote itself stands on the left.
        ("10.0.0.1", &["6.6.6.6, 203.0.113.1"], "203.0.113.1"),
        ("10.0.0.1", &["6.6.6.6,203.0.113.1,10.0.0.2 , 10.0.0.3"], "203.0.113.1"),
        // All lines are one list.
        ("10.0.0.1", &["6.6.6.6", "203.0.113.1"], "203.0.113.1"),
        ("10.0.0.1", &["203.0.113.1", "10.0.0.2"], "203.0.113.1"),
        ("10.0.0.1", &["203.0.113.1, 10.0.0.2", "", " , ,"], "203.0.113.1"),
        // All are trusted: the last one that was seen.
        ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        // What is no address ends the walk.
        ("10.0.0.1", &["203.0.113.1, unknown"], "10.0.0.1"),
        ("10.0.0.1", &["203.0.113.1, nonsense, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", &["203.0.113.1", "\u{e9}", "10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", &["fe80::1%eth0"], "10.0.0.1"),
        ("10.0.0.1", &["\"203.0.113.1\""], "10.0.0.1"),
        ("10.0.0.1", &["203.0.113.1:99999"], "10.0.0.1"),
        ("10.0.0.1", &["203.0.113.256"], "10.0.0.1"),
        // Ports and brackets.
        ("10.0.0.1", &["203.0.113.1:4711"], "203.0.113.1"),
        ("10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
        ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", &["[2001:db8::1]4711"], "10.0.0.1"),
        ("10.0.0.1", &["[203.0.113.1]"], "10.0.0.1"),
        // A proxy is trusted in either clothes.
        ("::ffff:10.0.0.1", &["203.0.113.1, ::ffff:10.0.0.2"], "203.0.113.1"),
        ("2001:db8:ffff:1::1", &["::ffff:203.0.113.1"], "203.0.113.1"),
    ] {
        assert_eq!(client(&proxies, peer, "x-forwarded-for", lines), found, "{peer} {lines:?}");
    }
    assert_eq!(client(&Proxies::none(), "10.0.0.1", "x-forwarded-for", &["203.0.113.1"]), "10.0.0.1");
    assert_eq!(client(&proxies, "10.0.0.1", "forwarded", &["for=203.0.113.1"]), "10.0.0.1", "one header only");
}

#[test]
fn forwarded_is_read_as_rfc_7239_says() {
    let proxies = trusting(ForwardedBy::Forwarded);
    for (lines, found) in [
        (&["for=203.0.113.1"][..], "203.0.113.1"),
        (&["For=203.0.113.1;proto=https;by=10.0.0.1"], "203.0.113.1"),
        (&["proto=http; FOR=\"203.0.113.1:80\" "], "203.0.113.1"),
        (&["for=\"[2001:db8::1]:4711\""], "2001:db8::1"),
        (&["for=\"[2001:db8::1]\", for=10.0.0.2"], "2001:db8::1"),
        (&["for=6.6.6.6, for=203.0.113.1", "for=10.0.0.2"], "203.0.113.1"),
        // Legal, and no address.
        (&["for=203.0.113.1, for=unknown"], "10.0.0.1"),
        (&["for=203.0.113.1, for=_hidden, for=10.0.0.2"], "10.0.0.2"),
        (&["for=\"_hidden:_port\""], "10.0.0.1"),
        // Not legal.
        (&["for=2001:db8::1"], "10.0.0.1"),
        (&["for=\"2001:db8::1\""], "10.0.0.1"),
        (&["for=[2001:db8::1]"], "10.0.0.1"),
        (&["for=203.0.113.1:80"], "10.0.0.1"),
        (&["for = 203.0.113.1"], "10.0.0.1"),
        (&["for=203.0.113.1;for=203.0.113.2"], "10.0.0.1"),
        (&["proto=https"], "10.0.0.1"),
        (&["203.0.113.1"], "10.0.0.1"),
        (&["for="], "10.0.0.1"),
        (&["for=\"203.0.113.1"], "10.0.0.1"),
        // Commas and semicolons in quotation marks part nothing.
        (&["for=203.0.113.1;ext=\"a, for=6.6.6.6; b\""], "203.0.113.1"),
        (&["for=203.0.113.1;ext=\"a\\\", for=6.6.6.6\""], "203.0.113.1"),
        (&["ext=\"\\\\\";for=203.0.113.1"], "203.0.113.1"),
        // A mark that a client left open swallows nothing of what proxies add.
        (&["for=\"6.6.6.6, for=203.0.113.1"], "203.0.113.1"),
        (&["x=\"", "for=203.0.113.1"], "203.0.113.1"),
    ] {
        assert_eq!(client(&proxies, "10.0.0.1", "forwarded", lines), found, "{lines:?}");
    }
}

#[test]
fn nothing_on_the_left_changes_what_a_proxy_adds() {
    let config = ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() };
    // Whatever a client may send, with what has a meaning more often than the rest.
    let junk = "([,;=\"\\\\ ]|for|[0-9a-f:.\\[\\]]|[ -~]|\u{e9}){0,24}";
    let added = ["203.0.113.1", "2001:db8::1", "unknown"];
    proptest!(config, |(lines in prop::collection::vec(junk, 1..4), which in 0..added.len(), same_line: bool)| {
        for by in [ForwardedBy::XForwardedFor, ForwardedBy::Forwarded] {
            let (name, text) = match (&by, added[which]) {
                (ForwardedBy::Forwarded, "2001:db8::1") => ("forwarded", "for=\"[2001:db8::1]\";proto=https".to_owned()),
                (ForwardedBy::Forwarded, text) => ("forwarded", format!("by=_x;for={text}")),
                (_, text) => ("x-forwarded-for", text.to_owned()),
            };
            let mut lines = lines.clone();
            match lines.last_mut() {
                Some(last) if same_line => *last += &format!(", {text}"),
                _ => lines.push(text),
            }
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let found = client(&trusting(by), "10.0.0.1", name, &lines);
            // `unknown` ends the walk at the peer.
            let wanted = if added[which] == "unknown" { "10.0.0.1" } else { added[which] };
            prop_assert_eq!(found, wanted, "{:?}", lines);
        }
    });
}

#[test]
fn a_single_header_is_one_address() {
    let proxies = trusting(ForwardedBy::Single(HeaderName::from_static("x-real-ip")));
    for (lines, found) in [
        (&["203.0.113.1"][..], "203.0.113.1"),
        (&[" 2001:db8::1 "], "2001:db8::1"),
        (&["203.0.113.1, 203.0.113.2"], "10.0.0.1"),
        (&["203.0.113.1", "203.0.113.2"], "10.0.0.1"),
        (&["me"], "10.0.0.1"),
        (&[], "10.0.0.1"),
    ] {
        assert_eq!(client(&proxies, "10.0.0.1", "x-real-ip", lines), found, "{lines:?}");
    }
    assert_eq!(client(&proxies, "192.0.2.9", "x-real-ip", &["203.0.113.1"]), "192.0.2.9");
}

#[test]
fn hops_below_at_and_over_the_bound() {
    let proxies = trusting(ForwardedBy::XForwardedFor);
    for (trusted, found) in [(30, "203.0.113.1"), (31, "203.0.113.1"), (32, "10.0.0.2")] {
        let line = format!("203.0.113.1{}", ", 10.0.0.2".repeat(trusted));
        assert_eq!(client(&proxies, "10.0.0.1", "x-forwarded-for", &[&line]), found, "{trusted} trusted hops");
    }
}

#[test]
fn networks_are_told_by_bits() {
    let of = |text: &str| Client::new(address(text)).network();
    let v4 = Network::V4(0x0102_0304);
    // express-rate-limit's vectors: the mapped form however it is written, and two that only look like IPv4.
    for text in ["1.2.3.4", "::ffff:1.2.3.4", "::ffff:102:304", "0:0:0:0:0:FFFF:0102:0304"] {
        assert_eq!(of(text), v4, "{text}");
    }
    for (text, bits) in [
        ("2001:db8:1234:5678::1.2.3.4", 0x2001_0db8_1234_5678),
        ("2001:db8:1234:5678:ffff:ffff:ffff:ffff", 0x2001_0db8_1234_5678),
        ("64:ff9b::1.2.3.4", 0x0064_ff9b_0000_0000),
        ("::1.2.3.4", 0),
        ("::1", 0),
    ] {
        assert_eq!(of(text), Network::V6 { bits, prefix: 64 }, "{text}");
    }
}

#[test]
fn sites_are_wider_networks() {
    let of = |text: &str| Client::new(address(text)).site();
    assert_eq!(of("2001:db8:1234:5678::1"), Some(Network::V6 { bits: 0x2001_0db8_1234_0000, prefix: 48 }));
    assert_eq!(of("2001:db8:1234:5678::1"), of("2001:db8:1234:ffff:1::"));
    assert_ne!(of("2001:db8:1234::1"), of("2001:db8:1235::1"));
    assert_eq!((of("192.0.2.1"), of("::ffff:192.0.2.1")), (None, None));
}

#[test]
fn blocks_hold_what_they_say() {
    for (block, inside, outside) in [
        ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
        ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("192.0.2.0/31", "192.0.2.1", "192.0.2.2"),
        ("0.0.0.0/0", "255.255.255.255", "::1"),
        ("::/0", "2001:db8::1", "10.0.0.1"),
        ("2001:db8::/32", "2001:db8:ffff::", "2001:db9::"),
        ("::1", "::1", "::2"),
        ("::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.1"),
        ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
    ] {
        let cidr: Cidr = block.parse().unwrap_or_else(|error| panic!("{block}: {error}"));
        assert!(cidr.contains(address(inside)) && !cidr.contains(address(outside)), "{block} as {cidr}");
    }
}

#[test]
fn blocks_that_are_none_say_why() {
    let error = |text: &str| text.parse::<Cidr>().map_or_else(|error| error.to_string(), |cidr| cidr.to_string());
    for text in ["", "/8", "localhost", "10.0.0/8", "10.0.0.0.0/8", " 10.0.0.0/8", "[::1]/128"] {
        assert!(error(text).ends_with("is not an IP address, nor one with a prefix, like 10.0.0.0/8"), "{text}");
    }
    for (text, most) in
        [("10.0.0.0/33", 32), ("10.0.0.0/", 32), ("10.0.0.0/+8", 32), ("10.0.0.0/08", 32), ("::/129", 128)]
    {
        assert_eq!(error(text), format!("{text:?} has no prefix length from 0 to {most} behind its slash"));
    }
    assert_eq!(error("10.0.0.1/8"), "\"10.0.0.1/8\" has bits below its prefix: 10.0.0.0/8 is meant?");
    assert_eq!(error("2001:db8::1/64"), "\"2001:db8::1/64\" has bits below its prefix: 2001:db8::/64 is meant?");
    assert_eq!(
        (error("10.0.0.0/0"), error("0.0.0.0/0").as_str()),
        ("\"10.0.0.0/0\" has bits below its prefix: 0.0.0.0/0 is meant?".to_owned(), "0.0.0.0/0")
    );
}
