//! Headers of HTTP, which may come several times, and of hooks, which have one value.

use hookwire::model::Headers;
use http::HeaderMap;
use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION,
    CONTENT_RANGE, CONTENT_TYPE, COOKIE, HeaderName, HeaderValue, LINK, PROXY_AUTHENTICATE,
    RETRY_AFTER, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VARY, VIA, WARNING,
    WWW_AUTHENTICATE,
};

/// They tell where a message ends and how it travels: the HTTP server's business alone.
const FRAMING: [HeaderName; 8] = [
    CONNECTION,
    CONTENT_LENGTH,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// They tell what the body is: the business of whoever has written it.
const OF_THE_BODY: [HeaderName; 5] =
    [CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE];

/// Several may be told, each for itself: one more takes nothing from the others.
const LISTS: [HeaderName; 7] =
    [LINK, PROXY_AUTHENTICATE, SET_COOKIE, VARY, VIA, WARNING, WWW_AUTHENTICATE];

/// A plugin's header that HTTP does not know: a name with a blank, a value with a line break.
#[derive(Debug, PartialEq)]
pub(super) struct Unfit {
    pub(super) name: String,
}

/// As plugins see them: all values of a name in one, so that none gets by a plugin unseen.
pub(super) fn joined(headers: &HeaderMap) -> Headers {
    let join = |name: &HeaderName| {
        let values = headers.get_all(name).iter();
        let values: Vec<_> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        let separator = if name == COOKIE { "; " } else { ", " };
        (name.as_str().to_owned(), values.join(separator))
    };
    headers.keys().map(join).collect()
}

/// Puts in what `after` changes of `before`, which is `headers` [`joined`]. All else stays as it
/// is, with all its values. On an error `headers` is as it was.
pub(super) fn merge(
    headers: &mut HeaderMap,
    before: &Headers,
    after: &Headers,
) -> Result<(), Unfit> {
    let mut changes = Vec::new();
    for (name, value) in after {
        if before.get(&name.to_ascii_lowercase()) == Some(value) {
            continue;
        }
        let header = header(name, value).ok_or_else(|| Unfit { name: name.clone() })?;
        if FRAMING.contains(&header.0) {
            tracing::warn!(header = %header.0, "a plugin's change of a header that frames the message was left out");
        } else {
            changes.push(header);
        }
    }
    changes.into_iter().for_each(|(name, value)| drop(headers.insert(name, value)));
    Ok(())
}

/// Puts in what plugins tell the client beside: a list goes on, of other headers the last
/// counts. What is not theirs to tell, and what HTTP does not know, is left out.
pub(super) fn add(headers: &mut HeaderMap, told: &Headers) {
    for (name, value) in told {
        match header(name, value).filter(|(name, value)| may_be_told(name, value)) {
            Some((name, value)) if LISTS.contains(&name) => {
                if !headers.get_all(&name).iter().any(|known| *known == value) {
                    headers.append(name, value);
                }
            }
            Some((name, value)) => drop(headers.insert(name, value)),
            None => {
                let name = name.escape_debug();
                tracing::warn!(header = %name, "a plugin's header for the client was left out");
            }
        }
    }
}

fn may_be_told(name: &HeaderName, value: &HeaderValue) -> bool {
    match *name {
        RETRY_AFTER => is_retry_after(value.as_bytes()),
        _ => !FRAMING.contains(name) && !OF_THE_BODY.contains(name),
    }
}

/// Seconds, or a date by its outer form.
fn is_retry_after(value: &[u8]) -> bool {
    let seconds = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    seconds || (value.len() == "Sun, 06 Nov 1994 08:49:37 GMT".len() && value.ends_with(b" GMT"))
}

fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(headers: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn told(headers: &[(&str, &str)]) -> Headers {
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// What comes of a plugin that answers with the headers that it saw, and these over them.
    fn changed(headers: &mut HeaderMap, change: &[(&str, &str)]) -> Result<(), Unfit> {
        let before = joined(headers);
        let mut after = before.clone();
        after.extend(told(change));
        merge(headers, &before, &after)
    }

    #[test]
    fn a_plugin_sees_all_values_of_a_header() {
        let headers = map(&[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2")]);
        assert_eq!(joined(&headers), told(&[("x-forwarded-for", "1.1.1.1, 2.2.2.2")]));
        let cookies = map(&[("cookie", "a=1"), ("cookie", "b=2")]);
        assert_eq!(joined(&cookies), told(&[("cookie", "a=1; b=2")]));
    }

    #[test]
    fn only_what_changed_is_replaced_and_all_else_keeps_its_values() {
        let mut headers = map(&[("set-cookie", "a=1"), ("set-cookie", "b=2"), ("etag", "x")]);
        changed(&mut headers, &[("etag", "y"), ("x-new", "1")]).unwrap();
        let expected =
            map(&[("set-cookie", "a=1"), ("set-cookie", "b=2"), ("etag", "y"), ("x-new", "1")]);
        assert_eq!(headers, expected);
        changed(&mut headers, &[("set-cookie", "c=3")]).unwrap();
        assert_eq!(headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["c=3"]);
    }

    #[test]
    fn the_same_value_under_a_name_in_another_case_is_no_change() {
        let mut headers = map(&[("accept", "a"), ("accept", "b")]);
        let before = joined(&headers);
        merge(&mut headers, &before, &told(&[("Accept", "a, b")])).unwrap();
        assert_eq!(headers.get_all("accept").iter().count(), 2);
    }

    #[test]
    fn a_value_that_is_no_text_stays_as_it_is() {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(b"caf\xe9").unwrap();
        headers.insert("x-name", value.clone());
        changed(&mut headers, &[("x-other", "1")]).unwrap();
        assert_eq!(headers["x-name"], value);
    }

    #[test]
    fn what_http_does_not_know_is_refused_and_nothing_is_changed() {
        for (name, value) in [("x y", "1"), ("", "1"), ("x-user", "root\r\nx-admin: 1")] {
            let mut headers = map(&[("x-user", "guest")]);
            let unfit = changed(&mut headers, &[("a", "1"), (name, value)]).unwrap_err();
            assert_eq!(unfit.name, name);
            assert_eq!(headers, map(&[("x-user", "guest")]));
        }
    }

    #[test]
    fn no_plugin_changes_where_a_message_ends() {
        let mut headers = map(&[("content-length", "3")]);
        let change = [("Content-Length", "9"), ("transfer-encoding", "chunked")];
        changed(&mut headers, &change).unwrap();
        assert_eq!(headers, map(&[("content-length", "3")]));
        add(&mut headers, &told(&[("content-length", "9"), ("x y", "1"), ("x-rate", "9")]));
        assert_eq!(headers, map(&[("content-length", "3"), ("x-rate", "9")]));
    }

    #[test]
    fn when_to_come_again_is_seconds_or_a_date() {
        for fine in ["0", "120", "Fri, 31 Dec 1999 23:59:59 GMT"] {
            assert!(is_retry_after(fine.as_bytes()), "{fine}");
        }
        for unfit in ["", "x y", "-1", "1.5", "1 GMT"] {
            assert!(!is_retry_after(unfit.as_bytes()), "{unfit}");
        }
    }
}
