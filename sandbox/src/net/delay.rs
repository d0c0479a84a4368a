//! A stream that simulates distance: every byte arrives half a round trip later, in each direction, and the first one also
//! waits for the TCP handshake.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

/// Returns the stream with this round-trip time.
pub(crate) fn delayed<S>(stream: S, round_trip: Duration) -> Box<dyn Stream>
where
    S: Stream + 'static,
{
    if round_trip.is_zero() {
        return Box::new(stream);
    }
    let (near, far) = tokio::io::duplex(256 * 1024);
    let (from_client, to_client) = tokio::io::split(stream);
    let (from_server, to_server) = tokio::io::split(far);
    let connected = Instant::now() + round_trip;
    tokio::spawn(forward(from_client, to_server, round_trip / 2, connected));
    tokio::spawn(forward(from_server, to_client, round_trip / 2, connected));
    Box::new(near)
}

/// A stream that a server can serve.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Moves bytes from one end to the other, each `latency` after it came and none before `connected + latency`.
async fn forward(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    latency: Duration,
    connected: Instant,
) {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let reading = tokio::spawn(async move {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            // The other side learns of the end of the stream, or of an error, after the same latency.
            let count = from.read(&mut bytes).await.unwrap_or(0);
            let due = Instant::now().max(connected) + latency;
            if sender.send((due, bytes[..count].to_vec())).is_err() || count == 0 {
                return;
            }
        }
    });
    while let Some((due, bytes)) = receiver.recv().await {
        sleep_until(due).await;
        if bytes.is_empty() || to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
            break;
        }
    }
    // The peer may have closed its end already.
    let _ = to.shutdown().await;
    reading.abort();
}

/// Sleeps on a blocking thread: Tokio's timer counts milliseconds and is late by up to one, too much for a delay of two.
async fn sleep_until(due: Instant) {
    let left = due.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        // The thread only sleeps: it cannot fail.
        let _ = tokio::task::spawn_blocking(move || std::thread::sleep(left)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_byte_is_delayed_and_the_first_waits_for_the_handshake() {
        let (near, mut client) = tokio::io::duplex(64);
        // Before the delay starts to count: the machine may stall right after it.
        let (begun, mut byte) = (Instant::now(), [0]);
        let mut server = delayed(near, Duration::from_millis(40));
        client.write_all(b"a").await.expect("open");
        server.read_exact(&mut byte).await.expect("open");
        let arrived = begun.elapsed();
        server.write_all(b"b").await.expect("open");
        client.read_exact(&mut byte).await.expect("open");
        let returned = begun.elapsed();
        // Only lower bounds: a busy machine may add any delay.
        assert!(arrived >= Duration::from_millis(60), "{arrived:?}");
        assert!(returned >= Duration::from_millis(80), "{returned:?}");
    }
}
