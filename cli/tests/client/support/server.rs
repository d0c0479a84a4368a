//! A scripted HTTP server on loopback. It answers each connection once, and stops when it is dropped.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use super::{Client, in_seconds};

/// The response of a function that mints.
pub(crate) fn minted() -> String {
    let expires_at = in_seconds(3600);
    format!(
        r#"{{"token":"ghs_scripted","expires_at":"{expires_at}","repositories":["octo-org/octo-repo"],"permissions":{{"contents":"read"}}}}"#
    )
}

/// A client of a scripted AWS, with keys in its environment and without a cache.
pub(crate) fn client(endpoint: &str, args: &[&str]) -> Client {
    Client::new(args)
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
}

/// A request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }
}

/// A response.
#[derive(Debug, Clone, Default)]
pub(crate) struct Response {
    /// If it is 0, the connection is closed without a response.
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A server that runs.
pub(crate) struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    ended: Arc<AtomicBool>,
}

impl Server {
    /// A server that answers once the sender is dropped. The receiver gets an event for each request.
    pub(crate) fn silent() -> (Self, mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (arrived, requests) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let ended = Mutex::new(ended);
        let server = Self::start(move |_| {
            let _ = arrived.send(()); // not every test waits for it
            let _ = ended.lock().unwrap().recv();
            Response::new(500, "")
        });
        (server, requests, end)
    }

    pub(crate) fn start(handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, ended) = (
            Arc::<Mutex<Vec<Request>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let (recorded, stop, handler) =
            (Arc::clone(&requests), Arc::clone(&ended), Arc::new(handler));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let (recorded, handler) = (Arc::clone(&recorded), Arc::clone(&handler));
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(request) = read(&mut stream) else {
                        return;
                    };
                    recorded.lock().unwrap().push(request.clone());
                    let response = handler(&request);
                    if response.status == 0 {
                        return;
                    }
                    let mut head = format!("HTTP/1.1 {} Answer\r\n", response.status);
                    for (name, value) in &response.headers {
                        write!(head, "{name}: {value}\r\n").unwrap();
                    }
                    write!(
                        head,
                        "content-length: {}\r\nconnection: close\r\n\r\n",
                        response.body.len()
                    )
                    .unwrap();
                    // A client that went away does not matter here.
                    let _ = stream
                        .write_all(head.as_bytes())
                        .and_then(|()| stream.write_all(&response.body));
                });
            }
        });
        Self {
            port,
            requests,
            ended,
        }
    }

    /// Host and port.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.host())
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts connections.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let mut request = Request {
        method: words.next()?.to_owned(),
        target: words.next()?.to_owned(),
        ..Request::default()
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        request
            .headers
            .push((name.to_ascii_lowercase(), value.trim().to_owned()));
        if name.eq_ignore_ascii_case("expect") {
            reader
                .get_mut()
                .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                .ok()?;
        }
    }
    let length = request
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    request.body = vec![0; length];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}
