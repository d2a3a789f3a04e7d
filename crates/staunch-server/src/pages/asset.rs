//! What pages are made of besides their HTML: a style sheet, a few small modules and a mark, all of them our own and in the binary.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};

use crate::ask::Segments;
use crate::etag;
use crate::problem::{Code, Refusal};

/// A file that is served at a path of its own: whoever has it once has it for ever, since another text has another path.
#[derive(Debug)]
pub(super) struct Asset {
    stem: &'static str,
    ending: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    hash: u64,
}

pub(super) const STYLE: Asset =
    Asset::new("staunch", "css", "text/css; charset=utf-8", include_bytes!("../../assets/staunch.css"));
pub(super) const MARK: Asset = Asset::new("mark", "svg", "image/svg+xml", include_bytes!("../../assets/mark.svg"));
pub(super) const PAGE: Asset =
    Asset::new("page", "js", "text/javascript; charset=utf-8", include_bytes!("../../assets/page.js"));
pub(super) const SETUP: Asset =
    Asset::new("setup", "js", "text/javascript; charset=utf-8", include_bytes!("../../assets/setup.js"));

/// All of them.
const ALL: [&Asset; 4] = [&STYLE, &MARK, &PAGE, &SETUP];

impl Asset {
    const fn new(stem: &'static str, ending: &'static str, kind: &'static str, bytes: &'static [u8]) -> Self {
        Self { stem, ending, kind, bytes, hash: fnv(bytes) }
    }

    /// Where it is served.
    pub(super) fn path(&self) -> String {
        format!("/assets/{}", self.file())
    }

    fn file(&self) -> String {
        format!("{}-{:016x}.{}", self.stem, self.hash, self.ending)
    }
}

/// FNV-1a, which the compiler can work out. It only has to tell texts of ours apart, so nobody gains by a collision.
const fn fnv(bytes: &[u8]) -> u64 {
    let (mut hash, mut at) = (0xcbf2_9ce4_8422_2325_u64, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

/// The route.
pub(super) async fn show(Segments(file): Segments<String>, headers: HeaderMap) -> Result<Response, Refusal> {
    let asset = ALL.into_iter().find(|asset| asset.file() == file).ok_or_else(|| Refusal::new(Code::NotFound))?;
    let tag = format!("\"{:016x}\"", asset.hash);
    let had = headers.get_all(IF_NONE_MATCH).iter().any(|given| etag::matches(given.as_bytes(), &tag));
    let head = [(ETAG, tag.as_str()), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
    if had {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    Ok((head, [(CONTENT_TYPE, asset.kind)], Bytes::from_static(asset.bytes)).into_response())
}

#[cfg(test)]
mod tests {
    use super::{ALL, fnv};

    #[test]
    fn hashes_are_those_of_fnv_1a() {
        assert_eq!(
            (fnv(b""), fnv(b"a"), fnv(b"foobar")),
            (0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c, 0x8594_4171_f739_67e8)
        );
    }

    #[test]
    fn they_are_small_and_name_no_other_place() {
        let bytes: usize = ALL.iter().map(|asset| asset.bytes.len()).sum();
        assert!(bytes <= 60 << 10, "{bytes} bytes");
        for asset in ALL {
            let text = std::str::from_utf8(asset.bytes).unwrap_or_default().replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("//") || asset.ending == "js", "{}", asset.stem);
            for word in ["http:", "https:", "@import", "url(", "eval", "innerHTML", "localStorage"] {
                assert!(!text.contains(word), "{} has {word}", asset.stem);
            }
        }
    }
}
