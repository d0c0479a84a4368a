//! The network: HTTP servers on loopback whose connections can be delayed, throttled or broken.

pub(crate) mod certificates;
pub(crate) mod client;
pub(crate) mod delay;
pub(crate) mod exchange;
pub(crate) mod faulty_stream;
pub(crate) mod gateway;
pub(crate) mod recorder;
pub(crate) mod server;
