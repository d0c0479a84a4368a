//! Does what a fault says to an answer. Comes in: the answer a service gives, the fault that is due, the connection.
//! Goes out: the answer as the client gets it, or a connection that is cut under its hands.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, LOCATION};
use http::response::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::channel::{Channel, Sender};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Frame;
use serde_json::Value;

use crate::clock;
use crate::faults::{Answer, Fault};
use crate::net::faulty_stream::{Cut, Line};
use crate::net::recorder::Call;

/// A body on its way out.
pub(crate) type Body = BoxBody<Bytes, io::Error>;

/// The answer that stands in for the service's own, where the fault is one the service never hears of.
pub(crate) fn instead(fault: &Fault, call: Call) -> Option<Response<Bytes>> {
    let answer = match fault {
        Fault::Status(status) if call == Call::Ssm => {
            Fault::answer(*status).aws(aws_code(*status), "injected")
        }
        Fault::Status(status) => Fault::answer(*status).message(github_message(*status)),
        Fault::Answer(answer) => answer.clone(),
        Fault::Redirect(status) => Fault::answer(*status)
            .header(LOCATION.as_str(), "/repositories/1296269/installation")
            .message("Moved Permanently"),
        Fault::EmptyBody | Fault::EndlessBody => {
            Fault::answer(good(call)).header(CONTENT_TYPE.as_str(), json(call))
        }
        Fault::Html => Fault::answer(good(call))
            .header(CONTENT_TYPE.as_str(), "text/html; charset=utf-8")
            .body("<!DOCTYPE html><html><body><h1>Whoa there!</h1></body></html>"),
        Fault::Json(body) => Fault::answer(good(call))
            .header(CONTENT_TYPE.as_str(), json(call))
            .body(body),
        _ => return None,
    };
    Some(response(&answer))
}

/// The service's answer (or what stands in for it) as it leaves.
pub(crate) async fn apply(
    fault: Option<Fault>,
    mut answer: Response<Bytes>,
    line: &Line,
) -> Response<Body> {
    match fault {
        Some(Fault::Delay(time)) => {
            tokio::time::sleep(time).await;
            whole(answer)
        }
        Some(Fault::ResetBeforeAnswer) => {
            line.cut(Cut::Reset);
            whole(answer)
        }
        Some(Fault::ResetMidAnswer) => half(answer, line, Cut::Reset),
        Some(Fault::Truncated) => half(answer, line, Cut::Close),
        Some(Fault::SlowHeaders(pace)) => {
            line.slow_down(pace);
            whole(answer)
        }
        Some(Fault::TricklingBody(pace)) => trickling(answer, pace),
        Some(Fault::EndlessBody) => endless(answer),
        Some(Fault::SkewedDate(seconds)) => {
            let mut clock = clock::Clock::default();
            clock.shift(seconds);
            answer
                .headers_mut()
                .insert(DATE, value(&clock::http_date(clock.now())));
            whole(answer)
        }
        Some(Fault::Edit(edit)) => {
            let (parts, body) = answer.into_parts();
            let mut json: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
            if parts.status.is_success() {
                (edit.0)(&mut json);
            }
            whole(Response::from_parts(parts, Bytes::from(json.to_string())))
        }
        _ => whole(answer),
    }
}

pub(crate) fn whole(answer: Response<Bytes>) -> Response<Body> {
    answer.map(|body| Full::new(body).map_err(|never| match never {}).boxed())
}

/// Half of the body, then the end of the connection: as soon as the half has left, and the client reads it before the end.
fn half(answer: Response<Bytes>, line: &Line, how: Cut) -> Response<Body> {
    line.cut_when_flushed(how);
    let (parts, body) = announced(answer);
    let half = body.slice(..body.len() / 2);
    Response::from_parts(parts, Begun(Some(half)).boxed())
}

/// A body of which only this much ever comes.
struct Begun(Option<Bytes>);

impl hyper::body::Body for Begun {
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

fn trickling(answer: Response<Bytes>, pace: Duration) -> Response<Body> {
    streamed(answer, move |body, mut sender| async move {
        for at in 0..body.len() {
            if sender.send_data(body.slice(at..=at)).await.is_err() {
                return;
            }
            tokio::time::sleep(pace).await;
        }
    })
}

fn endless(answer: Response<Bytes>) -> Response<Body> {
    let chunk = Bytes::from(vec![b' '; 16 * 1024]);
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move { while sender.send_data(chunk.clone()).await.is_ok() {} });
    answer.map(|_| body.boxed())
}

fn streamed<F, Done>(answer: Response<Bytes>, send: F) -> Response<Body>
where
    F: FnOnce(Bytes, Sender<Bytes, io::Error>) -> Done,
    Done: Future<Output = ()> + Send + 'static,
{
    let (sender, channel) = Channel::new(1);
    let (parts, body) = announced(answer);
    tokio::spawn(send(body, sender));
    Response::from_parts(parts, channel.boxed())
}

/// The head, with the length of the whole body, and that body.
fn announced(answer: Response<Bytes>) -> (Parts, Bytes) {
    let (mut parts, body) = answer.into_parts();
    parts
        .headers
        .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    (parts, body)
}

/// An answer as an HTTP response. A header or a status that HTTP does not know is a fault of the test that wrote it.
fn response(answer: &Answer) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(answer.body.clone()));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).expect("a fault's status is an HTTP status");
    for (name, text) in &answer.headers {
        let name = HeaderName::try_from(name.as_str()).expect("a fault's header has an HTTP name");
        response.headers_mut().append(name, value(text));
    }
    response
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).expect("a header's value is printable")
}

fn good(call: Call) -> u16 {
    if call == Call::Mint { 201 } else { 200 }
}

fn json(call: Call) -> &'static str {
    if call == Call::Ssm {
        "application/x-amz-json-1.1"
    } else {
        "application/json; charset=utf-8"
    }
}

fn aws_code(status: u16) -> &'static str {
    match status {
        400 => "ThrottlingException",
        503 => "ServiceUnavailable",
        _ => "InternalServerError",
    }
}

fn github_message(status: u16) -> &'static str {
    match status {
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
