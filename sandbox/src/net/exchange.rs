//! Writes each exchange to the file `$SANDBOX_EXCHANGES`, one JSON object per line, so that it can be compared with the
//! vendors' own models.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use serde_json::{Value, json};

/// The file, open for appending: several test processes may share it.
static FILE: LazyLock<Option<File>> = LazyLock::new(|| {
    let path = std::env::var_os("SANDBOX_EXCHANGES")?;
    let file = OpenOptions::new().create(true).append(true).open(&path);
    Some(file.unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display())))
});

/// Whether exchanges are written at all.
pub(crate) fn is_enabled() -> bool {
    FILE.is_some()
}

/// Writes one exchange. `path` is relative to the service's base path and includes the query. `unmodeled` means that
/// no model of the vendor describes the response.
pub(crate) fn write(
    service: &str,
    path: &str,
    request: &Request<Bytes>,
    response: &Response<Bytes>,
    unmodeled: bool,
) {
    let Some(mut file) = FILE.as_ref() else {
        return;
    };
    let exchange = json!({
        "service": service,
        "unmodeled": unmodeled,
        "method": request.method().as_str(),
        "path": path,
        "request": { "headers": headers(request.headers()), "body": text(request.body()) },
        "response": {
            "status": response.status().as_u16(),
            "headers": headers(response.headers()),
            "body": text(response.body()),
        },
    });
    file.write_all(format!("{exchange}\n").as_bytes())
        .expect("the file of exchanges is writable");
}

fn headers(headers: &HeaderMap) -> BTreeMap<&str, &str> {
    headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect()
}

fn text(body: &Bytes) -> Value {
    String::from_utf8_lossy(body).into()
}
