//! Applies a fault to a response.
//!
//! Input: the service's response, the fault that is due, the connection. Output: the response as the client gets it, or a
//! connection that breaks.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::channel::Channel;
use hyper::body::Frame;
use serde_json::Value;
use uuid::Uuid;

use super::{CannedResponse, Fault};
use crate::clock::{self, Clock};
use crate::net::faulty_stream::{ConnectionHandle, Disconnect};
use crate::net::recorder::Call;

/// The response that replaces the service's own, if the fault keeps the request from the service.
pub(crate) fn canned_response(fault: &Fault, call: Call) -> Option<http::Response<Bytes>> {
    let success = || {
        Fault::response(if call == Call::Mint { 201 } else { 200 })
            .header(CONTENT_TYPE.as_str(), json_content_type(call))
    };
    let response = match fault {
        Fault::Status(status) if call.is_aws() => {
            with_request_id(call, *status).aws(aws_error_code(call, *status), "injected")
        }
        Fault::Status(status) => with_request_id(call, *status).message(github_message(*status)),
        Fault::Response(response) => response.clone(),
        Fault::Redirect(status) => with_request_id(call, *status)
            .header(LOCATION.as_str(), "/repositories/1296269/installation")
            .message(github_message(*status)),
        Fault::EmptyBody | Fault::EndlessBody => success(),
        Fault::Html => Fault::response(success().status)
            .header(CONTENT_TYPE.as_str(), "text/html; charset=utf-8")
            .body("<!DOCTYPE html><html><body><h1>Whoa there!</h1></body></html>"),
        Fault::Json(body) => success().body(body),
        _ => return None,
    };
    Some(to_http(&response))
}

/// Whether no model of the vendor describes the response that this fault causes: a test supplies the response, or the vendor
/// never sends it.
pub(crate) fn is_unmodeled(fault: &Fault, call: Call) -> bool {
    match fault {
        // AWS does not redirect, and GitHub documents these three.
        Fault::Redirect(status) => call.is_aws() || ![301, 302, 307].contains(status),
        Fault::Response(_)
        | Fault::EmptyBody
        | Fault::EndlessBody
        | Fault::Html
        | Fault::Json(_) => true,
        _ => false,
    }
}

/// The start of an error response of the vendor, which carries an ID like each of the vendor's responses.
fn with_request_id(call: Call, status: u16) -> CannedResponse {
    let name = if call.is_aws() {
        "x-amzn-requestid"
    } else {
        "x-github-request-id"
    };
    Fault::response(status).header(name, Uuid::new_v4())
}

/// Applies the fault to the response, the service's own or a canned one.
pub(crate) async fn apply(
    fault: Option<Fault>,
    mut response: http::Response<Bytes>,
    connection: &ConnectionHandle,
) -> Response {
    match fault {
        Some(Fault::Delay(time)) => tokio::time::sleep(time).await,
        Some(Fault::ResetBeforeResponse) => connection.disconnect(Disconnect::Reset),
        Some(Fault::ResetMidResponse) => return half(response, connection, Disconnect::Reset),
        Some(Fault::TruncatedBody) => return half(response, connection, Disconnect::Close),
        Some(Fault::SlowHeaders(interval)) => connection.throttle(interval),
        Some(Fault::EndlessBytes(start, repeated)) => connection.send_forever(start, repeated),
        Some(Fault::SlowBody(interval)) => return slow_body(response, interval),
        Some(Fault::EndlessBody) => return endless_body(response),
        Some(Fault::SkewedDate(seconds)) => {
            let mut clock = Clock::default();
            clock.shift(seconds);
            let date = header_value(&clock::http_date(clock.now()));
            response.headers_mut().insert(DATE, date);
        }
        Some(Fault::Edit(edit)) if response.status().is_success() => {
            let mut json = serde_json::from_slice(response.body()).unwrap_or(Value::Null);
            (edit.0)(&mut json);
            *response.body_mut() = Bytes::from(json.to_string());
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        _ => {}
    }
    response.map(Body::from)
}

/// Sends half of the body, then ends the connection once the client can have read that half.
fn half(
    response: http::Response<Bytes>,
    connection: &ConnectionHandle,
    how: Disconnect,
) -> Response {
    connection.disconnect_after_flush(how);
    with_length(response).map(|body| Body::new(StalledBody(Some(body.slice(..body.len() / 2)))))
}

/// A body that sends this part and then never ends.
struct StalledBody(Option<Bytes>);

impl hyper::body::Body for StalledBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.take().map_or(Poll::Pending, |bytes| {
            Poll::Ready(Some(Ok(Frame::data(bytes))))
        })
    }
}

fn slow_body(response: http::Response<Bytes>, interval: Duration) -> Response {
    with_length(response).map(|body| {
        let (mut sender, channel) = Channel::<Bytes, io::Error>::new(1);
        tokio::spawn(async move {
            for at in 0..body.len() {
                if sender.send_data(body.slice(at..=at)).await.is_err() {
                    return;
                }
                tokio::time::sleep(interval).await;
            }
        });
        Body::new(channel)
    })
}

fn endless_body(response: http::Response<Bytes>) -> Response {
    let chunk = Bytes::from(vec![b' '; 16 * 1024]);
    let (mut sender, channel) = Channel::<Bytes, io::Error>::new(1);
    tokio::spawn(async move { while sender.send_data(chunk.clone()).await.is_ok() {} });
    response.map(|_| Body::new(channel))
}

/// Announces the length of the whole body, however much of it will be sent.
fn with_length(mut response: http::Response<Bytes>) -> http::Response<Bytes> {
    let length = HeaderValue::from(response.body().len());
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// Converts a canned response. An invalid header or status is an error in the test.
fn to_http(canned: &CannedResponse) -> http::Response<Bytes> {
    let mut response = http::Response::new(Bytes::from(canned.body.clone()));
    *response.status_mut() =
        StatusCode::from_u16(canned.status).expect("a canned status is an HTTP status");
    for (name, text) in &canned.headers {
        let name = HeaderName::try_from(name.as_str()).expect("a canned header has an HTTP name");
        response.headers_mut().append(name, header_value(text));
    }
    response
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).expect("a header value is printable")
}

fn json_content_type(call: Call) -> &'static str {
    if call.is_aws() {
        "application/x-amz-json-1.1"
    } else {
        "application/json; charset=utf-8"
    }
}

fn aws_error_code(call: Call, status: u16) -> &'static str {
    match status {
        400 => "ThrottlingException",
        _ if call == Call::Sign => "KMSInternalException",
        503 => "ServiceUnavailable",
        _ => "InternalServerError",
    }
}

fn github_message(status: u16) -> &'static str {
    match status {
        301 => "Moved Permanently",
        302 => "Found",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        401 => "A JSON web token could not be decoded",
        403 => "Resource not accessible by integration",
        404 => "Not Found",
        422 => "Validation Failed",
        429 => {
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        }
        _ => "Server Error",
    }
}
