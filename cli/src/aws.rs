//! AWS. [`session`]: credentials and region. [`call`]: one signed request. [`lambda`]: `Invoke`. [`actions`]: credentials by
//! OIDC in GitHub Actions. [`operator`]: the calls of the operator commands to Lambda, KMS, SSM and IAM. [`endpoint`]: where a service is. [`error`]: what went wrong, and the next step.

pub mod actions;
pub mod call;
pub mod endpoint;
pub mod error;
pub mod lambda;
pub mod operator;
pub mod session;

pub use error::AwsError;

/// Runs the asynchronous part of a command. The commands that find a token in the cache never come here.
///
/// # Errors
/// The operating system refuses a thread or a file descriptor.
pub fn block_on<T>(work: impl Future<Output = T>) -> Result<T, AwsError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(AwsError::Runtime)?;
    Ok(runtime.block_on(work))
}
