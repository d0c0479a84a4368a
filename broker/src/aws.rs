//! The calls to AWS: `GetParameters` of SSM and `Sign` of KMS.
//!
//! Input: names and bytes. Output: what AWS returns, or an [`AwsError`].
//! Invariant: an AWS error message is classified here and dropped. It can contain ARNs and whatever was sent.
//!
//! AWS's library `aws-sigv4` signs. CONTRIBUTING.md says why the whole SDK is not here.

pub mod client;
pub mod credentials;
pub mod endpoint;
pub mod error;
pub mod kms;
pub mod ssm;

pub use error::{AwsError, Exception};
